//! The JSON of `maintain-mailbox`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{InvalidMessage, PassageWire, parse, parse_nonce, to_json};
use crate::{
    domain::ids::{InvalidId, MailboxId, TenantId},
    messages::{JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks, Message},
    queue::Queue,
};

#[derive(Serialize, Deserialize)]
struct TasksWire {
    tenant: Uuid,
    items: Vec<TaskWire>,
}

#[derive(Serialize, Deserialize)]
struct TaskWire {
    mailbox: Uuid,
    task: TaskName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    #[serde(flatten)]
    passage: PassageWire,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TaskName {
    Subscribe,
    Renew,
    Unsubscribe,
    Resync,
    Reauthorize,
    Removed,
    Missed,
    Silent,
    Erase,
}

impl From<MailboxTaskKind> for TaskName {
    fn from(task: MailboxTaskKind) -> Self {
        match task {
            MailboxTaskKind::Subscribe => Self::Subscribe,
            MailboxTaskKind::Renew => Self::Renew,
            MailboxTaskKind::Unsubscribe => Self::Unsubscribe,
            MailboxTaskKind::Resync => Self::Resync,
            MailboxTaskKind::Reauthorize => Self::Reauthorize,
            MailboxTaskKind::SubscriptionRemoved => Self::Removed,
            MailboxTaskKind::MissedNotifications => Self::Missed,
            MailboxTaskKind::SuspectedDead => Self::Silent,
            MailboxTaskKind::Erase => Self::Erase,
        }
    }
}

impl From<TaskName> for MailboxTaskKind {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Subscribe => Self::Subscribe,
            TaskName::Renew => Self::Renew,
            TaskName::Unsubscribe => Self::Unsubscribe,
            TaskName::Resync => Self::Resync,
            TaskName::Reauthorize => Self::Reauthorize,
            TaskName::Removed => Self::SubscriptionRemoved,
            TaskName::Missed => Self::MissedNotifications,
            TaskName::Silent => Self::SuspectedDead,
            TaskName::Erase => Self::Erase,
        }
    }
}

impl From<&MailboxTask> for TaskWire {
    fn from(task: &MailboxTask) -> Self {
        Self {
            mailbox: task.mailbox.0,
            task: task.kind.into(),
            nonce: task.nonce.map(|nonce| format!("{nonce:016x}")),
            due: task.due,
            passage: task.meta.into(),
        }
    }
}

impl TaskWire {
    fn of(self, tenant: TenantId) -> Result<MailboxTask, InvalidMessage> {
        Ok(MailboxTask {
            tenant,
            mailbox: MailboxId(self.mailbox),
            kind: self.task.into(),
            nonce: self.nonce.as_deref().map(parse_nonce).transpose()?,
            due: self.due,
            meta: self.passage.try_into()?,
        })
    }
}

impl Message for MailboxTask {
    fn queue(&self) -> Queue {
        Queue::MaintainMailbox
    }

    /// A message of its own.
    fn to_text(&self) -> String {
        to_json(TasksWire { tenant: self.tenant.0, items: vec![self.into()] })
    }

    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        let first = MailboxTasks::from_text(text)?.items.into_iter().next();
        first.ok_or_else(|| InvalidId.into())
    }

    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.meta)
    }
}

impl Message for MailboxTasks {
    fn queue(&self) -> Queue {
        Queue::MaintainMailbox
    }

    fn to_text(&self) -> String {
        let items = self.items.iter().map(TaskWire::from).collect();
        to_json(TasksWire { tenant: self.tenant.0, items })
    }

    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        let wire: TasksWire = parse(text)?;
        let tenant = TenantId(wire.tenant);
        let items = wire.items.into_iter().map(|item| item.of(tenant)).collect::<Result<_, _>>()?;
        Ok(Self { tenant, items })
    }

    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        self.items.first().map(|item| item.meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::CorrelationId,
        messages::{JobMeta, MAX_TASKS},
        queue::{MAX_MESSAGE_BYTES, encoded_len},
    };

    #[test]
    fn tasks_come_back_as_they_were_and_twenty_of_them_fit_many_times() {
        let now = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
        let tenant = TenantId(Uuid::from_u128(9));
        let task = |n: u128| MailboxTask {
            tenant,
            mailbox: MailboxId(Uuid::from_u128(n)),
            kind: MailboxTaskKind::Renew,
            nonce: Some(u64::MAX),
            due: Some(now),
            meta: JobMeta { deferrals: 7, ..JobMeta::new(CorrelationId(7), now) },
        };
        let items = (0..MAX_TASKS as u128).map(task).collect();
        let tasks = MailboxTasks { tenant, items };
        assert_eq!(MailboxTasks::from_text(&tasks.to_text()).unwrap(), tasks);
        assert!(encoded_len(&tasks.to_text()) < MAX_MESSAGE_BYTES / 8);

        let alone = MailboxTasks::from_text(&task(1).to_text()).unwrap();
        assert_eq!(alone, MailboxTasks { tenant, items: vec![task(1)] });
    }
}
