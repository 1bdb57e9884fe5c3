//! The JSON of `tenant-tasks`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NotAMessage, PassageWire, read, text_of};
use crate::{
    domain::ids::TenantId,
    messages::{Message, TenantTask, TenantWork},
    queue::Queue,
};

#[derive(Serialize, Deserialize)]
struct TaskWire {
    tenant: Uuid,
    work: WorkWire,
    #[serde(flatten)]
    passage: PassageWire,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WorkWire {
    Connect,
    Align {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    Leave,
    Check,
}

impl From<TenantWork> for WorkWire {
    fn from(work: TenantWork) -> Self {
        match work {
            TenantWork::Connect => Self::Connect,
            TenantWork::Align { from } => Self::Align { from },
            TenantWork::Leave => Self::Leave,
            TenantWork::Check => Self::Check,
        }
    }
}

impl From<WorkWire> for TenantWork {
    fn from(wire: WorkWire) -> Self {
        match wire {
            WorkWire::Connect => Self::Connect,
            WorkWire::Align { from } => Self::Align { from },
            WorkWire::Leave => Self::Leave,
            WorkWire::Check => Self::Check,
        }
    }
}

impl Message for TenantTask {
    fn queue(&self) -> Queue {
        Queue::TenantTasks
    }

    fn to_text(&self) -> String {
        text_of(TaskWire {
            tenant: self.tenant.0,
            work: self.work.clone().into(),
            passage: self.passage.into(),
        })
    }
}

impl TenantTask {
    /// Reads a message back.
    ///
    /// # Errors
    /// [`NotAMessage`] when it is none of ours.
    pub fn from_text(text: &str) -> Result<Self, NotAMessage> {
        let wire: TaskWire = read(text)?;
        Ok(Self {
            tenant: TenantId(wire.tenant),
            work: wire.work.into(),
            passage: wire.passage.try_into()?,
        })
    }
}
