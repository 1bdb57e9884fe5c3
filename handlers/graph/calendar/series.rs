//! The dates of a series, as Exchange lists them. Roombridge computes none itself.

use std::collections::{BTreeMap, HashSet};

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::events::{Event, EventWire};
use crate::{
    domain::{
        ids::{EventId, MailboxId},
        personal::Personal,
    },
    graph::{
        allow_list::fields,
        client::{
            error::GraphError,
            request::{GraphRequest, event_path, mailbox_get_request},
            response::Page,
            send::TenantGraph,
        },
    },
};

const INSTANCES: &str = "/users/{id}/events/{id}/instances";
/// Occurrences a page: a year of working days in one. Graph's own default is 10.
const PAGE_SIZE: usize = 300;
/// How many pages are read: a series has one occurrence a day at most, and what is listed again and again
/// has no end.
const MAX_PAGES: usize = 20;
/// How many pages of a calendar are searched for dates of a series.
const MAX_SEARCH_PAGES: usize = 60;

/// What Exchange lists of a series between two instants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeriesInstances {
    /// Occurrences and exceptions, each once; deleted ones are absent.
    pub events: Vec<Event>,
    /// Whether each of them could be read: otherwise nothing is known of those that are not listed.
    pub is_complete: bool,
}

impl SeriesInstances {
    /// The one that was to start then.
    pub fn date(&self, original_start: Timestamp) -> Option<&Event> {
        self.events.iter().find(|event| event.original_start() == Some(original_start))
    }
}

impl TenantGraph {
    /// The occurrences and exceptions of the series whose master in this mailbox is `master`. The subject
    /// is never asked for.
    ///
    /// # Errors
    /// [`GraphError`]; `Unreadable` when the list has no end.
    pub async fn instances(
        &self,
        mailbox: MailboxId,
        master: &EventId,
        window: (Timestamp, Timestamp),
    ) -> Result<SeriesInstances, GraphError> {
        let items = self.list_instances(mailbox, master, window, fields::EVENT).await?;
        let mut listed = SeriesInstances { events: Vec::new(), is_complete: true };
        let mut seen = HashSet::new();
        for item in items {
            match serde_json::from_value::<EventWire>(item) {
                Ok(wire) => {
                    let event = Event::from_wire(wire, None);
                    if seen.insert(event.id.clone()) {
                        listed.events.push(event);
                    }
                }
                Err(_) => listed.is_complete = false,
            }
        }
        Ok(listed)
    }

    /// Their subjects, in a read of its own: call it only for a series that holds a managed room, and only
    /// where the policy keeps subjects.
    ///
    /// # Errors
    /// As [`TenantGraph::instances`].
    pub async fn instance_subjects(
        &self,
        mailbox: MailboxId,
        master: &EventId,
        window: (Timestamp, Timestamp),
    ) -> Result<BTreeMap<EventId, Personal>, GraphError> {
        let items = self.list_instances(mailbox, master, window, fields::INSTANCE_SUBJECT).await?;
        let subject = |item: &Value| {
            let id = item["id"].as_str()?.parse().ok()?;
            Some((id, Personal::new(item["subject"].as_str()?)))
        };
        Ok(items.iter().filter_map(subject).collect())
    }

