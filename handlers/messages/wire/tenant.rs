//! The JSON of `tenant-tasks`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NotAMessage, PassageWire, read, text_of};
use crate::{
    domain::ids::TenantId,
    messages::{Message, Stage, TenantTask, TenantWork},
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
        from: Option<StageWire>,
    },
    Leave,
    Check,
}

#[derive(Serialize, Deserialize)]
struct StageWire {
    shard: u8,
    anew: bool,
    #[serde(default)]
    compare: bool,
}

impl From<Stage> for StageWire {
    fn from(Stage { shard, anew, compare }: Stage) -> Self {
        Self { shard, anew, compare }
    }
}

impl From<StageWire> for Stage {
    fn from(StageWire { shard, anew, compare }: StageWire) -> Self {
        Self { shard, anew, compare }
    }
}

impl From<TenantWork> for WorkWire {
    fn from(work: TenantWork) -> Self {
        match work {
            TenantWork::Connect => Self::Connect,
            TenantWork::Align { from } => Self::Align { from: from.map(StageWire::from) },
            TenantWork::Leave => Self::Leave,
            TenantWork::Check => Self::Check,
        }
    }
}

impl From<WorkWire> for TenantWork {
    fn from(wire: WorkWire) -> Self {
        match wire {
            WorkWire::Connect => Self::Connect,
            WorkWire::Align { from } => Self::Align { from: from.map(Stage::from) },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::ids::CorrelationId, messages::Passage};

    #[test]
    fn a_task_comes_back_as_it_was() {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let (tenant, passage) =
            (TenantId(Uuid::from_u128(9)), Passage::start(CorrelationId(7), now));
        let stage = Stage { shard: 255, anew: true, compare: true };
        for work in [
            TenantWork::Connect,
            TenantWork::Align { from: None },
            TenantWork::Align { from: Some(stage) },
            TenantWork::Leave,
            TenantWork::Check,
        ] {
            let task = TenantTask { tenant, work, passage };
            assert_eq!(TenantTask::from_text(&task.to_text()).unwrap(), task);
        }
    }
}
