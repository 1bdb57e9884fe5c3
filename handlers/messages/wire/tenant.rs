//! The JSON of `maintain-tenant`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{InvalidMessage, PassageWire, parse, to_json};
use crate::{
    domain::ids::TenantId,
    messages::{JobMeta, Message, ReconcileCursor, TenantTask, TenantTaskKind},
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

impl From<ReconcileCursor> for StageWire {
    fn from(
        ReconcileCursor { shard, resubscribe: anew, resync: compare }: ReconcileCursor,
    ) -> Self {
        Self { shard, anew, compare }
    }
}

impl From<StageWire> for ReconcileCursor {
    fn from(StageWire { shard, anew, compare }: StageWire) -> Self {
        Self { shard, resubscribe: anew, resync: compare }
    }
}

impl From<TenantTaskKind> for WorkWire {
    fn from(work: TenantTaskKind) -> Self {
        match work {
            TenantTaskKind::Connect => Self::Connect,
            TenantTaskKind::ReconcilePolicy { from } => {
                Self::Align { from: from.map(StageWire::from) }
            }
            TenantTaskKind::Leave => Self::Leave,
            TenantTaskKind::CheckAccess => Self::Check,
        }
    }
}

impl From<WorkWire> for TenantTaskKind {
    fn from(wire: WorkWire) -> Self {
        match wire {
            WorkWire::Connect => Self::Connect,
            WorkWire::Align { from } => {
                Self::ReconcilePolicy { from: from.map(ReconcileCursor::from) }
            }
            WorkWire::Leave => Self::Leave,
            WorkWire::Check => Self::CheckAccess,
        }
    }
}

impl Message for TenantTask {
    fn queue(&self) -> Queue {
        Queue::MaintainTenant
    }

    fn to_text(&self) -> String {
        to_json(TaskWire {
            tenant: self.tenant.0,
            work: self.kind.clone().into(),
            passage: self.meta.into(),
        })
    }

    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        let wire: TaskWire = parse(text)?;
        Ok(Self {
            tenant: TenantId(wire.tenant),
            kind: wire.work.into(),
            meta: wire.passage.try_into()?,
        })
    }

    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::ids::CorrelationId, messages::JobMeta};

    #[test]
    fn a_task_comes_back_as_it_was() {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let (tenant, passage) = (TenantId(Uuid::from_u128(9)), JobMeta::new(CorrelationId(7), now));
        let stage = ReconcileCursor { shard: 255, resubscribe: true, resync: true };
        for work in [
            TenantTaskKind::Connect,
            TenantTaskKind::ReconcilePolicy { from: None },
            TenantTaskKind::ReconcilePolicy { from: Some(stage) },
            TenantTaskKind::Leave,
            TenantTaskKind::CheckAccess,
        ] {
            let task = TenantTask { tenant, kind: work, meta: passage };
            assert_eq!(TenantTask::from_text(&task.to_text()).unwrap(), task);
        }
    }
}