    /// The occurrences of that series that the calendar itself has in this span: lists of instances without
    /// the exceptions were reported (microsoftgraph/microsoft-graph-docs issues 4294 and 15611).
    ///
    /// # Errors
    /// As [`TenantGraph::calendar_view`]; `Unreadable` also when the calendar has no end.
    pub async fn search_instances(
        &self,
        mailbox: MailboxId,
        master: &EventId,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<SeriesInstances, GraphError> {
        let (mut found, mut next) = (Vec::new(), None);
        let mut is_complete = true;
        for _ in 0..MAX_SEARCH_PAGES {
            let page = self.calendar_view(mailbox, from, until, next).await?;
            let of_series = |event: &Event| event.series_master.as_ref() == Some(master);
            found.extend(page.events.into_iter().filter(of_series));
            // It may be a date of this very series.
            is_complete &= page.unreadable.is_empty();
            next = page.next;
            if next.is_none() {
                return Ok(SeriesInstances { events: found, is_complete });
            }
        }
        tracing::warn!(pages = MAX_SEARCH_PAGES, "a calendar has no end; nothing is taken from it");
        Err(GraphError::Unreadable)
    }

    async fn list_instances(
        &self,
        mailbox: MailboxId,
        master: &EventId,
        (from, until): (Timestamp, Timestamp),
        chosen: &[&str],
    ) -> Result<Vec<Value>, GraphError> {
        let (start, end) = (fields::format_instant(from), fields::format_instant(until));
        let (start, end) = (fields::percent_encode(&start), fields::percent_encode(&end));
        let path = format!(
            "{}/instances?startDateTime={start}&endDateTime={end}&$top={PAGE_SIZE}",
            event_path(mailbox, master)
        );
        let mut ask = mailbox_get_request(INSTANCES, path, mailbox, chosen);
        let mut items = Vec::new();
        for _ in 0..MAX_PAGES {
            let page: Page<Value> = self.read(&ask).await?;
            let next = page.next_link()?;
            items.extend(page.value);
            let Some(next) = next else { return Ok(items) };
            ask = GraphRequest {
                fields: chosen.join(","),
                mailboxes: vec![mailbox],
                ..GraphRequest::new(Method::GET, INSTANCES, next.0)
            };
        }
        tracing::warn!(pages = MAX_PAGES, "a series has no end; nothing is taken from it");
        Err(GraphError::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::graph::{
        allow_list::fields::SELECT,
        test_support::{ANN, BASE, GraphFixture, event_id, event_json},
    };

    fn window() -> (Timestamp, Timestamp) {
        ("2026-11-24T09:00:00Z".parse().unwrap(), "2027-11-24T09:00:00Z".parse().unwrap())
    }

    fn link(trial: &GraphFixture, skip: usize) -> String {
        let first = trial.sent_requests();
        assert!(first.len() < 2);
        let select = fields::select_option(fields::EVENT);
        format!("{BASE}/users/{ANN}/events/M/instances?{select}&$skip={skip}")
    }

    #[tokio::test]
    async fn all_pages_are_read_and_each_occurrence_counts_once() {
        let trial = GraphFixture::new();
        let page = |ids: &[&str], next: Option<String>| {
            let events: Vec<Value> = ids.iter().map(|id| event_json(id)).collect();
            json!({ "value": events, "@odata.nextLink": next })
        };
        let next = Some(link(&trial, 2));
        trial.http.respond(200, &page(&["A", "B"], next)).respond(200, &page(&["B", "C"], None));
        let read = trial.tenant.instances(ANN, &event_id("M"), window()).await.unwrap();
        let ids: Vec<_> = read.events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!((ids, read.is_complete), (vec!["A", "B", "C"], true));
        let asked = &trial.sent_requests()[0];
        let start = "startDateTime=2026-11-24T09%3A00%3A00Z&endDateTime=2027-11-24T09%3A00%3A00Z";
        assert!(asked.contains(&format!("/events/M/instances?{start}")), "{asked}");
        assert!(asked.contains(&format!("{SELECT}={}", fields::EVENT.join(","))), "{asked}");
        assert_eq!(trial.take_calls()[1].path, INSTANCES);
    }

    #[tokio::test]
    async fn one_that_makes_no_sense_says_that_the_list_is_not_whole_and_one_without_end_is_none() {
        let trial = GraphFixture::new();
        let mut broken = json!({ "value": [event_json("A"), event_json("B")] });
        broken["value"][1]["start"] = json!(7);
        trial.http.respond(200, &broken);
        let read = trial.tenant.instances(ANN, &event_id("M"), window()).await.unwrap();
        assert_eq!((read.events.len(), read.is_complete), (1, false));

        let trial = GraphFixture::new();
        let next = link(&trial, 1);
        for _ in 0..MAX_PAGES {
            trial.http.respond(200, &json!({ "value": [], "@odata.nextLink": next }));
        }
        let read = trial.tenant.instances(ANN, &event_id("M"), window()).await;
        assert_eq!(read, Err(GraphError::Unreadable));
    }

    #[tokio::test]
    async fn subjects_are_asked_for_with_nothing_but_their_ids() {
        let trial = GraphFixture::new();
        trial.http.respond(200, &json!({ "value": [{ "id": "A", "subject": "Budget" }, {}] }));
        let read = trial.tenant.instance_subjects(ANN, &event_id("M"), window()).await.unwrap();
        let only = BTreeMap::from([(event_id("A"), Personal::new("Budget"))]);
        assert_eq!(read, only);
        assert!(trial.sent_requests()[0].ends_with("=id,subject"));
    }
}
