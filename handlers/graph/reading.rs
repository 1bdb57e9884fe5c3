//! Reads of single events, of a mailbox as such, and of short lists.

use http::Method;
use serde::de::DeserializeOwned;

use super::{
    client::{Ask, TenantGraph, event_path},
    error::GraphError,
    events::EventRead,
    fields,
    guard::BATCH_MAX,
    properties::add_in,
    property_id::PropertyId,
    wire::{EventWire, FoundWire, Missing, Page, Reply, SubjectWire},
};
use crate::domain::{
    ids::{CorrelationId, EventId, MailboxId},
    personal::Personal,
};

/// Pages of a short list followed in all; more than this is a list without an end.
pub(super) const PAGES_MAX: usize = 50;

/// An event to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose calendar.
    pub mailbox: MailboxId,
    /// Which event there.
    pub event: EventId,
    /// What causes this read; the reads of one batch may have causes of their own.
    pub correlation: CorrelationId,
}

impl TenantGraph {
    /// Reads events: one GET for one, `$batch` for several (20 a call). The answers come in the
    /// order asked; `Ok(None)` means that there is no such event. With `add_in_property` (in the
    /// form of [`PropertyId`]) that extended property is read as well.
    ///
    /// # Errors
    /// Each event has its own [`GraphError`].
    pub async fn events(
        &self,
        wanted: &[Wanted],
        add_in_property: Option<&str>,
    ) -> Vec<Result<Option<EventRead>, GraphError>> {
        let property = match add_in(add_in_property) {
            Ok(property) => property,
            Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
        };
        let property = property.as_ref();
        let mut events = Vec::with_capacity(wanted.len());
        for chunk in wanted.chunks(BATCH_MAX) {
            let asks: Vec<Ask> = chunk
                .iter()
                .map(|wanted| Ask {
                    correlation: Some(wanted.correlation),
                    ..first_read(wanted.mailbox, &wanted.event, property)
                })
                .collect();
            let replies = match asks.as_slice() {
                [ask] => vec![self.call(ask).await],
                asks => self.batch(asks).await,
            };
            events.extend(replies.into_iter().map(|reply| event_of(&reply?, property)));
        }
        events
    }

    /// The subject, in a read of its own: call it only for an event that holds a managed room, and
    /// only where the policy keeps subjects. `Ok(None)`: there is no such event, or no subject.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn subject(
        &self,
        mailbox: MailboxId,
        event: &EventId,
    ) -> Result<Option<Personal>, GraphError> {
        let target = event_path(mailbox, event);
        let ask = read("/users/{id}/events/{id}", target, mailbox, fields::SUBJECT);
        let wire = found::<SubjectWire>(&self.call(&ask).await?)?;
        Ok(wire.and_then(|wire| wire.subject).map(Personal::new))
    }

    /// Whether the mailbox has a calendar that we can read: what tells "the event is gone" from
    /// "everything is". `Ok(false)` when Graph knows no such mailbox.
    ///
    /// # Errors
    /// [`GraphError`]; `Denied` when a permission is missing.
    pub async fn mailbox_is_readable(&self, mailbox: MailboxId) -> Result<bool, GraphError> {
        let target = format!("/users/{mailbox}/calendar");
        let ask = read("/users/{id}/calendar", target, mailbox, fields::CALENDAR);
        match self.call(&ask).await?.check() {
            Ok(()) => Ok(true),
            Err(GraphError::MailboxGone) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Finds the copy of an appointment in a mailbox by the `iCalUId` that all copies share.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn find(
        &self,
        mailbox: MailboxId,
        ical_uid: &Personal,
    ) -> Result<Option<EventId>, GraphError> {
        let uid = ical_uid.reveal();
        let mut ask = read(
            "/users/{id}/events",
            format!("/users/{mailbox}/events"),
            mailbox,
            fields::LOOK_UP,
        );
        ask.target.push('&');
        ask.target.push_str(&fields::by_ical_uid(uid));
        let reply = self.call(&ask).await?;
        reply.check()?;
        let page: Page<FoundWire> = reply.json()?;
        // The filter is Graph's word; the comparison is ours.
        let found = page.value.into_iter().find(|e| e.ical_uid.as_deref() == Some(uid));
        found.map(|e| e.id.parse().map_err(|_| GraphError::Unreadable)).transpose()
    }
    /// The items of a short list, page after page, `most` of them at the most.
    pub(super) async fn whole<T: DeserializeOwned>(
        &self,
        mut ask: Ask,
        most: usize,
    ) -> Result<Vec<T>, GraphError> {
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            let reply = self.call(&ask).await?;
            reply.check()?;
            let page: Page<T> = reply.json()?;
            items.extend(page.value);
            match page.next {
                Some(next) if items.len() < most => ask.target = next,
                Some(_) | None => {
                    items.truncate(most);
                    return Ok(items);
                }
            }
        }
        Err(GraphError::Unreadable)
    }
}

