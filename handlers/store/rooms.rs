//! The room map in the table `Rooms`: which rooms a tenant has let Roombridge manage.
//!
//! The whole map of a tenant is one partition, `{tenant}_map`, with a row a room. This departs from
//! a row in each room's own partition beside its days: the map is asked for with every appointment,
//! and so it is one read that touches nothing else, however many room-days the table holds.

use std::sync::Arc;

use jiff::SignedDuration;

use super::tables::{KeyRange, RowChange, RowKey, StoreError, Table, Tables, TypedTable};
use crate::{
    base::{cache::Cache, clock::Clock},
    domain::{
        ids::{RoomId, TenantId},
        tenant::policy::{ResponseMode, Room, response_mode},
    },
};

/// How old a map may be.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(60);
/// How old it may be where a room is not found in it.
const UNKNOWN_ROOM_AGE: SignedDuration = SignedDuration::from_secs(5);

/// The room maps. Clones share what was read lately.
#[derive(Debug, Clone)]
pub struct RoomMap {
    table: TypedTable<Room>,
    cache: Cache<TenantId, Arc<[Room]>>,
}

impl RoomMap {
    /// The maps, with an empty cache.
    pub fn new(tables: Arc<dyn Tables>, clock: Arc<dyn Clock>) -> Self {
        Self { table: TypedTable::open(tables, Table::Rooms), cache: Cache::new(clock) }
    }

    /// The tenant's rooms as they were at most 60 s ago, ordered by id.
    pub async fn list(&self, tenant: TenantId) -> Result<Arc<[Room]>, StoreError> {
        self.list_younger(tenant, MAX_AGE).await
    }

    /// The same, for a room that is not in [`RoomMap::list`]: another process may have added it. As they were
    /// at most 5 s ago, because a tenant may have any number of rooms that are not managed.
    pub async fn list_newer(&self, tenant: TenantId) -> Result<Arc<[Room]>, StoreError> {
        self.list_younger(tenant, UNKNOWN_ROOM_AGE).await
    }

    async fn list_younger(
        &self,
        tenant: TenantId,
        age: SignedDuration,
    ) -> Result<Arc<[Room]>, StoreError> {
        match self.cache.get_younger(&tenant, age) {
            Some(rooms) => Ok(rooms),
            None => self.list_uncached(tenant).await,
        }
    }

    /// Who answers for the room; `None` when it is not managed.
    pub async fn response_mode(
        &self,
        tenant: TenantId,
        room: RoomId,
    ) -> Result<Option<ResponseMode>, StoreError> {
        // Otherwise the outcome in a room that another process has just added would settle unanswered.
        self.find(tenant, |rooms| response_mode(rooms, room)).await
    }

