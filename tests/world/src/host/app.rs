//! The app's files as the host reads them: host.json and one function.json a folder.
//!
//! Read strictly: what this project does not use, or what would make the real host call the handler
//! another way, is an error with the reason.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::function_json::{FunctionFile, parse_function};

/// A function app on disk.
#[derive(Debug, Clone)]
pub struct FunctionApp {
    /// The folder with host.json.
    pub root: PathBuf,
    /// What host.json says.
    pub settings: HostSettings,
    /// The functions, by name.
    pub functions: Vec<FunctionFile>,
    /// Whether an app setting connects Application Insights: only then do calls carry a trace context.
    pub has_telemetry: bool,
}

/// What host.json says, as far as this host acts on it.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// `functionTimeout`.
    pub function_timeout: Duration,
    /// `customHandler.description.defaultExecutablePath`.
    pub executable: String,
    /// `customHandler.initializationTimeout`, 30 s unless set (`HttpWorkerOptions`, 4.1037.0).
    pub initialization_timeout: Duration,
    /// `extensions.http.routePrefix`.
    pub route_prefix: String,
    /// `extensions.queues`.
    pub queues: QueueSettings,
}

/// `extensions.queues` in host.json (learn.microsoft.com/azure/azure-functions/
/// functions-bindings-storage-queue, 2024-10-30).
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// How many messages are taken at once, at most 32.
    pub batch_size: u8,
    /// More are taken when no more than this many are being worked on.
    pub new_batch_threshold: u16,
    /// After how many failed tries a message is poison.
    pub max_dequeue_count: u32,
    /// How long a message stays hidden after a failed try.
    pub visibility_timeout: Duration,
    /// How long an empty queue is left alone at most.
    pub max_polling_interval: Duration,
}

/// The app's files cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file says something that this host refuses.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl FunctionApp {
    /// Reads the app in `root`: host.json, and the function folders under `function-app/` as in the
    /// repository, or beside host.json as in a package.
    ///
    /// # Errors
    /// [`AppError`], naming the file.
    pub fn read(root: &Path) -> Result<Self, AppError> {
        let path = root.join("host.json");
        let settings = parse(&path).and_then(|file| host_settings(file).map_err(refused(&path)))?;
        let folders = root.join("function-app");
        let folders = if folders.is_dir() { folders } else { root.to_owned() };
        let mut functions = Vec::new();
        let entries = fs::read_dir(&folders)
            .map_err(|source| AppError::Unreadable { path: folders.clone(), source })?;
        for entry in entries.flatten() {
            let path = entry.path().join("function.json");
            if path.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let file = parse(&path)?;
                functions.push(parse_function(name, file).map_err(refused(&path))?);
            }
        }
        functions.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root: root.to_owned(), settings, functions, has_telemetry: false })
    }

    /// The function called `name`.
    pub fn function(&self, name: &str) -> Option<&FunctionFile> {
        self.functions.iter().find(|function| function.name == name)
    }
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, AppError> {
    let bytes =
        fs::read(path).map_err(|source| AppError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|e| refused(path)(e.to_string()))
}

fn refused(path: &Path) -> impl FnOnce(String) -> AppError {
    move |reason| AppError::Refused { path: path.to_owned(), reason }
}

