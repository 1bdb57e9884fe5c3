//! The run-time allow-list: it checks every request to Graph, and blocks what is not on it.
//!
//! It lists whole requests: method, path, options and body. It checks a request as it would be sent
//! over the wire, not how it was made, so a mistake in the code that makes requests cannot get round it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use url::Url;

use super::{
    directory_rules, fields,
    property_id::PropertyId,
    query_options::GraphQueryOptions,
    subscription_rules,
    violation::{Violation, require_guid, require_object},
};

/// Requests in one `$batch` (learn.microsoft.com/graph/json-batching, 2025-02-21).
pub(in crate::graph) const BATCH_MAX: usize = 20;

/// What reads a calendar or an event, as the audit names its path: each a GET.
pub const CALENDAR_READS: &[&str] = &[
    "/users/{id}/calendar",
    "/users/{id}/calendarView",
    "/users/{id}/events",
    "/users/{id}/events/{id}",
    "/users/{id}/events/{id}/instances",
];

/// How often calendars were read, and how often a forbidden request was blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllowListCounts {
    /// Requests that read a calendar or an event and were let through, those in batches included.
    pub calendar_reads: u64,
    /// Requests that were blocked. Anything but 0 is a bug in this code.
    pub blocked: u64,
}

/// Judges requests, and counts.
#[derive(Debug)]
pub(in crate::graph) struct AllowList {
    base: Url,
    reads: AtomicU64,
    blocked: AtomicU64,
}

impl AllowList {
    /// An allow-list for requests below `base`.
    pub(in crate::graph) fn new(base: Url) -> Self {
        Self { base, reads: AtomicU64::default(), blocked: AtomicU64::default() }
    }

    /// What was let through and what was blocked since the start.
    pub(in crate::graph) fn counts(&self) -> AllowListCounts {
        AllowListCounts {
            calendar_reads: self.reads.load(Ordering::Relaxed),
            blocked: self.blocked.load(Ordering::Relaxed),
        }
    }

    /// The absolute address of `target`: a path below the base, or a next link as it is.
    fn absolute_url(&self, target: &str) -> Result<Url, Violation> {
        // A next link is judged like any other address, although Graph wrote it.
        let text = if target.starts_with('/') {
            format!("{}{target}", self.base.as_str().trim_end_matches('/'))
        } else {
            target.to_owned()
        };
        Url::parse(&text).map_err(|_| Violation::Address)
    }