/// A GET of these fields.
pub(super) fn read(
    template: &'static str,
    path: String,
    mailbox: MailboxId,
    chosen: &[&str],
) -> Ask {
    Ask { mailboxes: vec![mailbox], ..choose(template, path, chosen) }
}

/// A GET of these fields that touches no mailbox.
pub(super) fn choose(template: &'static str, path: String, chosen: &[&str]) -> Ask {
    let separator = if path.contains('?') { '&' } else { '?' };
    let target = format!("{path}{separator}{}", fields::select(chosen));
    Ask { fields: chosen.join(","), ..Ask::new(Method::GET, template, target) }
}

fn first_read(mailbox: MailboxId, event: &EventId, property: Option<&PropertyId>) -> Ask {
    let path = event_path(mailbox, event);
    let mut ask = read("/users/{id}/events/{id}", path, mailbox, fields::EVENT);
    if let Some(property) = property {
        ask.target.push('&');
        ask.target.push_str(&fields::expand(property));
        ask.fields.push(',');
        ask.fields.push_str(fields::PROPERTIES);
    }
    ask
}

fn event_of(reply: &Reply, property: Option<&PropertyId>) -> Result<Option<EventRead>, GraphError> {
    let wire = found::<EventWire>(reply)?;
    wire.map(|wire| EventRead::of(wire, property)).transpose()
}

