//! The JSON of `mailbox-tasks`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NotAMessage, PassageWire, nonce_of, read, text_of};
use crate::{
    domain::ids::{MailboxId, TenantId},
    messages::{MailboxTask, MailboxTasks, Message, Task},
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

impl From<Task> for TaskName {
    fn from(task: Task) -> Self {
        match task {
            Task::Subscribe => Self::Subscribe,
            Task::Renew => Self::Renew,
            Task::Unsubscribe => Self::Unsubscribe,
            Task::Resync => Self::Resync,
            Task::Reauthorize => Self::Reauthorize,
            Task::Removed => Self::Removed,
            Task::Missed => Self::Missed,
            Task::Silent => Self::Silent,
            Task::Erase => Self::Erase,
        }
    }
}

impl From<TaskName> for Task {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Subscribe => Self::Subscribe,
            TaskName::Renew => Self::Renew,
            TaskName::Unsubscribe => Self::Unsubscribe,
            TaskName::Resync => Self::Resync,
            TaskName::Reauthorize => Self::Reauthorize,
            TaskName::Removed => Self::Removed,
            TaskName::Missed => Self::Missed,
            TaskName::Silent => Self::Silent,
            TaskName::Erase => Self::Erase,
        }
    }
}

impl From<&MailboxTask> for TaskWire {
    fn from(task: &MailboxTask) -> Self {
        Self {
            mailbox: task.mailbox.0,
            task: task.task.into(),
            nonce: task.nonce.map(|nonce| format!("{nonce:016x}")),
            due: task.due,
            passage: task.passage.into(),
        }
    }
}

impl TaskWire {
    fn of(self, tenant: TenantId) -> Result<MailboxTask, NotAMessage> {
        Ok(MailboxTask {
            tenant,
            mailbox: MailboxId(self.mailbox),
            task: self.task.into(),
            nonce: self.nonce.as_deref().map(nonce_of).transpose()?,
            due: self.due,
            passage: self.passage.try_into()?,
        })
    }
}

impl Message for MailboxTask {
    fn queue(&self) -> Queue {
        Queue::MailboxTasks
    }

    /// A message of its own.
    fn to_text(&self) -> String {
        text_of(TasksWire { tenant: self.tenant.0, items: vec![self.into()] })
    }
}

impl Message for MailboxTasks {
    fn queue(&self) -> Queue {
        Queue::MailboxTasks
    }

    fn to_text(&self) -> String {
        let items = self.items.iter().map(TaskWire::from).collect();
        text_of(TasksWire { tenant: self.tenant.0, items })
    }
}

impl MailboxTasks {
    /// Reads a message back.
    ///
    /// # Errors
    /// [`NotAMessage`] when it is none of ours.
    pub fn from_text(text: &str) -> Result<Self, NotAMessage> {
        let wire: TasksWire = read(text)?;
        let tenant = TenantId(wire.tenant);
        let items = wire.items.into_iter().map(|item| item.of(tenant)).collect::<Result<_, _>>()?;
        Ok(Self { tenant, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::CorrelationId,
        messages::{Passage, TASKS_MAX},
        queue::{MESSAGE_BYTES, wire_len},
    };

    #[test]
    fn tasks_come_back_as_they_were_and_twenty_of_them_fit_many_times() {
        let now = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
        let tenant = TenantId(Uuid::from_u128(9));
        let task = |n: u128| MailboxTask {
            tenant,
            mailbox: MailboxId(Uuid::from_u128(n)),
            task: Task::Renew,
            nonce: Some(u64::MAX),
            due: Some(now),
            passage: Passage { waits: 7, ..Passage::start(CorrelationId(7), now) },
        };
        let items = (0..TASKS_MAX as u128).map(task).collect();
        let tasks = MailboxTasks { tenant, items };
        assert_eq!(MailboxTasks::from_text(&tasks.to_text()).unwrap(), tasks);
        assert!(wire_len(&tasks.to_text()) < MESSAGE_BYTES / 8);

        let alone = MailboxTasks::from_text(&task(1).to_text()).unwrap();
        assert_eq!(alone, MailboxTasks { tenant, items: vec![task(1)] });
    }
}
