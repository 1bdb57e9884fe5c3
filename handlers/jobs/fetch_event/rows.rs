//! One booking's row: what was read is written into it, however often somebody else is faster, and
//! what watches it before it.

use jiff::SignedDuration;

use super::reconcile::{BookingWrite, Reconciler};
use crate::{
    domain::{
        appointment::{Copies, CopyRole},
        booking::{Booking, CopyReading},
        ids::BookingId,
        keys::BookingKey,
        personal::Personal,
        policy::ResponseMode,
    },
    jobs::runner::job::JobError,
    store::{
        due::{DueEntry, DuePurpose, DueSubject},
        tables::ETag,
    },
};

/// When a booking that is still unsettled is looked at again.
const UNSETTLED_RECHECK: SignedDuration = SignedDuration::from_mins(5);
/// When a copy is read again that somebody else has read meanwhile.
pub(super) const REREAD_DELAY: SignedDuration = SignedDuration::from_secs(2);
/// How often a lost race for a booking's row is run again in place.
const MAX_CONFLICT_RETRIES: u32 = 8;

impl Reconciler<'_> {
    /// Brings one booking's row up to what was read, however often somebody else is faster.
    pub(super) async fn write_booking(
        &self,
        key: BookingKey,
        mut row: Option<(Booking, ETag)>,
        ical_uid: &Personal,
        reading: CopyReading,
    ) -> Result<Option<BookingWrite>, JobError> {
        let (answering, waits) = self.answering_rule(key);
        for race in 0.. {
            let before = row.as_ref().map(|(booking, _)| booking.clone());
            let after = match &before {
                Some(booking) => Some(booking.clone().apply_reading(waits, reading.clone())),
                None => {
                    let id = BookingId(self.deps.rng.uuid());
                    Booking::from_first_reading(key, id, ical_uid.clone(), waits, reading.clone())
                }
            };
            let Some(mut after) = after else { return Ok(None) };
            if self.erased {
                after = after.forget_mailbox(self.item.mailbox);
            }
            let changed = before.as_ref() != Some(&after);
            let written = BookingWrite {
                key,
                needs_booking_job: changed
                    || answering.is_some_and(|answering| !after.is_settled(answering)),
                has_property: after.published.organizer.is_some(),
                disagrees_with: if changed { after.copy_to_reread(reading.role) } else { None },
                ends_at: after.purge_due,
            };
            if !changed {
                return Ok(Some(written));
            }
            let etag = row.as_ref().map(|(_, etag)| etag.clone());
            let wanted = after.copies.clone();
            match self.save_booking(before.as_ref(), after, etag).await {
                Ok(()) => return Ok(Some(written)),
                Err(error) if error.is_conflict() && race < MAX_CONFLICT_RETRIES => {
                    row = self.deps.bookings.get(&key).await?;
                    let now = row.as_ref().map(|(booking, _)| &booking.copies);
                    let then = before.as_ref().map(|booking| &booking.copies);
                    if !same_copy_state(reading.role, now, then)
                        && !same_copy_state(reading.role, now, Some(&wanted))
                    {
                        // Another reading of this very copy was faster: which of the two is the
                        // newer one only Graph can tell.
                        return Err(JobError::retry_after(
                            REREAD_DELAY,
                            "another reading was faster",
                        ));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Watchers first: an entry without a row costs one look, a row without an entry is forgotten.
    async fn save_booking(
        &self,
        before: Option<&Booking>,
        mut after: Booking,
        etag: Option<ETag>,
    ) -> Result<(), crate::store::StoreError> {
        let now = self.deps.clock.now();
        let subject = DueSubject::Booking(after.key);
        if after.unsettled_due.is_none_or(|at| at <= now) {
            // Spread, so that a storm is not looked at again all at once, and so that an entry
            // being removed and one being written are hardly ever the same.
            let spread = self.deps.rng.below(60_000);
            let at = now
                + UNSETTLED_RECHECK
                + SignedDuration::from_millis(i64::try_from(spread).unwrap_or(0));
            self.deps.due.upsert(&DueEntry::new(DuePurpose::Unsettled, at, subject)).await?;
            after.unsettled_due = Some(at);
        }
        if before.is_none_or(|before| before.purge_due != after.purge_due) {
            let at = after.purge_due;
            self.deps.due.upsert(&DueEntry::new(DuePurpose::Purge, at, subject)).await?;
        }
        match etag {
            Some(etag) => self.deps.bookings.replace(&after, &etag).await?,
            None => self.deps.bookings.insert(&after).await?,
        };
        Ok(())
    }

    fn answering_rule(&self, key: BookingKey) -> (Option<ResponseMode>, bool) {
        let room = self.rooms.iter().find(|room| room.id == key.room);
        let answering = room.map(|room| room.response_mode);
        let waits = match answering {
            Some(ResponseMode::ExchangeDecides) => self.tenant.policy.rooms_subscribed,
            Some(ResponseMode::RoombridgeDecides) | None => false,
        };
        (answering, waits)
    }
}

/// Whether the last word of one copy is the same in both; no row is a copy that was never seen.
fn same_copy_state(role: CopyRole, one: Option<&Copies>, other: Option<&Copies>) -> bool {
    let unseen = Copies::default();
    let (one, other) = (one.unwrap_or(&unseen), other.unwrap_or(&unseen));
    match role {
        CopyRole::Organizer => one.organizer == other.organizer,
        CopyRole::Room => one.room == other.room,
    }
}
