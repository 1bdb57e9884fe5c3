//! One emulator for all tests of a process: each gets an account of its own.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::Transport;
use roombridge::base::clock::SystemClock;
use tokio::sync::OnceCell;

use super::{Account, Azurite, AzuriteError};
use crate::managed_identity::{Identity, ManagedIdentity};
use crate::signing::SigningKey;
use crate::tls::Tls;
use crate::tools;

/// The emulator that all tests of one process share, and what opens it.
pub struct SharedAzurite {
    /// The emulator.
    pub azurite: Azurite,
    /// Its certificates. The files are gone; [`Tls::client`] works.
    pub tls: Tls,
    /// Gives tokens for it, on the machine's time.
    pub identity: ManagedIdentity,
}

/// The client id of the identity that [`SharedAzurite::identity`] has.
pub const CLIENT_ID: &str = "6f1c5b1e-1d0c-4c39-9a6b-3f1f0f6d2a11";
/// What [`SharedAzurite::identity`] wants in `X-IDENTITY-HEADER`.
pub const IDENTITY_HEADER: &str = "only-the-host-and-this-app-know-it";

/// A storage account of its own for one test, and what opens it.
#[derive(Debug, Clone)]
pub struct StorageConnection {
    /// The account.
    pub account: Account,
    /// Gives tokens for it.
    pub credential: Arc<dyn TokenCredential>,
    /// A transport for this test alone: connections live as long as the runtime that opened them.
    pub transport: Transport,
}

impl SharedAzurite {
    /// An empty account, a credential and a transport.
    ///
    /// # Errors
    /// [`AzuriteError::NoAccount`] or [`AzuriteError::Tls`].
    pub fn connect(&self) -> Result<StorageConnection, AzuriteError> {
        Ok(StorageConnection {
            account: self.azurite.account()?,
            credential: self.identity.credential(CLIENT_ID),
            transport: roombridge::base::http::azure_transport(
                roombridge::base::http::ReqwestHttp::new(self.tls.client()?),
            ),
        })
    }
}

impl Azurite {
    /// Whether tests can use the emulator. Where it cannot be installed this says so once, and what needs it
    /// is left out; with `CI=true` it is not left out, and fails.
    pub async fn is_available() -> bool {
        static AVAILABLE: OnceCell<bool> = OnceCell::const_new();
        let tried = || async {
            let installing = tokio::task::spawn_blocking(|| {
                let installed = Self::target_dir().and_then(|target| Self::install(&target));
                tools::is_present(&installed, "what uses the storage emulator")
            });
            installing.await.unwrap_or(true)
        };
        *AVAILABLE.get_or_init(tried).await
    }

    /// The emulator of this process: installed and started by the first test that asks.
    ///
    /// # Errors
    /// [`AzuriteError`].
    pub async fn shared() -> Result<&'static SharedAzurite, AzuriteError> {
        static SHARED: OnceCell<SharedAzurite> = OnceCell::const_new();
        SHARED
            .get_or_try_init(|| async {
                tokio::task::spawn_blocking(start_shared)
                    .await
                    .map_err(|e| AzuriteError::Start(e.to_string()))?
            })
            .await
    }
}

fn start_shared() -> Result<SharedAzurite, AzuriteError> {
    let target = Azurite::target_dir()?;
    Azurite::install(&target)?;
    let directory = tempfile::tempdir()?;
    let tls = Tls::create(directory.path())?;
    let azurite = Azurite::start(&target, &tls)?;
    let identity = Identity {
        client_id: CLIENT_ID.to_owned(),
        principal_id: "b0a5c2de-77f3-4d0e-8f0d-5a8f2f1f9e10".to_owned(),
    };
    let identity = ManagedIdentity::new(
        "8d1f6a52-2f6e-4a3c-9f55-9e0c2f6b7a01",
        IDENTITY_HEADER,
        vec![identity],
        SigningKey::generate()?,
        Arc::new(SystemClock),
    );
    Ok(SharedAzurite { azurite, tls, identity })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_listens_and_lets_nobody_in_without_a_token() {
        if !Azurite::is_available().await {
            return;
        }
        let shared = Azurite::shared().await.unwrap();
        let account = shared.azurite.account().unwrap();
        let client = shared.tls.client().unwrap();
        for url in [account.queue_url, account.table_url] {
            let answer = client.get(format!("{url}?comp=list")).send().await.unwrap();
            assert!(answer.status().is_client_error(), "{url}");
        }
    }
}
