//! Whether a reading may be taken in: whose copy it is, and whether it is newer than what we did.

use super::{
    super::{CATCH_UP_DELAY, report::CopyReport},
    Reconciler,
};
use crate::{
    domain::{
        appointment::{CopyReading, CopyRole, ForeignCopy, organizer_digest},
        booking::Booking,
        ids::MailboxId,
        keys::{BookingKey, Digest},
        personal::Personal,
    },
    graph::GraphError,
    jobs::runner::job::JobError,
};

impl Reconciler<'_> {
    /// The event that was this calendar's copy so far, if it is no longer in it. The calendar decides:
    /// a deleted event can still be read by its id, and its deletion may be reported after the new
    /// copy. Asked only when another copy is known.
    pub(super) async fn superseded_event(
        &self,
        report: &CopyReport,
        ical_uid: &Personal,
    ) -> Result<Option<Digest>, JobError> {
        if report.held.is_empty() {
            return Ok(None);
        }
        let own = self.batch.copy_key(self.item);
        let rows = self.stored.bookings.values().flatten();
        let mut of_it = rows.filter(|(row, _)| row.key.appointment == report.appointment);
        let known = of_it.find_map(|(booking, _)| {
            let at = booking.copies.copy(report.role);
            at.map(|at| at.key).filter(|at| at.mailbox == own.mailbox && at.digest != own.digest)
        });
        let Some(known) = known else { return Ok(None) };
        let is_listed = self.batch.is_listed(self.item, known.digest, ical_uid).await?;
        Ok((!is_listed).then_some(known.digest))
    }

    /// One person's address may be written in two ways: where the two copies name different ones, the
    /// directory says whether both are the organizer's.
    pub(super) async fn prove_organizer(
        &self,
        readings: &mut [(BookingKey, CopyReading)],
        ical_uid: &Personal,
    ) -> Result<(), JobError> {
        // Of several rooms the organizer is the same, and is looked up once.
        let mut known: Option<(MailboxId, Vec<Personal>)> = None;
        for (key, reading) in readings {
            let Some(Some((booking, _))) = self.stored.bookings.get(key) else { continue };
            let identity = &booking.copies.identity;
            let (mailbox, wanted, proof) = match (booking.check(reading), reading.role) {
                (Err(ForeignCopy::Organizer), CopyRole::Organizer) => {
                    (Some(reading.at.key.mailbox), identity.invited_by(), identity.invited_by())
                }
                (Err(ForeignCopy::Invitation), CopyRole::Room) => {
                    (self.owner_of(booking), reading.organizer, identity.address())
                }
                (Ok(()) | Err(_), _) => continue,
            };
            let (Some(mailbox), Some(wanted)) = (mailbox, wanted) else { continue };
            let own = match known.take().filter(|(owner, _)| *owner == mailbox) {
                Some((_, addresses)) => addresses,
                None => self.addresses_of(mailbox).await?,
            };
            let digest_key = self.batch.digest_key;
            let uid = reading.ical_uid.as_ref().unwrap_or(ical_uid);
            let is_wanted = |address| organizer_digest(digest_key, uid, address) == Some(wanted);
            if own.iter().any(is_wanted) {
                reading.organizer = proof;
            }
            known = Some((mailbox, own));
        }
        Ok(())
    }

    /// The organizer's mailbox: the one of the known copies that the booking is bound to.
    fn owner_of(&self, booking: &Booking) -> Option<MailboxId> {
        let owner = |mailbox| self.batch.digest_key.owner(booking.key.appointment, mailbox);
        let mut mailboxes = booking.known_copies.iter().map(|copy| copy.mailbox);
        mailboxes.find(|mailbox| Some(owner(*mailbox)) == booking.copies.identity.owner())
    }

    /// A mailbox's addresses in the directory; none of one that cannot be looked up.
    async fn addresses_of(&self, mailbox: MailboxId) -> Result<Vec<Personal>, JobError> {
        let graph = self.batch.item_graph(self.item);
        match graph.find_user(&Personal::new(mailbox.to_string())).await {
            Ok(owner) => Ok(owner.map(|owner| owner.addresses).unwrap_or_default()),
            Err(error @ GraphError::Retry { .. }) => Err(error.into()),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Leaves the bookings for which another copy is the organizer's or the room's, and returns why.
    pub(super) async fn take_out_foreign(
        &mut self,
        readings: &mut Vec<(BookingKey, CopyReading)>,
    ) -> Result<Option<ForeignCopy>, JobError> {
        let mut foreign = None;
        let mut is_known = false;
        readings.retain(|(key, reading)| {
            let Some(Some((booking, _))) = self.stored.bookings.get(key) else { return true };
            let Err(error) = booking.check(reading) else { return true };
            is_known |= booking.known_copies.contains(&reading.at.key);
            foreign = Some(error);
            self.stored.bookings.remove(key);
            false
        });
        // The purge of a booking finds the pointers of the copies it knows, and no others.
        if foreign.is_some() && readings.is_empty() && !is_known && self.stored.pointer.is_some() {
            let copy = self.batch.copy_key(self.item);
            self.deps().appointments.remove(self.batch.tenant.id, copy).await?;
        }
        Ok(foreign)
    }

    /// Waits once before the room is taken for asked again: a read may lag behind the answer.
    pub(super) fn confirm_asked_again(
        &self,
        readings: &[(BookingKey, CopyReading)],
    ) -> Result<(), JobError> {
        let mut rows = readings.iter().filter_map(|(key, reading)| {
            Some((&self.stored.bookings.get(key)?.as_ref()?.0, reading))
        });
        if self.item.meta.deferrals == 0
            && rows.any(|(booking, reading)| booking.is_asked_again(reading))
        {
            let reason = "the room's copy does not show its answer; checking once more";
            return Err(JobError::retry_after(CATCH_UP_DELAY, reason));
        }
        Ok(())
    }
}

impl From<ForeignCopy> for JobError {
    fn from(error: ForeignCopy) -> Self {
        Self::Fail { cause: std::sync::Arc::new(error) }
    }
}
