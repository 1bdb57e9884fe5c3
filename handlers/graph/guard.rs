//! The run-time guard: every request to Graph passes it, and what is not on its list does not leave.
//!
//! It is an allow-list of whole requests: method, path, options and body. What it cannot place it
//! refuses. It judges the request as it would go over the wire, not how it was made.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::{fields, options::Options, properties::PropertyId};

/// Requests in one `$batch` (learn.microsoft.com/graph/json-batching, 2025-02-21).
pub const BATCH_MAX: usize = 20;

/// A request was stopped before it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guard stopped a request to Graph: {0}")]
pub struct Refusal(pub Rule);

/// The rule that a request broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// It leaves the Graph base address.
    #[error("it leaves the base address")]
    Address,
    /// Its method and path are none of those we make.
    #[error("no such request is ours")]
    Unknown,
    /// It has an option that is not on the list, or one twice.
    #[error("an option is not on the list")]
    Option,
    /// It reads a calendar without choosing fields, or chooses one that is not on the list.
    #[error("a field is not on the list")]
    Field,
    /// It expands something else than one extended property.
    #[error("an expansion is not on the list")]
    Expansion,
    /// It names an extended property that is not ours to read or write.
    #[error("an extended property is not on the list")]
    Property,
    /// Its body holds something that is not on the list.
    #[error("the body is not on the list")]
    Body,
    /// It subscribes to something else than the events of one mailbox.
    #[error("a subscription is for the events of one mailbox")]
    Resource,
}

/// How often calendars were read, and how often something forbidden was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardCounts {
    /// Requests that read a calendar or an event and were let through, those in batches included.
    pub calendar_reads: u64,
    /// Requests that were stopped. Anything but 0 is a fault in this code.
    pub forbidden_asked: u64,
}

/// Judges requests, and counts.
#[derive(Debug)]
pub(super) struct Guard {
    base: Url,
    reads: AtomicU64,
    forbidden: AtomicU64,
}

/// Calendar reads within one request that may pass.
type Reads = u64;

impl Guard {
    /// A guard for requests below `base`.
    pub(super) fn new(base: Url) -> Self {
        Self { base, reads: AtomicU64::default(), forbidden: AtomicU64::default() }
    }

    /// How often it let pass and how often it stopped.
    pub(super) fn counts(&self) -> GuardCounts {
        GuardCounts {
            calendar_reads: self.reads.load(Ordering::Relaxed),
            forbidden_asked: self.forbidden.load(Ordering::Relaxed),
        }
    }

    /// The absolute address of `target`: a path below the base, or a next link as it is.
    fn absolute(&self, target: &str) -> Result<Url, Refusal> {
        let text = if target.starts_with('/') {
            format!("{}{target}", self.base.as_str().trim_end_matches('/'))
        } else {
            target.to_owned()
        };
        Url::parse(&text).map_err(|_| Refusal(Rule::Address))
    }

