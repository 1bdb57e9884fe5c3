//! A mailbox's calendar between two instants, page by page: what a resync compares the store with.

use std::fmt;

use http::Method;
use jiff::Timestamp;

use super::{
    client::{Ask, TenantGraph},
    error::GraphError,
    events::EventRead,
    fields,
    reading::read,
    wire::{EventWire, Page},
};
use crate::domain::ids::MailboxId;

/// Events a page. Graph's own default is 10; a page of large meetings stays below a few MB.
const PAGE: usize = 100;

/// Leads to the next page. Opaque, of use for the same mailbox and window only.
#[derive(Clone, PartialEq, Eq)]
pub struct NextLink(String);

impl fmt::Debug for NextLink {
    /// It holds ids: nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextLink(..)")
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewPage {
    /// The events; a series comes as its occurrences.
    pub events: Vec<EventRead>,
    /// The way to the next page; `None` on the last.
    pub next: Option<NextLink>,
}

impl TenantGraph {
    /// Reads a page of the calendar from `from` up to `until`: the first, or the one that `next`
    /// leads to. The subject is never asked for.
    ///
    /// # Errors
    /// [`GraphError`]; `Forbidden` when a next link leaves Graph or has lost the chosen fields.
    /// `Unreadable` concerns the whole page: a resync must not take a missing event for a deleted
    /// one.
    pub async fn calendar_view(
        &self,
        mailbox: MailboxId,
        from: Timestamp,
        until: Timestamp,
        next: Option<NextLink>,
    ) -> Result<ViewPage, GraphError> {
        let template = "/users/{id}/calendarView";
        let ask = match next {
            Some(NextLink(link)) => Ask {
                fields: fields::EVENT.join(","),
                mailboxes: vec![mailbox],
                ..Ask::new(Method::GET, template, link)
            },
            None => {
                let (start, end) = (fields::instant(from), fields::instant(until));
                let (start, end) = (fields::encoded(&start), fields::encoded(&end));
                let path = format!(
                    "/users/{mailbox}/calendarView?startDateTime={start}&endDateTime={end}&$top={PAGE}"
                );
                read(template, path, mailbox, fields::EVENT)
            }
        };
        let reply = self.call(&ask).await?;
        reply.check()?;
        let page: Page<EventWire> = reply.json()?;
        let events = page.value.into_iter().map(|wire| EventRead::of(wire, None));
        Ok(ViewPage { events: events.collect::<Result<_, _>>()?, next: page.next.map(NextLink) })
    }
}