/// The JSON of one event; `None` when there is no such event.
fn found<T: DeserializeOwned>(reply: &Reply) -> Result<Option<T>, GraphError> {
    match reply.missing() {
        Some(Missing::Event) => Ok(None),
        Some(Missing::Mailbox | Missing::Unknown) | None => {
            reply.check()?;
            reply.json().map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::{
        error::Cause,
        guard::GuardCounts,
        refusal::{Refusal, Rule},
        trial::{ANN, Trial, event, event_id},
    };

    fn error(code: &str) -> Value {
        json!({ "error": { "code": code, "message": "Dinner with Ann" } })
    }

    fn inner(id: usize, status: u16, body: Value) -> Value {
        json!({ "id": id.to_string(), "status": status, "headers": {}, "body": body })
    }

    /// Each with a cause of its own, the first with the trial's.
    fn wanted(id: &str) -> Wanted {
        let cause = if id == "B" { 0xB } else { 0xC0 };
        Wanted { mailbox: ANN, event: event_id(id), correlation: CorrelationId(cause) }
    }

    fn three() -> Vec<Wanted> {
        ["A", "B", "C"].map(wanted).to_vec()
    }

    #[tokio::test]
    async fn one_event_is_one_get_of_the_listed_fields() {
        let trial = Trial::new();
        trial.far.then(200, &event("AAMk="));
        let read = trial.tenant.events(&[wanted("AAMk=")], None).await;
        assert_eq!(read[0].as_ref().unwrap().as_ref().unwrap().event, event_id("AAMk="));
        let asked = &trial.asked()[0];
        assert!(asked.starts_with(&format!("GET /users/{ANN}/events/AAMk%3D?")), "{asked}");
        assert!(asked.ends_with("=id,iCalUId,type,start,end,isAllDay,isCancelled,isOrganizer,sensitivity,attendees,organizer,originalStart,seriesMasterId,lastModifiedDateTime"));
        assert_eq!(trial.last_header("prefer"), r#"IdType="ImmutableId", outlook.timezone="UTC""#);
        assert_eq!(trial.last_header("authorization"), "Bearer token-1");
        assert_eq!(trial.last_header("client-request-id"), "00000000-0000-0000-0000-0000000000c0");
        assert_eq!(trial.last_header("return-client-request-id"), "false");
        let trail = trial.trail();
        assert_eq!(trail.len(), 1);
        assert_eq!((trail[0].method, trail[0].path), ("GET", "/users/{id}/events/{id}"));
        assert_eq!((trail[0].status, trail[0].fields.as_str()), (200, &*fields::EVENT.join(",")));
    }

    #[tokio::test]
    async fn several_events_are_one_batch_and_answered_in_the_order_asked() {
        let trial = Trial::new();
        let throttled = json!({
            "id": "1", "status": 429, "headers": { "Retry-After": "7" }, "body": error("ApplicationThrottled"),
        });
        let responses =
            [inner(2, 404, error("ErrorItemNotFound")), throttled, inner(0, 200, event("A"))];
        trial.far.then(200, &json!({ "responses": responses }));
        let read = trial.tenant.events(&three(), None).await;
        assert_eq!(read[0].as_ref().unwrap().as_ref().unwrap().event, event_id("A"));
        let after = Some(SignedDuration::from_secs(7));
        assert_eq!(read[1], Err(GraphError::Wait { after, cause: Cause::Throttled }));
        assert_eq!(read[2], Ok(None));
        let body = trial.last_body();
        assert_eq!(body["requests"].as_array().unwrap().len(), 3);
        let prefer = &body["requests"][0]["headers"]["Prefer"];
        assert_eq!(prefer, r#"IdType="ImmutableId", outlook.timezone="UTC""#);
        let id = &body["requests"][1]["headers"]["client-request-id"];
        assert_eq!(id, "00000000-0000-0000-0000-00000000000b");
        let calls = trial.trail();
        let causes: Vec<_> = calls.iter().map(|c| c.correlation.0).collect();
        assert_eq!(causes, [0xC0, 0xC0, 0xB, 0xC0]);
        let trail: Vec<_> = calls.iter().map(|c| (c.method, c.path, c.status)).collect();
        let read = |status| ("GET", "/users/{id}/events/{id}", status);
        assert_eq!(trail, [("POST", "/$batch", 200), read(200), read(429), read(404)]);
        assert_eq!(trial.graph.counts(), GuardCounts { calendar_reads: 3, forbidden_asked: 0 });
    }

    #[tokio::test]
    async fn a_part_that_is_not_answered_is_unreadable_and_spoils_no_other() {
        let trial = Trial::new();
        let broken = json!({ "id": "nonsense", "status": 200 });
        trial.far.then(200, &json!({ "responses": [inner(2, 200, event("C")), broken] }));
        let read = trial.tenant.events(&three(), None).await;
        assert_eq!(read[0], Err(GraphError::Unreadable));
        assert_eq!(read[1], Err(GraphError::Unreadable));
        assert!(matches!(read[2], Ok(Some(_))));
    }

    #[tokio::test]
    async fn a_batch_that_fails_as_a_whole_fails_for_each() {
        let trial = Trial::new();
        trial.far.then_silence().then_with(503, &[("retry-after", "11")], &json!({}));
        let silence = Err(GraphError::Wait { after: None, cause: Cause::NoAnswer("timed out") });
        assert_eq!(trial.tenant.events(&three(), None).await, vec![silence; 3]);
        let after = Some(SignedDuration::from_secs(11));
        let unavailable = Err(GraphError::Wait { after, cause: Cause::Unavailable(503) });
        assert_eq!(trial.tenant.events(&three(), None).await, vec![unavailable; 3]);
        let statuses: Vec<_> = trial.trail().iter().map(|call| call.status).collect();
        assert_eq!(statuses, [0, 0, 0, 0, 503, 0, 0, 0]);
    }

    #[tokio::test]
    async fn forty_one_events_are_two_batches_and_a_get() {
        let trial = Trial::new();
        let full: Vec<Value> = (0..20).map(|n| inner(n, 200, event("A"))).collect();
        let full = json!({ "responses": full });
        trial.far.then(200, &full).then(200, &full).then(200, &event("A"));
        let wanted = vec![wanted("A"); 41];
        let read = trial.tenant.events(&wanted, None).await;
        assert_eq!(read.iter().filter(|read| matches!(read, Ok(Some(_)))).count(), 41);
        assert_eq!(trial.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once() {
        let trial = Trial::new();
        trial.far.then(401, &json!({})).then(200, &event("A"));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert!(matches!(read[0], Ok(Some(_))));
        assert_eq!(trial.last_header("authorization"), "Bearer token-2");
        trial.far.then(401, &json!({})).then(401, &json!({}));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert_eq!(read[0], Err(GraphError::Disconnected));
        assert_eq!(trial.asked().len(), 4);
    }

    #[tokio::test]
    async fn a_token_refused_for_a_part_of_a_batch_is_replaced_once_too() {
        let trial = Trial::new();
        let first = [inner(0, 200, event("A")), inner(1, 401, json!({})), inner(2, 401, json!({}))];
        let second = [inner(1, 401, json!({})), inner(0, 200, event("B"))];
        trial.far.then(200, &json!({ "responses": first }));
        trial.far.then(200, &json!({ "responses": second }));
        let read = trial.tenant.events(&three(), None).await;
        assert!(matches!((&read[0], &read[1]), (Ok(Some(_)), Ok(Some(_)))));
        assert_eq!(read[2], Err(GraphError::Disconnected));
        assert_eq!(trial.last_header("authorization"), "Bearer token-2");
    }

    #[tokio::test]
    async fn a_tenant_that_gives_no_token_is_disconnected_and_nothing_is_sent() {
        let trial = Trial::new();
        trial.far.then_token(400, &[], &json!({ "error": "unauthorized_client" }));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert_eq!(read[0], Err(GraphError::Disconnected));
        trial.far.then_token(503, &[("retry-after", "4")], &json!({}));
        let after = Some(SignedDuration::from_secs(4));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert_eq!(read[0], Err(GraphError::Wait { after, cause: Cause::NoToken }));
        assert!(trial.asked().is_empty() && trial.trail().is_empty());
    }

    #[tokio::test]
    async fn the_add_ins_property_is_read_when_the_tenant_has_one() {
        let id = "String {11111111-2222-3333-4444-555555555555} Name Room";
        let trial = Trial::new();
        let mut json = event("A");
        json[fields::PROPERTIES] = json!([{ "id": id, "value": "small-room" }]);
        trial.far.then(200, &json);
        let read = trial.tenant.events(&[wanted("A")], Some(id)).await;
        let read = read[0].clone().unwrap().unwrap();
        assert_eq!(read.add_in, Some(Personal::new("small-room")));
        assert!(trial.trail()[0].fields.ends_with(",singleValueExtendedProperties"));

        let subject = Some("String 0x0037");
        let read = trial.tenant.events(&three(), subject).await;
        assert_eq!(read, vec![Err(GraphError::Forbidden(Refusal(Rule::Property))); 3]);
        assert_eq!(trial.asked().len(), 1);
    }

    #[tokio::test]
    async fn the_subject_has_a_read_of_its_own() {
        let trial = Trial::new();
        trial.far.then(200, &json!({ "id": "A", "subject": "Merger", "body": { "content": "x" } }));
        trial.far.then(404, &error("ErrorItemNotFound")).then(200, &json!({ "subject": null }));
        let id = event_id("A");
        let read = trial.tenant.subject(ANN, &id).await;
        assert_eq!(read, Ok(Some(Personal::new("Merger"))));
        assert!(trial.asked()[0].ends_with("=subject"));
        assert_eq!(trial.trail()[0].fields, "subject");
        assert_eq!(trial.tenant.subject(ANN, &id).await, Ok(None));
        assert_eq!(trial.tenant.subject(ANN, &id).await, Ok(None));
    }

    #[tokio::test]
    async fn a_missing_mailbox_is_not_a_missing_event_and_a_denied_one_is_neither() {
        let trial = Trial::new();
        trial.far.then(200, &json!({ "id": "AAMkCalendar" }));
        trial
            .far
            .then(404, &error("MailboxNotEnabledForRESTAPI"))
            .then(403, &error("ErrorAccessDenied"));
        trial.far.then(404, &error("Surprise")).then(404, &error("ErrorInvalidUser"));
        assert_eq!(trial.tenant.mailbox_is_readable(ANN).await, Ok(true));
        assert_eq!(trial.tenant.mailbox_is_readable(ANN).await, Ok(false));
        assert_eq!(trial.tenant.mailbox_is_readable(ANN).await, Err(GraphError::Denied));
        let surprise = GraphError::Refused { status: 404, code: "Surprise".into() };
        assert_eq!(trial.tenant.mailbox_is_readable(ANN).await, Err(surprise));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert_eq!(read[0], Err(GraphError::MailboxGone));
        assert!(trial.asked()[0].ends_with("=id"));
    }

    #[tokio::test]
    async fn a_copy_is_found_by_exactly_its_ical_uid() {
        let trial = Trial::new();
        let found = json!({ "value": [
            { "id": "Wrong", "iCalUId": "o'neil2" },
            { "id": "Right", "iCalUId": "o'neil" },
        ] });
        trial.far.then(200, &found).then(200, &json!({ "value": [] }));
        let uid = Personal::new("o'neil");
        assert_eq!(trial.tenant.find(ANN, &uid).await, Ok(Some(event_id("Right"))));
        assert!(trial.asked()[0].ends_with("filter=iCalUId%20eq%20%27o%27%27neil%27"));
        assert_eq!(trial.tenant.find(ANN, &uid).await, Ok(None));
    }
}