fn host_settings(file: Value) -> Result<HostSettings, String> {
    let text = |pointer: &str, default: &str| {
        file.pointer(pointer).map_or(Some(default), Value::as_str).unwrap_or_default().to_owned()
    };
    let number = |pointer: &str, default: u64| {
        file.pointer(pointer).map_or(Some(default), Value::as_u64).unwrap_or_default()
    };
    let must = |pointer: &str, value: Value, why: &str| match file.pointer(pointer) {
        Some(found) if *found == value => Ok(()),
        _ => Err(format!("{pointer} must be {value}: {why}")),
    };
    must("/version", "2.0".into(), "the only schema of runtime 4.x")?;
    must(
        "/customHandler/enableProxyingHttpRequest",
        true.into(),
        "without it HTTP requests come wrapped or lose their bodies",
    )?;
    must(
        "/extensions/queues/messageEncoding",
        "none".into(),
        "the outbox writes plain text, and base64 is the default",
    )?;
    if file.get("retry").is_some() {
        return Err("retry in host.json would hit every function".to_owned());
    }
    let bundle = text("/extensionBundle/id", "");
    if bundle != "Microsoft.Azure.Functions.ExtensionBundle" {
        return Err("the queue trigger comes with the extension bundle".to_owned());
    }
    let batch_size = number("/extensions/queues/batchSize", 16);
    let small = |value: u64| u32::try_from(value).map_err(|e| e.to_string());
    Ok(HostSettings {
        function_timeout: time_span(&text("/functionTimeout", "00:30:00"))?,
        executable: text("/customHandler/description/defaultExecutablePath", ""),
        initialization_timeout: time_span(&text(
            "/customHandler/initializationTimeout",
            "00:00:30",
        ))?,
        route_prefix: text("/extensions/http/routePrefix", "api"),
        queues: QueueSettings {
            batch_size: u8::try_from(batch_size)
                .ok()
                .filter(|size| (1..=32).contains(size))
                .ok_or("batchSize must be 1 to 32")?,
            new_batch_threshold: u16::try_from(number(
                "/extensions/queues/newBatchThreshold",
                batch_size / 2,
            ))
            .map_err(|e| e.to_string())?,
            max_dequeue_count: small(number("/extensions/queues/maxDequeueCount", 5))?,
            visibility_timeout: time_span(&text(
                "/extensions/queues/visibilityTimeout",
                "00:00:00",
            ))?,
            max_polling_interval: time_span(&text(
                "/extensions/queues/maxPollingInterval",
                "00:01:00",
            ))?,
        },
    })
}

/// Reads .NET's `[d.]hh:mm:ss[.fffffff]`.
pub(super) fn time_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time span like 00:10:00");
    let fraction = text.rsplit_once('.').filter(|(whole, _)| whole.contains(':'));
    let (whole, fraction) = fraction.unwrap_or((text, ""));
    let nanoseconds: u32 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    let (days, clock) = whole.split_once('.').unwrap_or(("0", whole));
    let parts: Vec<u64> = clock.split(':').filter_map(|part| part.parse().ok()).collect();
    match (days.parse::<u64>(), parts.as_slice()) {
        (Ok(days), &[hours, minutes, seconds]) if hours < 24 && minutes < 60 && seconds < 60 => {
            let seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
            Ok(Duration::new(seconds, nanoseconds))
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn time_spans_are_read_as_dotnet_writes_them() {
        assert_eq!(time_span("00:10:00"), Ok(Duration::from_secs(600)));
        assert_eq!(time_span("1.00:00:30"), Ok(Duration::from_secs(86_430)));
        assert_eq!(time_span("00:00:00.500"), Ok(Duration::from_millis(500)));
        assert!(time_span("600").is_err() && time_span("00:99:00").is_err());
    }

    #[test]
    fn host_json_must_not_encode_messages() {
        let mut file = json!({
            "version": "2.0",
            "extensionBundle": { "id": "Microsoft.Azure.Functions.ExtensionBundle" },
            "customHandler": { "enableProxyingHttpRequest": true },
            "extensions": { "queues": { "messageEncoding": "none" } },
        });
        let settings = host_settings(file.clone()).unwrap();
        assert_eq!(settings.queues.visibility_timeout, Duration::ZERO, "the host's default");
        assert_eq!(settings.initialization_timeout, Duration::from_secs(30));
        file["extensions"]["queues"] = json!({});
        assert!(host_settings(file).is_err());
    }

    #[test]
    fn a_package_has_its_function_folders_beside_host_json() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let package = tempfile::tempdir().unwrap();
        fs::copy(repository.join("host.json"), package.path().join("host.json")).unwrap();
        for entry in fs::read_dir(repository.join("function-app")).unwrap().flatten() {
            let folder = package.path().join(entry.file_name());
            fs::create_dir(&folder).unwrap();
            fs::copy(entry.path().join("function.json"), folder.join("function.json")).unwrap();
        }
        let names = |root: &Path| {
            let functions = FunctionApp::read(root).unwrap().functions;
            functions.into_iter().map(|function| function.name).collect::<Vec<_>>()
        };
        assert_eq!(names(package.path()), names(&repository));
    }
}