    /// What `find` makes of the rooms; where it finds nothing, of what another process may just have changed.
    pub async fn find<T>(
        &self,
        tenant: TenantId,
        find: impl Fn(&[Room]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match find(&self.list(tenant).await?) {
            Some(found) => Ok(Some(found)),
            None => Ok(find(&self.list_newer(tenant).await?)),
        }
    }

    /// The tenant's rooms as they are, ordered by id.
    pub async fn list_uncached(&self, tenant: TenantId) -> Result<Arc<[Room]>, StoreError> {
        let begun = self.cache.begin_read();
        let rooms = self.table.values(&KeyRange::single_partition(partition(tenant))).await?;
        let rooms: Arc<[Room]> = rooms.into();
        self.cache.insert_read(begun, tenant, Arc::clone(&rooms));
        Ok(rooms)
    }

    /// Writes a room of the tenant, in place of what was stored for it.
    pub async fn upsert(&self, tenant: TenantId, room: &Room) -> Result<(), StoreError> {
        let row = TypedTable::encode(row_key(tenant, room.id), room)?;
        let written = self.table.write(RowChange::Upsert(row)).await;
        // Afterwards, or a reader in between would remember the old map; also when it failed,
        // because it may have been written all the same.
        self.cache.invalidate(&tenant);
        written.map(|_| ())
    }

    /// Takes a room out of the map; one that is not there is fine.
    pub async fn remove(&self, tenant: TenantId, room: RoomId) -> Result<(), StoreError> {
        let removed = self.table.delete(row_key(tenant, room), None).await;
        self.cache.invalidate(&tenant);
        removed
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}_map")
}

fn row_key(tenant: TenantId, room: RoomId) -> RowKey {
    RowKey::new(partition(tenant), room)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::{
        base::test_support::ManualClock,
        domain::{
            booking_system::{SystemId, SystemRoomId},
            tenant::policy::ResponseMode,
        },
        store::test_support::{CountingTables, at, room, tenant},
    };

    fn managed(n: u128, answering: ResponseMode) -> Room {
        Room {
            id: room(n),
            addresses: vec![format!("room{n}@contoso.example"), "zürich@contoso.example".into()],
            response_mode: answering,
            time_zone: "Europe/Zurich".into(),
            system_rooms: [(SystemId(1), SystemRoomId(format!("room-{n}")))].into(),
            previous_system_room: None,
        }
    }

    fn opened() -> (Arc<CountingTables>, ManualClock, RoomMap) {
        let (fake, clock) =
            (Arc::new(CountingTables::default()), ManualClock::new(at("2026-11-24T09:00:00Z")));
        (fake.clone(), clock.clone(), RoomMap::new(fake, Arc::new(clock)))
    }

    #[tokio::test]
    async fn a_tenants_whole_map_is_one_read_a_minute() {
        let (fake, clock, map) = opened();
        let rooms = [
            managed(1, ResponseMode::ExchangeDecides),
            managed(2, ResponseMode::RoombridgeDecides),
        ];
        for room in &rooms {
            map.upsert(tenant(9), room).await.unwrap();
        }
        map.upsert(tenant(8), &rooms[0]).await.unwrap();
        for _ in 0..5 {
            assert_eq!(*map.list(tenant(9)).await.unwrap(), rooms);
        }
        assert_eq!(fake.scans.load(Ordering::Relaxed), 1);
        clock.advance(SignedDuration::from_secs(60));
        assert_eq!(*map.list(tenant(9)).await.unwrap(), rooms);
        assert_eq!(fake.scans.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_room_taken_out_here_is_gone_at_once_and_elsewhere_within_a_minute() {
        let (fake, clock, map) = opened();
        let elsewhere = RoomMap::new(fake, Arc::new(clock.clone()));
        map.upsert(tenant(9), &managed(1, ResponseMode::ExchangeDecides)).await.unwrap();
        assert_eq!(elsewhere.list(tenant(9)).await.unwrap().len(), 1);
        map.remove(tenant(9), room(1)).await.unwrap();
        map.remove(tenant(9), room(1)).await.unwrap();
        assert_eq!(map.list(tenant(9)).await.unwrap().len(), 0);
        assert_eq!(elsewhere.list(tenant(9)).await.unwrap().len(), 1);
        assert_eq!(elsewhere.list_uncached(tenant(9)).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn who_answers_for_a_room_that_was_added_elsewhere_is_known_within_seconds() {
        let (fake, clock, map) = opened();
        assert_eq!(map.response_mode(tenant(9), room(1)).await.unwrap(), None);
        let elsewhere = RoomMap::new(fake.clone(), Arc::new(clock.clone()));
        elsewhere.upsert(tenant(9), &managed(1, ResponseMode::ExchangeDecides)).await.unwrap();
        clock.advance(UNKNOWN_ROOM_AGE);
        let mode = map.response_mode(tenant(9), room(1)).await.unwrap();
        assert_eq!(mode, Some(ResponseMode::ExchangeDecides));
        assert_eq!(map.response_mode(tenant(9), room(2)).await.unwrap(), None);
        assert_eq!(fake.scans.load(Ordering::Relaxed), 2);
    }
}
