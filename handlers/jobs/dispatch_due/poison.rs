//! A poison message as a failure that people can see and replay.

use jiff::Timestamp;

use crate::{
    domain::{ids::TenantId, keys::Digest},
    messages::{BookingTask, EventChanges, JobMeta, MailboxTasks, Message, TenantTask},
    queue::Queue,
    store::failures::Failure,
};

/// The failure that records a message of `queue` which ended the process so often that the host put
/// it aside. A `text` that is not one of our messages is not kept: it could hold anything. Nor is
/// encrypted content: the event is read again instead.
pub(super) fn failure_from(queue: Queue, text: &str, now: Timestamp) -> Failure {
    let mut kept = text.to_owned();
    let known = match queue {
        Queue::FetchEvent => {
            if let Ok(changes) = EventChanges::from_text(text) {
                kept = changes.without_content().to_text();
            }
            tenant_and_meta::<EventChanges>(text)
        }
        Queue::CreateBooking | Queue::WriteBack => tenant_and_meta::<BookingTask>(text),
        Queue::MaintainMailbox => tenant_and_meta::<MailboxTasks>(text),
        Queue::MaintainTenant => tenant_and_meta::<TenantTask>(text),
    };
    let cause = match known {
        Some(_) => "the process was terminated while processing this message",
        None => "the message cannot be parsed",
    };
    Failure {
        tenant: known.map(|(tenant, _)| tenant),
        // A queue has the name of its function.
        function: queue.name().to_owned(),
        // One message may be about many things, and each message must stay replayable.
        subject: format!("message {}", Digest::of(&[text.as_bytes()])),
        cause: cause.to_owned(),
        attempts: known.map_or(0, |(_, meta)| meta.attempts),
        first_seen: known.map_or(now, |(_, meta)| meta.first_seen),
        failed_at: now,
        correlation: known.map(|(_, meta)| meta.correlation),
        message: known.map(|_| kept),
    }
}

fn tenant_and_meta<M: Message>(text: &str) -> Option<(TenantId, JobMeta)> {
    let message = M::from_text(text).ok()?;
    Some((message.tenant(), message.meta()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{encrypted_content::EncryptedContent, ids::CorrelationId},
        messages::{EventChange, MailboxTask, MailboxTaskKind},
        store::test_support::{at, key, mailbox, tenant},
    };

    #[test]
    fn a_poisoned_message_of_ours_can_be_replayed_and_a_foreign_text_is_not_kept() {
        let noon = at("2026-11-24T12:00:00Z");
        let meta = JobMeta::new(CorrelationId(7), at("2026-11-24T11:00:00Z"));
        let job = BookingTask::of(key(1), meta);
        let task = MailboxTask::new(mailbox(1), MailboxTaskKind::Resync, meta);
        let tasks = MailboxTasks::one(tenant(9), task);
        let change = EventChange::refetch(mailbox(1), "AAMk".parse().unwrap(), meta);
        let changes = EventChanges { tenant: tenant(9), items: vec![change] };
        for (queue, text, function) in [
            (Queue::FetchEvent, changes.to_text(), "fetch-event"),
            (Queue::CreateBooking, job.to_text(), "create-booking"),
            (Queue::WriteBack, job.to_text(), "write-back"),
            (Queue::MaintainMailbox, tasks.to_text(), "maintain-mailbox"),
        ] {
            let failure = failure_from(queue, &text, noon);
            assert_eq!((failure.tenant, failure.function.as_str()), (Some(tenant(9)), function));
            assert_eq!(failure.correlation, Some(CorrelationId(7)));
            assert_eq!((failure.first_seen, failure.failed_at), (meta.first_seen, noon));
            assert_eq!(failure.message, Some(text));
            let foreign = failure_from(queue, r#"{"subject":"Merger"}"#, noon);
            assert_eq!((foreign.tenant, &foreign.message), (None, &None));
            assert!(!format!("{foreign:?}").contains("Merger"));
        }
    }

    #[test]
    fn of_a_poisoned_message_with_encrypted_content_the_ids_are_kept() {
        let noon = at("2026-11-24T12:00:00Z");
        let meta = JobMeta::new(CorrelationId(7), noon);
        let refetch = EventChange::refetch(mailbox(1), "AAMk".parse().unwrap(), meta);
        let content = EncryptedContent {
            data: "c2VhbGVk".to_owned(),
            data_key: "a2V5a2V5".to_owned(),
            data_signature: "bWFjbWFj".to_owned(),
            certificate_id: "c-20261124".parse().unwrap(),
        };
        let items =
            vec![refetch.clone(), EventChange { encrypted_content: Some(content), ..refetch }];
        let text = EventChanges { tenant: tenant(9), items }.to_text();
        assert!(text.contains("c2VhbGVk"));
        let failure = failure_from(Queue::FetchEvent, &text, noon);
        let kept = failure.message.clone().unwrap();
        assert_eq!(EventChanges::from_text(&kept).unwrap().items.len(), 2);
        for part in ["c2VhbGVk", "a2V5a2V5", "bWFjbWFj", "c-20261124"] {
            assert!(!kept.contains(part) && !format!("{failure:?}").contains(part));
        }
    }
}
