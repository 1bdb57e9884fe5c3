//! A mailbox's calendar between two instants, page by page: what a resync compares the store with.

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::events::{Event, EventWire};
use crate::{
    domain::ids::{EventId, MailboxId},
    graph::{
        allow_list::fields,
        client::{
            error::GraphError,
            request::{GraphRequest, mailbox_get_request},
            response::{NextLink, Page},
            send::TenantGraph,
        },
    },
};

/// Events a page. Graph's own default is 10; a page of large meetings stays below a few MB.
const PAGE_SIZE: usize = 100;

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarViewPage {
    /// The events; a series comes as its occurrences.
    pub events: Vec<Event>,
    /// Events that are there and make no sense: not to be taken for gone, nor for anything else.
    pub unreadable: Vec<EventId>,
    /// The way to the next page; `None` on the last.
    pub next: Option<NextLink>,
}

impl TenantGraph {
    /// Reads a page of the calendar between `from` and `until`: the first, or the one that `next`
    /// leads to. The subject is never asked for.
    ///
    /// # Errors
    /// [`GraphError`]; `Blocked` when a next link leaves Graph or has lost the chosen fields.
    /// `Unreadable` when the page, or an event's id, makes no sense: a resync must not take a
    /// missing event for a deleted one.
    pub async fn calendar_view(
        &self,
        mailbox: MailboxId,
        from: Timestamp,
        until: Timestamp,
        next: Option<NextLink>,
    ) -> Result<CalendarViewPage, GraphError> {
        let template = "/users/{id}/calendarView";
        let ask = match next {
            // Graph's link carries the window and the fields of the first page.
            Some(NextLink(link)) => GraphRequest {
                fields: fields::EVENT.join(","),
                mailboxes: vec![mailbox],
                ..GraphRequest::new(Method::GET, template, link)
            },
            None => {
                let (start, end) = (fields::format_instant(from), fields::format_instant(until));
                let (start, end) = (fields::percent_encode(&start), fields::percent_encode(&end));
                let path = format!(
                    "/users/{mailbox}/calendarView?startDateTime={start}&endDateTime={end}&$top={PAGE_SIZE}"
                );
                mailbox_get_request(template, path, mailbox, fields::EVENT)
            }
        };
        let page: Page<Value> = self.read(&ask).await?;
        let next = page.next_link()?;
        let (mut events, mut unreadable) = (Vec::new(), Vec::new());
        for item in page.value {
            // Read first, and alone: an event that makes no sense can still be named.
            let id = item["id"].as_str().and_then(|id| id.parse().ok());
            let id: EventId = id.ok_or(GraphError::Unreadable)?;
            match serde_json::from_value::<EventWire>(item) {
                Ok(wire) => events.push(Event::from_wire(wire, None)),
                Err(_) => unreadable.push(id),
            }
        }
        Ok(CalendarViewPage { events, unreadable, next })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::graph::{
        allow_list::{fields::SELECT, requests::AllowListCounts, violation::Violation},
        test_support::{ANN, BASE, GraphFixture, event_json},
    };

    async fn page(
        trial: &GraphFixture,
        next: Option<NextLink>,
    ) -> Result<CalendarViewPage, GraphError> {
        let from = "2026-11-24T09:00:00.123456789Z".parse().unwrap();
        let until = "2026-12-24T09:00:00Z".parse().unwrap();
        trial.tenant.calendar_view(ANN, from, until, next).await
    }

    fn answer(events: &[&str], next: Option<String>) -> Value {
        let events: Vec<Value> = events.iter().map(|id| event_json(id)).collect();
        json!({ "value": events, "@odata.nextLink": next })
    }

    #[tokio::test]
    async fn the_pages_follow_each_other() {
        let trial = GraphFixture::new();
        let select = fields::select_option(fields::EVENT);
        let link =
            format!("{BASE}/users('{ANN}')/calendarView?{}&$skip=2", select.replace('$', "%24"));
        trial
            .http
            .respond(200, &answer(&["A", "B"], Some(link)))
            .respond(200, &answer(&["C"], None));
        let first = page(&trial, None).await.unwrap();
        let asked = &trial.sent_requests()[0];
        assert!(
            asked.contains("startDateTime=2026-11-24T09%3A00%3A00Z&endDateTime=2026-12-24T09"),
            "{asked}"
        );
        assert!(asked.contains(&select));
        assert_eq!(first.events.len(), 2);
        let second = page(&trial, first.next).await.unwrap();
        assert_eq!((second.events.len(), second.next), (1, None));
        assert_eq!(trial.take_calls()[1].path, "/users/{id}/calendarView");
    }

    #[tokio::test]
    async fn a_next_link_that_leaves_graph_or_lost_its_fields_is_not_followed() {
        let trial = GraphFixture::new();
        let select = fields::select_option(fields::EVENT);
        for (link, rule) in [
            (
                format!("https://evil.test/v1.0/users/{ANN}/calendarView?{select}"),
                Violation::Address,
            ),
            (format!("{BASE}/users/{ANN}/calendarView?$skip=2"), Violation::Field),
            (format!("{BASE}/users/{ANN}/calendarView?{SELECT}=id,body&$skip=2"), Violation::Field),
            (format!("{BASE}/users/{ANN}/messages?{select}"), Violation::Unknown),
        ] {
            trial.http.respond(200, &answer(&[], Some(link)));
            let next = page(&trial, None).await.unwrap().next;
            assert_eq!(page(&trial, next).await, Err(GraphError::Blocked(rule)));
        }
        assert_eq!(trial.sent_requests().len(), 4, "no link was followed");
        let stopped = trial
            .take_calls()
            .into_iter()
            .filter(|call| call.system == crate::domain::api_call::ALLOW_LIST);
        assert_eq!(stopped.count(), 4);
        assert_eq!(trial.graph.counts(), AllowListCounts { calendar_reads: 4, blocked: 4 });
    }

    #[tokio::test]
    async fn an_event_that_makes_no_sense_is_named_and_one_without_an_id_spoils_the_page() {
        let trial = GraphFixture::new();
        let mut answer = answer(&["A", "B"], None);
        answer["value"][1]["start"] = json!(7);
        trial.http.respond(200, &answer);
        let read = page(&trial, None).await.unwrap();
        assert_eq!((read.events.len(), read.unreadable), (1, vec!["B".parse().unwrap()]));
        answer["value"][1]["id"] = json!(7);
        trial.http.respond(200, &answer);
        assert_eq!(page(&trial, None).await, Err(GraphError::Unreadable));
    }

    #[test]
    fn a_next_link_shows_nothing() {
        assert_eq!(format!("{:?}", NextLink("https://graph.test/ann".into())), "NextLink(..)");
    }
}
