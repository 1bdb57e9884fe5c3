//! One booking's row: what was read is written into it, however often somebody else is faster, and
//! what watches it before it.

use jiff::SignedDuration;

use super::desire::{Desire, Written};
use crate::{
    domain::{
        appointment::{Copies, Role},
        booking::{Booking, Reading},
        ids::BookingId,
        keys::BookingKey,
        personal::Personal,
        policy::Answering,
    },
    jobs::runner::job::StepError,
    store::{
        due::{DueEntry, Purpose, Subject},
        tables::ETag,
    },
};

/// When a booking that is still unsettled is looked at again.
const UNSETTLED: SignedDuration = SignedDuration::from_mins(5);
/// When a copy is read again that somebody else has read meanwhile.
pub(super) const AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// How often a lost race for a booking's row is run again in place.
const RACES: u32 = 8;

impl Desire<'_> {
    /// Brings one booking's row up to what was read, however often somebody else is faster.
    pub(super) async fn write(
        &self,
        key: BookingKey,
        mut row: Option<(Booking, ETag)>,
        ical_uid: &Personal,
        reading: Reading,
    ) -> Result<Option<Written>, StepError> {
        let (answering, waits) = self.rule(key);
        for race in 0.. {
            let before = row.as_ref().map(|(booking, _)| booking.clone());
            let after = match &before {
                Some(booking) => Some(booking.clone().see(waits, reading.clone())),
                None => {
                    let id = BookingId(self.deps.rng.uuid());
                    Booking::first(key, id, ical_uid.clone(), waits, reading.clone())
                }
            };
            let Some(mut after) = after else { return Ok(None) };
            if self.erased {
                after = after.forget(self.item.mailbox);
            }
            let changed = before.as_ref() != Some(&after);
            let written = Written {
                key,
                nudge: changed || answering.is_some_and(|answering| !after.is_settled(answering)),
                marked: after.shown.organizer.is_some(),
                disagrees_with: if changed { after.other_copy(reading.role) } else { None },
                ends_at: after.purge_due,
            };
            if !changed {
                return Ok(Some(written));
            }
            let etag = row.as_ref().map(|(_, etag)| etag.clone());
            let wanted = after.copies.clone();
            match self.save(before.as_ref(), after, etag).await {
                Ok(()) => return Ok(Some(written)),
                Err(error) if error.is_changed() && race < RACES => {
                    row = self.deps.bookings.get(&key).await?;
                    let now = row.as_ref().map(|(booking, _)| &booking.copies);
                    let then = before.as_ref().map(|booking| &booking.copies);
                    if !same_word(reading.role, now, then)
                        && !same_word(reading.role, now, Some(&wanted))
                    {
                        // Another reading of this very copy was faster: which of the two is the
                        // newer one only Graph can tell.
                        return Err(StepError::wait(AGAIN, "another reading was faster"));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Watchers first: an entry without a row costs one look, a row without an entry is forgotten.
    async fn save(
        &self,
        before: Option<&Booking>,
        mut after: Booking,
        etag: Option<ETag>,
    ) -> Result<(), crate::store::StoreError> {
        let now = self.deps.clock.now();
        let subject = Subject::Booking(after.key);
        if after.unsettled_due.is_none_or(|at| at <= now) {
            // Spread, so that a storm is not looked at again all at once, and so that an entry
            // being removed and one being written are hardly ever the same.
            let spread = self.deps.rng.below(60_000);
            let at =
                now + UNSETTLED + SignedDuration::from_millis(i64::try_from(spread).unwrap_or(0));
            self.deps.due.put(&DueEntry::new(Purpose::Unsettled, at, subject)).await?;
            after.unsettled_due = Some(at);
        }
        if before.is_none_or(|before| before.purge_due != after.purge_due) {
            let at = after.purge_due;
            self.deps.due.put(&DueEntry::new(Purpose::Purge, at, subject)).await?;
        }
        match etag {
            Some(etag) => self.deps.bookings.replace(&after, &etag).await?,
            None => self.deps.bookings.insert(&after).await?,
        };
        Ok(())
    }

    fn rule(&self, key: BookingKey) -> (Option<Answering>, bool) {
        let room = self.rooms.iter().find(|room| room.id == key.room);
        let answering = room.map(|room| room.answering);
        let waits = match answering {
            Some(Answering::ExchangeDecides) => self.tenant.policy.rooms_subscribed,
            Some(Answering::RoombridgeDecides) | None => false,
        };
        (answering, waits)
    }
}

/// Whether the last word of one copy is the same in both; no row is a copy that was never seen.
fn same_word(role: Role, one: Option<&Copies>, other: Option<&Copies>) -> bool {
    let unseen = Copies::default();
    let (one, other) = (one.unwrap_or(&unseen), other.unwrap_or(&unseen));
    match role {
        Role::Organizer => one.organizer == other.organizer,
        Role::Room => one.room == other.room,
    }
}