    /// Lets a request pass and returns its address, exactly as it was judged.
    ///
    /// # Errors
    /// [`Refusal`] with the rule it broke; it must not be sent then.
    pub(super) fn check(
        &self,
        method: &http::Method,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Url, Refusal> {
        let judged = self.absolute(target).and_then(|url| {
            let reads = self.judge(method.as_str(), &url, body, false)?;
            Ok((url, reads))
        });
        match judged {
            Ok((url, reads)) => {
                self.reads.fetch_add(reads, Ordering::Relaxed);
                Ok(url)
            }
            Err(refusal) => {
                self.forbidden.fetch_add(1, Ordering::Relaxed);
                tracing::error!(rule = %refusal.0, "a request to Graph was stopped");
                Err(refusal)
            }
        }
    }

    fn judge(
        &self,
        method: &str,
        url: &Url,
        body: Option<&Value>,
        inner: bool,
    ) -> Result<Reads, Refusal> {
        let segments = self.segments(url)?;
        let options = Options::of(url)?;
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (method, path.as_slice(), body) {
            ("GET", ["users", mailbox, rest @ ..], None) => {
                guid(mailbox)?;
                read(rest, &options)
            }
            ("GET", ["subscriptions"], None) => options.only_paging().map(|()| 0),
            ("PATCH" | "POST", ["users", mailbox, "events", _, rest @ ..], Some(body)) => {
                guid(mailbox)?;
                options.none()?;
                write(method, rest, body)
            }
            ("POST", ["subscriptions"], Some(body)) => {
                options.none()?;
                subscription(body)
            }
            ("PATCH", ["subscriptions", _], Some(body)) => {
                options.none()?;
                object(body, fields::RENEWAL).map(|_| 0)
            }
            ("DELETE", ["subscriptions", _], None) => options.none().map(|()| 0),
            ("POST", ["$batch"], Some(body)) if !inner => {
                options.none()?;
                self.batch(body)
            }
            _ => Err(Refusal(Rule::Unknown)),
        }
    }

    /// The decoded path segments below the base. `users('id')`, which next links may use, counts
    /// as two.
    fn segments(&self, url: &Url) -> Result<Vec<String>, Refusal> {
        let here = url.origin() == self.base.origin()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        let below = url.path().strip_prefix(self.base.path().trim_end_matches('/'));
        let path = below.and_then(|path| path.strip_prefix('/')).filter(|_| here);
        let mut segments = Vec::new();
        for raw in path.ok_or(Refusal(Rule::Address))?.split('/') {
            let decoded = percent_encoding::percent_decode_str(raw).decode_utf8();
            let text = decoded.map_err(|_| Refusal(Rule::Address))?;
            if text.is_empty() || text.contains(['/', '\\', '?', '#']) {
                return Err(Refusal(Rule::Address));
            }
            match text.strip_prefix("users('").and_then(|rest| rest.strip_suffix("')")) {
                Some(id) => segments.extend(["users".to_owned(), id.to_owned()]),
                None => segments.push(text.into_owned()),
            }
        }
        Ok(segments)
    }

    fn batch(&self, body: &Value) -> Result<Reads, Refusal> {
        let requests = object(body, &["requests"])?.get("requests").and_then(Value::as_array);
        let requests = requests.ok_or(Refusal(Rule::Body))?;
        if requests.is_empty() || requests.len() > BATCH_MAX {
            return Err(Refusal(Rule::Body));
        }
        let mut reads = 0;
        for request in requests {
            let request = object(request, &["id", "method", "url", "headers", "body"])?;
            let text = |name| request.get(name).and_then(Value::as_str);
            let (method, target) = text("method").zip(text("url")).ok_or(Refusal(Rule::Body))?;
            let url = self.absolute(target)?;
            // It is sent as written, so it must mean what was judged: no dot segments, no base of
            // its own.
            if !target.starts_with('/') || !url.as_str().ends_with(target) {
                return Err(Refusal(Rule::Address));
            }
            reads += self.judge(method, &url, request.get("body"), true)?;
        }
        Ok(reads)
    }
}

/// A read below `/users/{id}`.
fn read(rest: &[&str], options: &Options) -> Result<Reads, Refusal> {
    match rest {
        ["calendar"] => options.reads(&[fields::CALENDAR], false, false),
        ["calendarView"] => options.reads(&[fields::EVENT], false, false),
        ["events"] => options.reads(&[fields::LOOK_UP], false, true),
        ["events", _] => options.reads(&[fields::EVENT, fields::SUBJECT], true, false),
        _ => Err(Refusal(Rule::Unknown)),
    }
}

/// A write below `/users/{id}/events/{id}`.
fn write(method: &str, rest: &[&str], body: &Value) -> Result<Reads, Refusal> {
    match (method, rest) {
        ("POST", ["accept" | "decline"]) => object(body, fields::ANSWER).map(|_| 0),
        ("PATCH", []) => {
            let body = object(body, fields::WRITABLE)?;
            if let Some(properties) = body.get(fields::PROPERTIES) {
                let properties = properties.as_array().ok_or(Refusal(Rule::Body))?;
                properties.iter().try_for_each(our_property)?;
            }
            Ok(0)
        }
        _ => Err(Refusal(Rule::Unknown)),
    }
}

fn our_property(property: &Value) -> Result<(), Refusal> {
    let property = object(property, &["id", "value"])?;
    let id = property.get("id").and_then(Value::as_str).unwrap_or_default();
    let ours = id.parse::<PropertyId>().is_ok_and(|id| id.is_ours());
    if ours { Ok(()) } else { Err(Refusal(Rule::Property)) }
}

fn subscription(body: &Value) -> Result<Reads, Refusal> {
    let resource = object(body, fields::SUBSCRIPTION)?.get("resource").and_then(Value::as_str);
    let mailbox = resource
        .and_then(|text| text.strip_prefix("users/"))
        .and_then(|text| text.strip_suffix("/events"));
    match mailbox.map(Uuid::try_parse) {
        Some(Ok(_)) => Ok(0),
        Some(Err(_)) | None => Err(Refusal(Rule::Resource)),
    }
}

/// The object, if it has no other members than these, and at least one.
fn object<'a>(value: &'a Value, members: &[&str]) -> Result<&'a Map<String, Value>, Refusal> {
    let object = value.as_object().ok_or(Refusal(Rule::Body))?;
    if !object.is_empty() && object.keys().all(|name| members.contains(&name.as_str())) {
        Ok(object)
    } else {
        Err(Refusal(Rule::Body))
    }
}

fn guid(text: &str) -> Result<(), Refusal> {
    Uuid::try_parse(text).map(drop).map_err(|_| Refusal(Rule::Unknown))
}
