//! Azurite: Microsoft's storage emulator, installed at a pinned version and run over HTTPS with OAuth.
//!
//! It keeps everything in memory and ends with the process that started it, even when that is
//! killed: a line of JavaScript loaded before it exits when its standard input closes.

mod install;
mod shared;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use roombridge::base::rng::{Rng, SystemRng};

pub use self::shared::{CLIENT_ID, IDENTITY_HEADER, SharedAzurite, StorageConnection};
use crate::npm::NpmError;
use crate::signing::SigningError;
use crate::tls::{Tls, TlsError};

/// The account that every emulator has.
const DEFAULT_ACCOUNT: &str = "devstoreaccount1";
/// How many empty accounts wait for tests. The emulator learns of new ones only once a minute.
const SPARE_ACCOUNTS: usize = 400;
/// How long Azurite may take to listen, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Ends the emulator when the process that started it is gone.
const END_WITH_PARENT: &str =
    "data:text/javascript,process.stdin.resume().on('end',()=>process.exit())";

/// Azurite could not be installed or started.
#[derive(Debug, thiserror::Error)]
pub enum AzuriteError {
    /// npm could not install it.
    #[error(transparent)]
    Npm(#[from] NpmError),
    /// No Node is there that can run it.
    #[error(
        "there is no Node.js that can run the storage emulator: remove target/azurite and run this again"
    )]
    NoNode,
    /// It ended or stayed silent instead of listening.
    #[error("the storage emulator did not start: {0}")]
    Start(String),
    /// This program does not run from a Cargo target directory.
    #[error("cannot find Cargo's target directory above {0}")]
    NoTarget(PathBuf),
    /// A file or process could not be used.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Its certificate could not be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The key that signs tokens could not be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// No account is left.
    #[error("all {SPARE_ACCOUNTS} storage accounts are in use")]
    NoAccount,
}

/// One storage account of the emulator: nobody else uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its queue service, without a trailing slash.
    pub queue_url: String,
    /// Its table service, without a trailing slash.
    pub table_url: String,
}

/// A running emulator. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Azurite {
    process: Child,
    queue_port: u16,
    table_port: u16,
    next_account: AtomicUsize,
}

impl Azurite {
    /// Starts the emulator with the certificate of `tls`, on free ports of loopback, and waits
    /// until it listens. Blocks: from async code call it on a blocking thread.
    ///
    /// # Errors
    /// [`AzuriteError::Start`], with what it said.
    pub fn start(target: &Path, tls: &Tls) -> Result<Self, AzuriteError> {
        let home = target.join(install::FOLDER);
        let node = install::node(&home).ok_or(AzuriteError::NoNode)?;
        let mut process = Command::new(node)
            .current_dir(&home)
            .args(["--import", END_WITH_PARENT, "node_modules/azurite/dist/src/azurite.js"])
            .args(["--inMemoryPersistence", "--disableTelemetry", "--silent", "--oauth", "basic"])
            .args(["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"])
            .arg("--cert")
            .arg(std::path::absolute(tls.certificate_file())?)
            .arg("--key")
            .arg(std::path::absolute(tls.key_file())?)
            .env("AZURITE_ACCOUNTS", accounts())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        match wait_for_ports(&mut process) {
            Ok((queue_port, table_port)) => {
                Ok(Self { process, queue_port, table_port, next_account: AtomicUsize::new(0) })
            }
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error)
            }
        }
    }

    /// The queue service of the default account.
    pub fn queue_url(&self) -> String {
        self.url(self.queue_port, DEFAULT_ACCOUNT)
    }

    /// The table service of the default account.
    pub fn table_url(&self) -> String {
        self.url(self.table_port, DEFAULT_ACCOUNT)
    }

    /// An empty account that was handed to nobody before.
    ///
    /// # Errors
    /// [`AzuriteError::NoAccount`].
    pub fn account(&self) -> Result<Account, AzuriteError> {
        let number = self.next_account.fetch_add(1, Ordering::Relaxed);
        if number >= SPARE_ACCOUNTS {
            return Err(AzuriteError::NoAccount);
        }
        let name = account_name(number);
        Ok(Account {
            queue_url: self.url(self.queue_port, &name),
            table_url: self.url(self.table_port, &name),
            name,
        })
    }

    fn url(&self, port: u16, account: &str) -> String {
        format!("https://127.0.0.1:{port}/{account}")
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            drop(self.process.wait());
        }
    }
}

fn account_name(number: usize) -> String {
    format!("roombridge{number:03}")
}

/// The emulator's accounts in its own form, `name:key;name:key`. It wants keys, but callers here
/// only ever use OAuth, so nobody keeps these.
fn accounts() -> String {
    let mut key = [0; 64];
    let mut accounts = String::new();
    for name in
        std::iter::once(DEFAULT_ACCOUNT.to_owned()).chain((0..SPARE_ACCOUNTS).map(account_name))
    {
        SystemRng.fill(&mut key);
        accounts.push_str(&format!("{name}:{};", BASE64_STANDARD.encode(key)));
    }
    accounts
}

/// Reads what the emulator says until both services listen; a thread keeps reading, so that it
/// never meets a closed pipe.
fn wait_for_ports(process: &mut Child) -> Result<(u16, u16), AzuriteError> {
    let output =
        process.stdout.take().ok_or_else(|| AzuriteError::Start("no output".to_owned()))?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            drop(sender.send(line)); // nobody listens any more once it has started
        }
    });
    let (mut queue, mut said) = (None, String::new());
    loop {
        let line = lines
            .recv_timeout(START_LIMIT)
            .map_err(|_| AzuriteError::Start(format!("it ended or went silent after:\n{said}")))?;
        if let Some(port) = listening_port(&line, "Azurite Queue service") {
            queue = Some(port);
        }
        if let (Some(queue), Some(table)) = (queue, listening_port(&line, "Azurite Table service"))
        {
            return Ok((queue, table));
        }
        said.push_str(&line);
        said.push('\n');
    }
}

fn listening_port(line: &str, service: &str) -> Option<u16> {
    let address = line.strip_prefix(service)?.strip_prefix(" is successfully listening at ")?;
    address.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_what_it_says() {
        let line = "Azurite Table service is successfully listening at https://127.0.0.1:40803";
        assert_eq!(listening_port(line, "Azurite Table service"), Some(40803));
        let starting = "Azurite Table service is starting at https://127.0.0.1:0";
        assert_eq!(listening_port(starting, "Azurite Table service"), None);
    }
}