    /// Returns the URL of a request that may be sent, exactly as it was checked; otherwise the rule
    /// that it broke.
    pub(in crate::graph) fn check(
        &self,
        method: &http::Method,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Url, Violation> {
        let judged = self.absolute_url(target).and_then(|url| {
            let reads = self.check_url(method.as_str(), &url, body, false)?;
            Ok((url, reads))
        });
        match judged {
            Ok((url, reads)) => {
                // Counted when it is let through, whether or not an answer comes.
                self.reads.fetch_add(reads, Ordering::Relaxed);
                Ok(url)
            }
            Err(refusal) => {
                self.blocked.fetch_add(1, Ordering::Relaxed);
                tracing::error!(rule = %refusal, "the allow-list blocked a request to Graph");
                Err(refusal)
            }
        }
    }

    fn check_url(
        &self,
        method: &str,
        url: &Url,
        body: Option<&Value>,
        inner: bool,
    ) -> Result<u64, Violation> {
        let segments = self.path_segments(url)?;
        let options = GraphQueryOptions::parse(url)?;
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        // The directory is asked call by call, never in a batch.
        if !inner
            && let Some(reads) =
                directory_rules::check_directory_request(method, &path, &options, body)?
        {
            return Ok(reads);
        }
        match (method, path.as_slice(), body) {
            ("GET", ["users", mailbox, rest @ ..], None) => {
                require_guid(mailbox)?;
                check_read(rest, &options)
            }
            ("GET", ["subscriptions"], None) => options.require_paging_only().map(|()| 0),
            ("GET", ["subscriptions", _], None) if !inner => options.require_none().map(|()| 0),
            // Never in a batch: the answer to each write decides what is done next.
            ("PATCH" | "POST", ["users", mailbox, "events", _, rest @ ..], Some(body))
                if !inner =>
            {
                require_guid(mailbox)?;
                options.require_none()?;
                check_write(method, rest, body)
            }
            ("POST", ["subscriptions"], Some(body)) if !inner => {
                options.require_none()?;
                subscription_rules::check_creation(body).map(|()| 0)
            }
            // The one write that batches hold: many are due at once, and none of them touches
            // anything but its own end.
            ("PATCH", ["subscriptions", _], Some(body)) => {
                options.require_none()?;
                subscription_rules::check_renewal(body).map(|()| 0)
            }
            ("DELETE", ["subscriptions", _], None) if !inner => options.require_none().map(|()| 0),
            ("POST", ["$batch"], Some(body)) if !inner => {
                options.require_none()?;
                self.check_batch(body)
            }
            _ => Err(Violation::Unknown),
        }
    }

    /// The decoded path segments below the base. `users('id')` and `groups('id')`, which next links
    /// may use, count as two.
    fn path_segments(&self, url: &Url) -> Result<Vec<String>, Violation> {
        let here = url.origin() == self.base.origin()
            // No address of ours has credentials or a fragment; they could hide where it leads.
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        let below = url.path().strip_prefix(self.base.path().trim_end_matches('/'));
        let path = below.and_then(|path| path.strip_prefix('/')).filter(|_| here);
        let mut segments = Vec::new();
        for raw in path.ok_or(Violation::Address)?.split('/') {
            let decoded = percent_encoding::percent_decode_str(raw).decode_utf8();
            let text = decoded.map_err(|_| Violation::Address)?;
            // An encoded slash is one segment here, and two for a server that decodes it again.
            if text.is_empty() || text.contains(['/', '\\', '?', '#']) {
                return Err(Violation::Address);
            }
            let keyed = text.strip_suffix("')").and_then(|keyed| keyed.split_once("('"));
            match keyed {
                Some((list @ ("users" | "groups"), id)) => {
                    segments.extend([list.to_owned(), id.to_owned()]);
                }
                Some(_) | None => segments.push(text.into_owned()),
            }
        }
        Ok(segments)
    }

    fn check_batch(&self, body: &Value) -> Result<u64, Violation> {
        let requests =
            require_object(body, &["requests"])?.get("requests").and_then(Value::as_array);
        let requests = requests.ok_or(Violation::Body)?;
        if requests.is_empty() || requests.len() > BATCH_MAX {
            return Err(Violation::Body);
        }
        let mut reads = 0;
        for request in requests {
            let request = require_object(request, &["id", "method", "url", "headers", "body"])?;
            let text = |name| request.get(name).and_then(Value::as_str);
            let (method, target) = text("method").zip(text("url")).ok_or(Violation::Body)?;
            let url = self.absolute_url(target)?;
            // It is sent as written, so it must mean what was judged: no dot segments, no base of
            // its own.
            if !target.starts_with('/') || !url.as_str().ends_with(target) {
                return Err(Violation::Address);
            }
            reads += self.check_url(method, &url, request.get("body"), true)?;
        }
        Ok(reads)
    }
}

/// A read below `/users/{id}`.
fn check_read(rest: &[&str], options: &GraphQueryOptions) -> Result<u64, Violation> {
    match rest {
        ["calendar"] => options.check_calendar_read(&[fields::CALENDAR], false, false),
        ["calendarView"] => options.check_calendar_read(&[fields::EVENT], false, false),
        // A look-up by filter, which must not become a way to read a whole calendar.
        ["events"] => options.check_calendar_read(&[fields::EVENT_LOOKUP], false, true),
        ["events", _] => {
            options.check_calendar_read(&[fields::EVENT, fields::SUBJECT], true, false)
        }
        ["events", _, "instances"] => {
            options.check_calendar_read(&[fields::EVENT, fields::INSTANCE_SUBJECT], false, false)
        }
        _ => Err(Violation::Unknown),
    }
}

/// A write below `/users/{id}/events/{id}`.
fn check_write(method: &str, rest: &[&str], body: &Value) -> Result<u64, Violation> {
    match (method, rest) {
        ("POST", ["accept" | "decline"]) => {
            require_object(body, fields::INVITATION_RESPONSE).map(|_| 0)
        }
        ("PATCH", []) => {
            let body = require_object(body, fields::EVENT_WRITE)?;
            if let Some(properties) = body.get(fields::EXTENDED_PROPERTIES) {
                let properties = properties.as_array().ok_or(Violation::Body)?;
                properties.iter().try_for_each(check_own_property)?;
            }
            Ok(0)
        }
        _ => Err(Violation::Unknown),
    }
}

fn check_own_property(property: &Value) -> Result<(), Violation> {
    let property = require_object(property, &["id", "value"])?;
    let id = property.get("id").and_then(Value::as_str).unwrap_or_default();
    let ours = id.parse::<PropertyId>().is_ok_and(|id| id.is_ours());
    if ours { Ok(()) } else { Err(Violation::Property) }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{MailboxId, RoomId};
    use crate::graph::allow_list::fields::{EXPAND, FILTER, SELECT};

    const ANN: &str = "00000000-0000-0000-0000-00000000000a";

    fn allow_list() -> AllowList {
        AllowList::new("https://graph.test/v1.0".parse().unwrap())
    }

    fn get(target: &str) -> Result<(), Violation> {
        allow_list().check(&Method::GET, target, None).map(drop)
    }

    fn send(method: Method, target: &str, body: &Value) -> Result<(), Violation> {
        allow_list().check(&method, target, Some(body)).map(drop)
    }

    #[test]
    fn a_calendar_read_chooses_fields_from_the_list() {
        let event = format!("/users/{ANN}/events/AAMk");
        assert_eq!(get(&format!("{event}?{SELECT}=id,start")), Ok(()));
        assert_eq!(get(&format!("{event}?{SELECT}=subject")), Ok(()));
        for bad in [
            event.clone(),
            format!("{event}?{SELECT}="),
            format!("{event}?{SELECT}=id,body"),
            format!("{event}?{SELECT}=id,%62ody"),
            format!("{event}?{SELECT}=id,subject"),
            format!("{event}?{SELECT}=ID"),
            format!("{event}?{SELECT}=*"),
            format!("/users/{ANN}/calendarView?startDateTime=a&endDateTime=b"),
            format!("/users/{ANN}/calendarView?{SELECT}=subject"),
            format!("/users/{ANN}/events?{SELECT}=id,start"),
            format!("/users/{ANN}/calendar?{SELECT}=owner"),
        ] {
            assert_eq!(get(&bad), Err(Violation::Field), "{bad}");
        }
        for word in fields::FORBIDDEN {
            assert_eq!(get(&format!("{event}?{SELECT}={word}")), Err(Violation::Field), "{word}");
        }
    }

    #[test]
    fn options_that_could_change_the_choice_are_refused() {
        let event = format!("/users/{ANN}/events/AAMk?{SELECT}=id");
        for bad in
            ["select=body", "$SELECT=body", "$search=x", "$format=x", "$orderby=subject", "x=y"]
        {
            assert_eq!(get(&format!("{event}&{bad}")), Err(Violation::Option), "{bad}");
        }
        assert_eq!(get(&format!("{event}&{SELECT}=body")), Err(Violation::Option));
        assert_eq!(get(&format!("{event}&{FILTER}=contains(subject,'x')")), Err(Violation::Option));
        let list = format!("/users/{ANN}/events?{SELECT}=id&{FILTER}=");
        assert_eq!(get(&format!("{list}iCalUId eq 'it''s'")), Ok(()));
        for bad in [
            "subject eq 'x'",
            "iCalUId eq 'x' or subject ne ''",
            "iCalUId eq 'x' or startswith(subject,'Merger')",
            "iCalUId eq subject",
            "iCalUId eq ",
            "iCalUId eq '",
        ] {
            assert_eq!(get(&format!("{list}{bad}")), Err(Violation::Option), "{bad}");
        }
    }

    #[test]
    fn only_one_named_property_is_expanded() {
        let event = format!("/users/{ANN}/events/AAMk?{SELECT}=id&{EXPAND}=");
        let ours = fields::expand_value(&PropertyId::outcome(RoomId(Uuid::nil())));
        assert_eq!(get(&format!("{event}{ours}")), Ok(()));
        for bad in [
            "attachments".to_owned(),
            fields::EXTENDED_PROPERTIES.to_owned(),
            format!("{ours},attachments"),
            format!("{}({FILTER}=id eq 'String 0x0037')", fields::EXTENDED_PROPERTIES),
            ours.replace("')", "' or id eq 'String 0x1000')"),
        ] {
            assert_eq!(get(&format!("{event}{bad}")), Err(Violation::Expansion), "{bad}");
        }
    }

    #[test]
    fn nothing_leaves_the_base_address() {
        let rest = format!("users/{ANN}/events/AAMk?{SELECT}=id");
        assert_eq!(get(&format!("https://graph.test/v1.0/{rest}")), Ok(()));
        assert_eq!(
            get(&format!("https://graph.test/v1.0/users('{ANN}')/calendarView?{SELECT}=id")),
            Ok(())
        );
        for bad in [
            format!("https://evil.test/v1.0/{rest}"),
            format!("http://graph.test/v1.0/{rest}"),
            format!("https://graph.test:444/v1.0/{rest}"),
            format!("https://graph.test@evil.test/v1.0/{rest}"),
            format!("https://me:x@graph.test/v1.0/{rest}"),
            format!("https://graph.test/beta/{rest}"),
            format!("https://graph.test/v1.0/../beta/{rest}"),
            format!("https://graph.test/v1.0//{rest}"),
            format!("/users/{ANN}%2Fmessages/events/AAMk?{SELECT}=id"),
            format!("/{rest}#x"),
        ] {
            assert_eq!(get(&bad), Err(Violation::Address), "{bad}");
        }
        for unknown in [
            format!("/users/{ANN}/messages?{SELECT}=id"),
            format!("/users/{ANN}/events/AAMk/attachments?{SELECT}=id"),
            format!("/me/events/AAMk?{SELECT}=id"),
            format!("/users/ann@contoso.test/events/AAMk?{SELECT}=id"),
        ] {
            assert_eq!(get(&unknown), Err(Violation::Unknown), "{unknown}");
        }
    }

    #[test]
    fn writes_hold_our_property_a_category_or_an_answer_and_nothing_else() {
        let event = format!("/users/{ANN}/events/AAMk");
        let patch = |body: Value| send(Method::PATCH, &event, &body);
        let ours = PropertyId::outcome(RoomId(Uuid::nil())).to_string();
        let property =
            |id: &str| json!({ fields::EXTENDED_PROPERTIES: [{ "id": id, "value": "x" }] });
        assert_eq!(patch(property(&ours)), Ok(()));
        assert_eq!(patch(json!({ "categories": ["Booked"] })), Ok(()));
        assert_eq!(patch(property("String 0x0037")), Err(Violation::Property));
        let foreign = "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b3} Name X";
        assert_eq!(patch(property(foreign)), Err(Violation::Property));
        for bad in [
            json!({}),
            json!([]),
            json!({ "subject": "x" }),
            json!({ "body": { "content": "x" } }),
            json!({ "attendees": [] }),
            json!({ fields::EXTENDED_PROPERTIES: "x" }),
            json!({ fields::EXTENDED_PROPERTIES: [{ "id": ours, "value": "x", "more": 1 }] }),
        ] {
            assert_eq!(patch(bad.clone()), Err(Violation::Body), "{bad}");
        }
        let accept = format!("{event}/accept");
        assert_eq!(send(Method::POST, &accept, &json!({ "sendResponse": true })), Ok(()));
        let comment = json!({ "sendResponse": true, "comment": "hello" });
        assert_eq!(send(Method::POST, &accept, &comment), Err(Violation::Body));
        let forward = format!("{event}/forward");
        assert_eq!(send(Method::POST, &forward, &json!({})), Err(Violation::Unknown));
    }

    #[test]
    fn a_subscription_is_for_the_events_of_one_mailbox() {
        let order = |resource: &str| json!({ "changeType": "created", "resource": resource });
        let post = |body: &Value| send(Method::POST, "/subscriptions", body);
        assert_eq!(post(&order(&format!("users/{ANN}/events"))), Ok(()));
        for bad in [
            format!("users/{ANN}/events?{SELECT}=subject"),
            format!("users/{ANN}/messages"),
            format!("users/{ANN}/calendars/x/events"),
            "users/ann@contoso.test/events".to_owned(),
            "me/events".to_owned(),
        ] {
            assert_eq!(post(&order(&bad)), Err(Violation::Resource), "{bad}");
        }
        let patch = |body: &Value| send(Method::PATCH, "/subscriptions/x", body);
        assert_eq!(patch(&json!({ "expirationDateTime": "x" })), Ok(()));
        assert_eq!(patch(&json!({ "notificationUrl": "x" })), Err(Violation::Body));
        assert_eq!(patch(&json!({})), Err(Violation::Body));
    }

    /// The outer form of a certificate, and that of a private key.
    const CERTIFICATE: &str = "MIIABDACBQA=";
    const PRIVATE_KEY: &str = "MAUCAQAwAA==";

    fn rich(resource: &str) -> Value {
        json!({
            "resource": resource,
            "includeResourceData": true,
            "encryptionCertificate": CERTIFICATE,
            "encryptionCertificateId": "c20261122-0a1b2c3d",
        })
    }

    #[test]
    fn content_comes_with_exactly_the_allowed_fields_and_one_property() {
        let post = |body: &Value| send(Method::POST, "/subscriptions", body);
        let ann = MailboxId(ANN.parse().unwrap());
        let property = PropertyId::outcome(RoomId(Uuid::nil()));
        let bare = fields::events_resource_with_data(ann, None);
        let expanded = fields::events_resource_with_data(ann, Some(&property));
        assert_eq!(post(&rich(&bare)), Ok(()));
        assert_eq!(post(&rich(&expanded)), Ok(()));
        for bad in [
            bare.replace("?", "?$top=1&"),
            bare.replace("id,", ""),
            bare.replace("id,", "id,subject,"),
            bare.replace("id,", "id,body,"),
            bare.replace("id,", "id,id,"),
            bare.replace("type", "Type"),
            bare.replace("users/", "Users/"),
            bare.replace("users/", "/users/"),
            bare.replace("/events", "/messages"),
            bare.replace("/events", "/calendars/x/events"),
            bare.replace(ANN, "ann@contoso.test"),
            bare.replace(ANN, &ANN.replace('a', "A")),
            bare.replace(ANN, &format!("{ANN}/events/x")),
            format!("{bare}&{SELECT}=subject"),
            format!("{bare}&{EXPAND}=attachments"),
            format!("{bare},subject"),
            format!("{bare}%2Csubject"),
            format!("{bare}#subject"),
            format!("{expanded},attachments"),
            format!("{expanded}&{FILTER}=isCancelled eq false"),
            expanded.replace("single", "multi"),
            expanded.replace("')", "' or id eq 'String 0x1000')"),
            expanded.replace(" eq ", " ne "),
            format!("users/{ANN}/events?"),
            format!("users/{ANN}/events?{SELECT}="),
            format!("users/{ANN}/events?{SELECT}=id"),
            format!("users/{ANN}/events?{EXPAND}={}", fields::expand_value(&property)),
        ] {
            assert_eq!(post(&rich(&bad)), Err(Violation::Resource), "{bad}");
        }
        for word in [fields::FORBIDDEN, fields::SUBJECT].concat() {
            let named = bare.replace("attendees", word);
            assert_eq!(post(&rich(&named)), Err(Violation::Resource), "{word}");
        }
        let content = "String {00062002-0000-0000-C000-000000000046} Name X";
        let foreign = expanded.replace(&property.to_string(), content);
        assert_eq!(post(&rich(&foreign)), Err(Violation::Expansion));
    }

    #[test]
    fn content_is_sealed_or_not_asked_for() {
        let post = |body: &Value| send(Method::POST, "/subscriptions", body);
        let whole = rich(&fields::events_resource_with_data(MailboxId(ANN.parse().unwrap()), None));
        let with = |member: &str, value: Value| {
            let mut changed = whole.clone();
            changed[member] = value;
            changed
        };
        for member in ["includeResourceData", "encryptionCertificate", "encryptionCertificateId"] {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(member);
            assert_eq!(post(&part), Err(Violation::Body), "{member}");
            let mut bare = json!({ "resource": format!("users/{ANN}/events") });
            bare[member] = whole[member].clone();
            assert_eq!(post(&bare), Err(Violation::Body), "{member} with nothing to seal");
        }
        for bad in [
            with("includeResourceData", json!(false)),
            with("includeResourceData", json!("true")),
            with("encryptionCertificate", json!("")),
            with("encryptionCertificate", json!("not base64")),
            with("encryptionCertificate", json!(PRIVATE_KEY)),
            with("encryptionCertificate", json!("MIIABTACBQA=".repeat(1000))),
            with("encryptionCertificateId", json!("")),
            with("encryptionCertificateId", json!("a b")),
            with("encryptionCertificateId", json!("x".repeat(129))),
            with("encryptionCertificateThumbprint", json!("x")),
        ] {
            assert_eq!(post(&bad), Err(Violation::Body), "{bad}");
        }
    }

    #[test]
    fn a_renewal_brings_a_whole_certificate_or_none() {
        let patch = |body: &Value| send(Method::PATCH, "/subscriptions/x", body);
        let end = json!({ "expirationDateTime": "x" });
        let mut whole = end.clone();
        whole["encryptionCertificate"] = json!(CERTIFICATE);
        whole["encryptionCertificateId"] = json!("c1");
        assert_eq!(patch(&whole), Ok(()));
        for member in ["expirationDateTime", "encryptionCertificate", "encryptionCertificateId"] {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(member);
            assert_eq!(patch(&part), Err(Violation::Body), "without {member}");
        }
        whole["encryptionCertificate"] = json!(PRIVATE_KEY);
        assert_eq!(patch(&whole), Err(Violation::Body));
        let mut more = end;
        more["includeResourceData"] = json!(true);
        assert_eq!(patch(&more), Err(Violation::Body));
    }

    #[test]
    fn the_one_write_in_a_batch_is_a_renewal() {
        let post =
            |requests: Vec<Value>| send(Method::POST, "/$batch", &json!({ "requests": requests }));
        let inner = |method: &str, url: &str, body: Value| {
            let headers = json!({ "Content-Type": "application/json" });
            json!({ "id": "1", "method": method, "url": url, "headers": headers, "body": body })
        };
        let end = json!({ "expirationDateTime": "x" });
        let mut sealed = end.clone();
        sealed["encryptionCertificate"] = json!(CERTIFICATE);
        sealed["encryptionCertificateId"] = json!("c1");
        let basic = inner("PATCH", "/subscriptions/x", end.clone());
        let rich = inner("PATCH", "/subscriptions/y", sealed);
        let read = json!({ "id": "2", "method": "GET", "url": format!("/users/{ANN}/events/A?{SELECT}=id") });
        assert_eq!(post(vec![basic.clone(); 20]), Ok(()));
        assert_eq!(post(vec![basic.clone(); 21]), Err(Violation::Body));
        assert_eq!(post(vec![basic.clone(), rich, read]), Ok(()));
        let half = json!({ "expirationDateTime": "x", "encryptionCertificateId": "c1" });
        let order = json!({ "resource": format!("users/{ANN}/events") });
        let event = format!("/users/{ANN}/events/A");
        let property = PropertyId::outcome(RoomId(Uuid::nil())).to_string();
        let stamp = json!({ fields::EXTENDED_PROPERTIES: [{ "id": property, "value": "x" }] });
        for (bad, rule) in [
            (inner("PATCH", "/subscriptions/x", half), Violation::Body),
            (
                inner("PATCH", &format!("/subscriptions/x?{SELECT}=id"), end.clone()),
                Violation::Option,
            ),
            (inner("PATCH", "/subscriptions", end.clone()), Violation::Unknown),
            (inner("PUT", "/subscriptions/x", end), Violation::Unknown),
            (inner("POST", "/subscriptions", order), Violation::Unknown),
            (inner("PATCH", &event, stamp), Violation::Unknown),
            (
                inner("POST", &format!("{event}/accept"), json!({ "sendResponse": true })),
                Violation::Unknown,
            ),
            (
                json!({ "id": "1", "method": "DELETE", "url": "/subscriptions/x" }),
                Violation::Unknown,
            ),
        ] {
            assert_eq!(post(vec![basic.clone(), bad.clone()]), Err(rule), "{bad}");
        }
    }

    #[test]
    fn a_batch_is_judged_by_each_of_its_requests() {
        let good = json!({ "id": "0", "method": "GET", "url": format!("/users/{ANN}/events/A?{SELECT}=id") });
        let post =
            |requests: Vec<Value>| send(Method::POST, "/$batch", &json!({ "requests": requests }));
        assert_eq!(post(vec![good.clone(); 20]), Ok(()));
        assert_eq!(post(vec![good.clone(); 21]), Err(Violation::Body));
        assert_eq!(post(vec![]), Err(Violation::Body));
        let other = |url: &str| json!({ "id": "1", "method": "GET", "url": url });
        for (url, rule) in [
            (format!("/users/{ANN}/events/A"), Violation::Field),
            (format!("/users/{ANN}/events/A?{SELECT}=body"), Violation::Field),
            (format!("/x/../users/{ANN}/events/A?{SELECT}=id"), Violation::Address),
            (
                format!("https://graph.test/v1.0/users/{ANN}/events/A?{SELECT}=id"),
                Violation::Address,
            ),
            ("/$batch".to_owned(), Violation::Unknown),
        ] {
            assert_eq!(post(vec![good.clone(), other(&url)]), Err(rule), "{url}");
        }
        let nested = json!({ "id": "1", "method": "POST", "url": "/$batch", "body": { "requests": [good] } });
        assert_eq!(post(vec![nested]), Err(Violation::Unknown));
    }

    #[test]
    fn it_counts_what_it_lets_pass_and_what_it_stops() {
        let allow_list = allow_list();
        let event = format!("/users/{ANN}/events/A?{SELECT}=id");
        let inner = json!({ "id": "0", "method": "GET", "url": event });
        allow_list.check(&Method::GET, &event, None).unwrap();
        let batch = json!({ "requests": [inner.clone(), inner] });
        allow_list.check(&Method::POST, "/$batch", Some(&batch)).unwrap();
        allow_list.check(&Method::GET, "/subscriptions", None).unwrap();
        allow_list.check(&Method::GET, &format!("{event},body"), None).unwrap_err();
        assert_eq!(allow_list.counts(), AllowListCounts { calendar_reads: 3, blocked: 1 });
    }
}
