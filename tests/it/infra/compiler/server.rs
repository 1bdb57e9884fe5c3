//! The compiler as a process that answers questions: JSON-RPC over its standard input and output
//! (`bicep jsonrpc`).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::TestError;

/// What parameter files read, and what a compiler without a library for languages needs to start.
pub(super) const ENVIRONMENT: [(&str, &str); 9] = [
    ("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1"),
    ("ROOMBRIDGE_WITH_SITE", "true"),
    ("ROOMBRIDGE_APP_ORGANISATION_WIDE", "33333333-3333-4333-8333-333333333333"),
    ("ROOMBRIDGE_APP_SCOPED", "44444444-4444-4444-8444-444444444444"),
    ("ROOMBRIDGE_APP_PEOPLE", "55555555-5555-4555-8555-555555555555"),
    ("ROOMBRIDGE_APP_OPERATORS", "66666666-6666-4666-8666-666666666666"),
    ("ROOMBRIDGE_TENANTS", "77777777-7777-4777-8777-777777777777"),
    ("ROOMBRIDGE_ALERT_EMAILS", "operators@contoso.example"),
    ("ROOMBRIDGE_FEDERATED_PRINCIPAL_ID", "a0000000-0000-4000-8000-000000000005"),
];

pub(super) struct Server {
    /// It ends when its input does, which is when this process ends.
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Server {
    pub(super) fn start(compiler: &Path) -> Result<Self, TestError> {
        let mut command = Command::new(compiler);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROOMBRIDGE_") {
                command.env_remove(name);
            }
        }
        let mut process = command
            .args(["jsonrpc", "--stdio"])
            .envs(ENVIRONMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = process.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        Ok(Self { _process: process, input, output, asked: 0 })
    }

    /// Asks one question and waits for its answer.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Result<Value, TestError> {
        self.asked += 1;
        let question =
            json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params });
        let body = question.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{body}", body.len())?;
        self.input.flush()?;
        let mut answer = self.answer().map_err(|problem| format!("{method}: {problem}"))?;
        if let Some(error) = answer.get("error") {
            return Err(format!("{method}: {}", error["message"]).into());
        }
        Ok(answer["result"].take())
    }

    /// The next message: its headers, an empty line, and as many bytes as the headers say.
    fn answer(&mut self) -> Result<Value, TestError> {
        let mut length = None;
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                return Err("the compiler has ended".into());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some(said) = line.strip_prefix("Content-Length:") {
                length = Some(said.trim().parse()?);
            }
        }
        let mut body = vec![0; length.ok_or("a message without a length")?];
        self.output.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}
