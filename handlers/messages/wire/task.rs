//! The JSON of `mailbox-tasks`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NotAMessage, PassageWire, nonce_of, read, text_of};
use crate::{
    domain::ids::{MailboxId, TenantId},
    messages::{MailboxTask, Message, Task},
    queue::Queue,
};

#[derive(Serialize, Deserialize)]
struct TaskWire {
    tenant: Uuid,
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

impl Message for MailboxTask {
    fn queue(&self) -> Queue {
        Queue::MailboxTasks
    }

    fn to_text(&self) -> String {
        text_of(TaskWire {
            tenant: self.tenant.0,
            mailbox: self.mailbox.0,
            task: self.task.into(),
            nonce: self.nonce.map(|nonce| format!("{nonce:016x}")),
            due: self.due,
            passage: self.passage.into(),
        })
    }
}

impl MailboxTask {
    /// Reads a message back.
    ///
    /// # Errors
    /// [`NotAMessage`] when it is none of ours.
    pub fn from_text(text: &str) -> Result<Self, NotAMessage> {
        let wire: TaskWire = read(text)?;
        Ok(Self {
            tenant: TenantId(wire.tenant),
            mailbox: MailboxId(wire.mailbox),
            task: wire.task.into(),
            nonce: wire.nonce.as_deref().map(nonce_of).transpose()?,
            due: wire.due,
            passage: wire.passage.try_into()?,
        })
    }
}
