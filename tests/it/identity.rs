//! The managed identity opens storage as it does in Azure: the Azure crate asks the endpoint that
//! the environment names, and the tables take the token.

use std::process::Stdio;

use roombridge::base::http::{ReqwestHttp, RetryPolicy, azure_transport};
use roombridge::identity::app_tokens::credential;
use roombridge::store::tables::azure::AzureTables;
use roombridge::store::tables::{RowKey, Table, Tables};
use world::azurite::{Azurite, CLIENT_ID, IDENTITY_HEADER};
use world::managed_identity::PATH;

use crate::TestResult;

/// Names the account's table service for the process started below.
const TABLES_URL: &str = "ROOMBRIDGE_TEST_TABLES_URL";

/// A process cannot change its own environment, so the test starts itself again with the
/// environment that the Functions host gives.
#[tokio::test]
async fn a_process_with_an_identity_needs_no_other_secret() -> TestResult {
    needs_azurite!();
    let shared = Azurite::shared().await?;
    let account = shared.azurite.account()?;
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, shared.tls.authority())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}{PATH}", listener.local_addr()?);
    let serving = axum::serve(listener, shared.identity.router());
    let server = tokio::spawn(async move { serving.await });

    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "identity::inside", "--ignored"])
        .env("IDENTITY_ENDPOINT", endpoint)
        .env("IDENTITY_HEADER", IDENTITY_HEADER)
        .env("SSL_CERT_FILE", authority)
        .env(TABLES_URL, account.table_url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    server.abort();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(
        shared.identity.requests_for("https://storage.azure.com"),
        1,
        "one token for all calls"
    );
    Ok(())
}

#[tokio::test]
#[ignore = "started by the test above, with its environment"]
async fn inside() -> TestResult {
    #[expect(clippy::disallowed_methods, reason = "the test above hands the address over so")]
    let url = std::env::var(TABLES_URL)?;
    let transport = azure_transport(ReqwestHttp::lazy());
    let credential = credential(CLIENT_ID, true, transport.clone())?;
    let tables = AzureTables::new(&url, &credential, &transport, RetryPolicy::WORKER)?;
    tables.create_all().await?;
    assert_eq!(tables.get(Table::Due, &RowKey::new("p", "r")).await?, None);
    Ok(())
}
