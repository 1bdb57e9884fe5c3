//! Reads of single events, of a mailbox as such, and of short lists.

use serde_json::Value;

use super::events::{Event, parse_add_in_property};
use crate::{
    domain::{
        ids::{CorrelationId, EventId, MailboxId},
        personal::Personal,
    },
    graph::{
        allow_list::{fields, property_id::PropertyId, requests::BATCH_MAX},
        client::{
            error::{GraphError, RetryCause},
            request::{GraphRequest, event_path, mailbox_get_request},
            response::{GraphResponse, Page},
            send::TenantGraph,
        },
    },
};

/// An event to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRef {
    pub mailbox: MailboxId,
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
        event_refs: &[EventRef],
        add_in_property: Option<&str>,
    ) -> Vec<Result<Option<Event>, GraphError>> {
        let property = match parse_add_in_property(add_in_property) {
            Ok(property) => property,
            Err(error) => return event_refs.iter().map(|_| Err(error.clone())).collect(),
        };
        let property = property.as_ref();
        let mut events = Vec::with_capacity(event_refs.len());
        for chunk in event_refs.chunks(BATCH_MAX) {
            let asks: Vec<GraphRequest> = chunk
                .iter()
                .map(|wanted| GraphRequest {
                    correlation: Some(wanted.correlation),
                    ..event_request(wanted.mailbox, &wanted.event, property)
                })
                .collect();
            let replies = match asks.as_slice() {
                // One alone needs no batch around it.
                [ask] => vec![self.call(ask).await],
                asks => self.send_batch(asks).await,
            };
            events.extend(replies.into_iter().map(|reply| parse_event(&reply?, property)));
        }
        events
    }

    /// The subject, in a read of its own: call it only for an event that holds a managed room, and
    /// only where the policy keeps subjects. `Ok(None)`: there is no such event, or no subject.
    pub async fn subject(
        &self,
        mailbox: MailboxId,
        event: &EventId,
    ) -> Result<Option<Personal>, GraphError> {
        let target = event_path(mailbox, event);
        let ask = mailbox_get_request("/users/{id}/events/{id}", target, mailbox, fields::SUBJECT);
        let reply = self.call(&ask).await?;
        if reply.is_unknown_event() {
            return Ok(None);
        }
        reply.check()?;
        reply.member("subject")
    }

    /// Whether the mailbox has a calendar that we can read: what tells "the event is gone" from
    /// "everything is". `Ok(false)` when Graph knows no such mailbox.
    ///
    /// # Errors
    /// [`GraphError`]; `AccessDenied` when a permission is missing.
    pub async fn mailbox_is_readable(&self, mailbox: MailboxId) -> Result<bool, GraphError> {
        let target = format!("/users/{mailbox}/calendar");
        let ask = mailbox_get_request("/users/{id}/calendar", target, mailbox, fields::CALENDAR);
        match self.call(&ask).await?.check_answer() {
            Ok(()) => Ok(true),
            Err(GraphError::MailboxNotFound) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// The events in a mailbox's calendar with the `iCalUId` that all copies of an appointment share:
    /// one, or several where something was imported.
    pub async fn list_by_ical_uid(
        &self,
        mailbox: MailboxId,
        ical_uid: &Personal,
    ) -> Result<Vec<EventId>, GraphError> {
        let uid = ical_uid.reveal();
        let mut ask = mailbox_get_request(
            "/users/{id}/events",
            format!("/users/{mailbox}/events"),
            mailbox,
            fields::EVENT_LOOKUP,
        );
        ask.target.push('&');
        ask.target.push_str(&fields::ical_uid_filter(uid));
        let page: Page<Value> = self.read(&ask).await?;
        // The filter is Graph's word; the comparison is ours.
        let found = page.value.iter().filter(|event| event["iCalUId"] == uid);
        let ids = found.map(|event| event["id"].as_str().and_then(|id| id.parse().ok()));
        ids.map(|id| id.ok_or(GraphError::Unreadable)).collect()
    }
}

fn event_request(
    mailbox: MailboxId,
    event: &EventId,
    property: Option<&PropertyId>,
) -> GraphRequest {
    let path = event_path(mailbox, event);
    let mut ask = mailbox_get_request("/users/{id}/events/{id}", path, mailbox, fields::EVENT);
    if let Some(property) = property {
        ask.target.push('&');
        ask.target.push_str(&fields::expand_option(property));
        ask.fields.push(',');
        ask.fields.push_str(fields::EXTENDED_PROPERTIES);
    }
    ask
}

fn parse_event(
    reply: &GraphResponse,
    property: Option<&PropertyId>,
) -> Result<Option<Event>, GraphError> {
    if reply.is_unknown_event() {
        return Ok(None);
    }
    if reply.may_be_gone() {
        let cause = RetryCause::EventNotServed;
        return Err(GraphError::Retry { after: reply.retry_after, cause });
    }
    reply.check()?;
    Ok(Some(Event::from_wire(reply.json()?, property)))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::graph::{
        allow_list::{requests::AllowListCounts, violation::Violation},
        client::error::RetryCause,
        test_support::{ANN, GraphFixture, event_id, event_json},
    };

    fn error(code: &str) -> Value {
        json!({ "error": { "code": code, "message": "Dinner with Ann" } })
    }

    fn inner(id: usize, status: u16, body: Value) -> Value {
        json!({ "id": id.to_string(), "status": status, "headers": {}, "body": body })
    }

    /// Each with a cause of its own, the first with the trial's.
    fn wanted(id: &str) -> EventRef {
        let cause = if id == "B" { 0xB } else { 0xC0 };
        EventRef { mailbox: ANN, event: event_id(id), correlation: CorrelationId(cause) }
    }

    fn three() -> Vec<EventRef> {
        ["A", "B", "C"].map(wanted).to_vec()
    }

    #[tokio::test]
    async fn one_event_is_one_get_of_the_listed_fields() {
        let trial = GraphFixture::new();
        trial.http.respond(200, &event_json("AAMk="));
        let read = trial.tenant.events(&[wanted("AAMk=")], None).await;
        assert_eq!(read[0].as_ref().unwrap().as_ref().unwrap().id, event_id("AAMk="));
        let asked = &trial.sent_requests()[0];
        assert!(asked.starts_with(&format!("GET /users/{ANN}/events/AAMk%3D?")), "{asked}");
        assert!(asked.ends_with("=id,iCalUId,type,start,end,isAllDay,isCancelled,isOrganizer,sensitivity,attendees,organizer,originalStart,seriesMasterId,lastModifiedDateTime,showAs"));
        assert_eq!(trial.last_header("prefer"), r#"IdType="ImmutableId", outlook.timezone="UTC""#);
        assert_eq!(trial.last_header("authorization"), "Bearer token-1");
        assert_eq!(trial.last_header("client-request-id"), "00000000-0000-0000-0000-0000000000c0");
        assert_eq!(trial.last_header("return-client-request-id"), "false");
        let recorded = trial.take_calls();
        assert_eq!(recorded.len(), 1);
        assert_eq!((&*recorded[0].method, &*recorded[0].path), ("GET", "/users/{id}/events/{id}"));
        assert_eq!(
            (recorded[0].status, recorded[0].fields.as_str()),
            (200, &*fields::EVENT.join(","))
        );
    }

    #[tokio::test]
    async fn several_events_are_one_batch_and_answered_in_the_order_asked() {
        let trial = GraphFixture::new();
        let throttled = json!({
            "id": "1", "status": 429, "headers": { "Retry-After": "7" }, "body": error("ApplicationThrottled"),
        });
        let responses =
            [inner(2, 404, error("ErrorItemNotFound")), throttled, inner(0, 200, event_json("A"))];
        trial.http.respond(200, &json!({ "responses": responses }));
        let read = trial.tenant.events(&three(), None).await;
        assert_eq!(read[0].as_ref().unwrap().as_ref().unwrap().id, event_id("A"));
        let after = Some(SignedDuration::from_secs(7));
        assert_eq!(read[1], Err(GraphError::Retry { after, cause: RetryCause::Throttled }));
        assert_eq!(read[2], Ok(None));
        let body = trial.last_body();
        assert_eq!(body["requests"].as_array().unwrap().len(), 3);
        let prefer = &body["requests"][0]["headers"]["Prefer"];
        assert_eq!(prefer, r#"IdType="ImmutableId", outlook.timezone="UTC""#);
        let id = &body["requests"][1]["headers"]["client-request-id"];
        assert_eq!(id, "00000000-0000-0000-0000-00000000000b");
        let calls = trial.take_calls();
        let causes: Vec<_> = calls.iter().map(|c| c.correlation.0).collect();
        assert_eq!(causes, [0xC0, 0xC0, 0xB, 0xC0]);
        let recorded: Vec<_> = calls.iter().map(|c| (&*c.method, &*c.path, c.status)).collect();
        let read = |status| ("GET", "/users/{id}/events/{id}", status);
        assert_eq!(recorded, [("POST", "/$batch", 200), read(200), read(429), read(404)]);
        assert_eq!(trial.graph.counts(), AllowListCounts { calendar_reads: 3, blocked: 0 });
    }

    #[tokio::test]
    async fn a_part_that_is_not_answered_is_unreadable_and_spoils_no_other() {
        let trial = GraphFixture::new();
        let broken = json!({ "id": "nonsense", "status": 200 });
        trial.http.respond(200, &json!({ "responses": [inner(2, 200, event_json("C")), broken] }));
        let read = trial.tenant.events(&three(), None).await;
        assert_eq!(read[0], Err(GraphError::Unreadable));
        assert_eq!(read[1], Err(GraphError::Unreadable));
        assert!(matches!(read[2], Ok(Some(_))));
    }

    #[tokio::test]
    async fn a_batch_that_fails_as_a_whole_fails_for_each() {
        let trial = GraphFixture::new();
        trial.http.time_out().respond_with_headers(503, &[("retry-after", "11")], &json!({}));
        let silence =
            Err(GraphError::Retry { after: None, cause: RetryCause::NoResponse("timed out") });
        assert_eq!(trial.tenant.events(&three(), None).await, vec![silence; 3]);
        let after = Some(SignedDuration::from_secs(11));
        let unavailable = Err(GraphError::Retry { after, cause: RetryCause::Unavailable(503) });
        assert_eq!(trial.tenant.events(&three(), None).await, vec![unavailable; 3]);
        let statuses: Vec<_> = trial.take_calls().iter().map(|call| call.status).collect();
        assert_eq!(statuses, [0, 0, 0, 0, 503, 0, 0, 0]);
    }

    #[tokio::test]
    async fn forty_one_events_are_two_batches_and_a_get() {
        let trial = GraphFixture::new();
        let full: Vec<Value> = (0..20).map(|n| inner(n, 200, event_json("A"))).collect();
        let full = json!({ "responses": full });
        trial.http.respond(200, &full).respond(200, &full).respond(200, &event_json("A"));
        let wanted = vec![wanted("A"); 41];
        let read = trial.tenant.events(&wanted, None).await;
        assert_eq!(read.iter().filter(|read| matches!(read, Ok(Some(_)))).count(), 41);
        assert_eq!(trial.sent_requests().len(), 3);
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once() {
        let trial = GraphFixture::new();
        trial.http.respond(401, &json!({})).respond(200, &event_json("A"));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert!(matches!(read[0], Ok(Some(_))));
        assert_eq!(trial.last_header("authorization"), "Bearer token-2");
        trial.http.respond(401, &json!({})).respond(401, &json!({}));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert_eq!(read[0], Err(GraphError::TokenRejected));
        assert_eq!(trial.sent_requests().len(), 4);
    }

    #[tokio::test]
    async fn a_token_refused_for_a_part_of_a_batch_is_replaced_once_too() {
        let trial = GraphFixture::new();
        let first =
            [inner(0, 200, event_json("A")), inner(1, 401, json!({})), inner(2, 401, json!({}))];
        let second = [inner(1, 401, json!({})), inner(0, 200, event_json("B"))];
        trial.http.respond(200, &json!({ "responses": first }));
        trial.http.respond(200, &json!({ "responses": second }));
        let read = trial.tenant.events(&three(), None).await;
        assert!(matches!((&read[0], &read[1]), (Ok(Some(_)), Ok(Some(_)))));
        assert_eq!(read[2], Err(GraphError::TokenRejected));
        assert_eq!(trial.last_header("authorization"), "Bearer token-2");
    }

    #[tokio::test]
    async fn a_tenant_that_gives_no_token_is_disconnected_and_nothing_is_sent() {
        let trial = GraphFixture::new();
        trial.http.respond_to_token_request(
            400,
            &[],
            &json!({ "error": "unauthorized_client", "error_codes": [700_016] }),
        );
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert_eq!(read[0], Err(GraphError::Disconnected));
        trial.http.respond_to_token_request(503, &[("retry-after", "4")], &json!({}));
        let after = Some(SignedDuration::from_secs(4));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert_eq!(read[0], Err(GraphError::Retry { after, cause: RetryCause::NoToken }));
        assert!(trial.sent_requests().is_empty() && trial.take_calls().is_empty());
    }

    #[tokio::test]
    async fn the_add_ins_property_is_read_when_the_tenant_has_one() {
        let id = "String {11111111-2222-3333-4444-555555555555} Name Room";
        let trial = GraphFixture::new();
        let mut json = event_json("A");
        json[fields::EXTENDED_PROPERTIES] = json!([{ "id": id, "value": "small-room" }]);
        trial.http.respond(200, &json);
        let read = trial.tenant.events(&[wanted("A")], Some(id)).await;
        let read = read[0].clone().unwrap().unwrap();
        assert_eq!(read.add_in_value, Some(Personal::new("small-room")));
        assert!(trial.take_calls()[0].fields.ends_with(",singleValueExtendedProperties"));

        let subject = Some("String 0x0037");
        let read = trial.tenant.events(&three(), subject).await;
        assert_eq!(read, vec![Err(GraphError::Blocked(Violation::Property)); 3]);
        assert_eq!(trial.sent_requests().len(), 1);
    }

    #[tokio::test]
    async fn the_subject_has_a_read_of_its_own() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(200, &json!({ "id": "A", "subject": "Merger", "body": { "content": "x" } }));
        trial
            .http
            .respond(404, &error("ErrorItemNotFound"))
            .respond(200, &json!({ "subject": null }));
        let id = event_id("A");
        let read = trial.tenant.subject(ANN, &id).await;
        assert_eq!(read, Ok(Some(Personal::new("Merger"))));
        assert!(trial.sent_requests()[0].ends_with("=subject"));
        assert_eq!(trial.take_calls()[0].fields, "subject");
        assert_eq!(trial.tenant.subject(ANN, &id).await, Ok(None));
        assert_eq!(trial.tenant.subject(ANN, &id).await, Ok(None));
    }

    #[tokio::test]
    async fn a_missing_mailbox_is_not_a_missing_event_and_a_denied_one_is_neither() {
        let trial = GraphFixture::new();
        trial.http.respond(200, &json!({ "id": "AAMkCalendar" }));
        trial
            .http
            .respond(404, &error("MailboxNotEnabledForRESTAPI"))
            .respond(403, &error("ErrorAccessDenied"));
        trial.http.respond(404, &error("Surprise")).respond(404, &error("ErrorInvalidUser"));
        assert_eq!(trial.tenant.mailbox_is_readable(ANN).await, Ok(true));
        assert_eq!(trial.tenant.mailbox_is_readable(ANN).await, Ok(false));
        assert_eq!(trial.tenant.mailbox_is_readable(ANN).await, Err(GraphError::AccessDenied));
        let surprise = GraphError::Refused { status: 404, code: "Surprise".into() };
        assert_eq!(trial.tenant.mailbox_is_readable(ANN).await, Err(surprise));
        let read = trial.tenant.events(&[wanted("A")], None).await;
        assert_eq!(read[0], Err(GraphError::MailboxNotFound));
        assert!(trial.sent_requests()[0].ends_with("=id"));
    }

    #[tokio::test]
    async fn a_copy_is_found_by_exactly_its_ical_uid() {
        let trial = GraphFixture::new();
        let found = json!({ "value": [
            { "id": "Wrong", "iCalUId": "o'neil2" },
            { "id": "Right", "iCalUId": "o'neil" },
        ] });
        trial.http.respond(200, &found).respond(200, &json!({ "value": [] }));
        let uid = Personal::new("o'neil");
        assert_eq!(trial.tenant.list_by_ical_uid(ANN, &uid).await, Ok(vec![event_id("Right")]));
        assert!(trial.sent_requests()[0].ends_with("filter=iCalUId%20eq%20%27o%27%27neil%27"));
        assert_eq!(trial.tenant.list_by_ical_uid(ANN, &uid).await, Ok(vec![]));
    }
}
