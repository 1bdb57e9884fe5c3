//! The DevTools protocol: JSON through the two pipes of a browser, each message closed by a NUL
//! (chromedevtools.github.io/devtools-protocol, `--remote-debugging-pipe`).

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use super::install::Installed;
use crate::{TestError, TestResult};

/// How long the browser may take to start, and then to answer, on a busy machine.
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A running browser with one page. Both end with it.
pub(super) struct DevTools {
    child: Child,
    pipes: Mutex<Pipes>,
    /// The session of the page.
    session: String,
}

struct Pipes {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    last_id: u64,
    /// What was read of the next message. It outlives a call that was given up.
    message: Vec<u8>,
}

impl DevTools {
    /// Starts the browser and opens the page.
    pub(super) async fn start(
        installed: &Installed,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Self, TestError> {
        // It reads file 3 and writes file 4, which a shell can open.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(&installed.program)
            .arg("--remote-debugging-pipe")
            .args(arguments)
            .envs(installed.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (to, from) = child.stdin.take().zip(child.stdout.take()).ok_or("no pipes")?;
        let (from, message) = (BufReader::new(from), Vec::new());
        let mut pipes = Pipes { to, from, last_id: 0, message };
        let page = pipes.call(None, "Target.createTarget", json!({ "url": "about:blank" })).await?;
        let page = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = pipes.call(None, "Target.attachToTarget", page).await?;
        let session = attached["sessionId"].as_str().ok_or("no session")?.to_owned();
        Ok(Self { child, pipes: Mutex::new(pipes), session })
    }

    /// Calls a method of the page, and answers its result.
    pub(super) async fn call(&self, method: &str, parameters: Value) -> Result<Value, TestError> {
        self.pipes.lock().await.call(Some(&self.session), method, parameters).await
    }

    /// Ends the browser, and waits until it has.
    pub(super) async fn close(mut self) -> TestResult {
        self.pipes.get_mut().call(None, "Browser.close", json!({})).await?;
        self.child.wait().await?;
        Ok(())
    }
}

impl Pipes {
    async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Result<Value, TestError> {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        self.to.write_all(format!("{request}\0").as_bytes()).await?;
        let answer = tokio::time::timeout(WAIT_TIMEOUT, self.answer(self.last_id)).await;
        let mut answer = answer.map_err(|_| format!("{method}: the browser does not answer"))??;
        match answer.get("error") {
            None => Ok(answer["result"].take()),
            Some(error) => Err(format!("{method}: {error}").into()),
        }
    }

    /// The answer to the call with this id. Events, and answers that nobody waits for any more, are
    /// skipped.
    async fn answer(&mut self, id: u64) -> Result<Value, TestError> {
        loop {
            self.from.read_until(0, &mut self.message).await?;
            if self.message.pop() != Some(0) {
                return Err("the browser has ended".into());
            }
            let message: Value = serde_json::from_slice(&self.message)?;
            self.message.clear();
            if message["id"] == id {
                return Ok(message);
            }
        }
    }
}
