//! Bookings that are found under another key from now on: a booking is its random id, and what it is found
//! by can change.
//!
//! A single appointment that becomes a series is its first date then, and the other way round. A series
//! that is moved, or has another rule, is listed with other original starts: its bookings are matched with
//! the new dates in order, and changed in place.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{super::report::CopyReport, Reconciler};
use crate::domain::{booking::Booking, ids::RoomId, interval::Interval, keys::BookingKey};

/// A date so long after the last one that was known is a new one: the series was not moved so far.
const FARTHEST_MOVE: SignedDuration = SignedDuration::from_hours(24 * 7);

impl Reconciler<'_> {
    pub(super) fn rekey(&mut self, report: &CopyReport) {
        let mut stale = self.stale_bookings(report);
        for (room, mut fresh) in self.new_dates(report) {
            let Some(mut stale) = stale.remove(&room) else { continue };
            // What stays at its time is the same, whatever it was called.
            let mut pairs = Vec::new();
            stale.retain(|(from, interval)| {
                let same = fresh.iter().position(|(_, date)| date == interval);
                pairs.extend(same.map(|at| (*from, fresh.remove(at).0)));
                same.is_none()
            });
            let in_order = stale.into_iter().zip(fresh).map(|((from, _), (to, _))| (from, to));
            pairs.extend(in_order);
            for (from, to) in pairs {
                let Some(Some((booking, etag))) = self.stored.bookings.remove(&from) else {
                    continue;
                };
                let mut booking = Booking { key: to, ..booking };
                if from.original_start.is_some() != to.original_start.is_some() {
                    // Exchange has asked the room again, for all dates or for one.
                    booking.published.room = None;
                }
                self.stored.bookings.insert(to, Some((booking, etag)));
                self.rekeyed.insert(to, from);
            }
        }
    }

    /// Of each room the bookings that are still wanted at a date that this copy does not have any more, in
    /// order.
    fn stale_bookings(&self, report: &CopyReport) -> BTreeMap<RoomId, Vec<(BookingKey, Interval)>> {
        let now = self.deps().clock.now();
        let mut stale: BTreeMap<RoomId, Vec<(BookingKey, Interval)>> = BTreeMap::new();
        for (key, row) in &self.stored.bookings {
            let is_of_it = key.appointment == report.appointment;
            if !is_of_it || report.held.contains_key(key) || report.lists(key) {
                continue;
            }
            let wanted = row.as_ref().and_then(|(booking, _)| booking.wanted_interval());
            if let Some(interval) = wanted.filter(|interval| !interval.is_over(now)) {
                stale.entry(key.room).or_default().push((*key, interval));
            }
        }
        stale
    }

    /// Of each room the dates that no booking is found under.
    fn new_dates(&self, report: &CopyReport) -> BTreeMap<RoomId, Vec<(BookingKey, Interval)>> {
        let known = self.stored.bookings.iter().filter(|(_, row)| row.is_some());
        let last = known.filter_map(|(key, _)| key.original_start).max();
        let mut fresh: BTreeMap<RoomId, Vec<(BookingKey, Interval)>> = BTreeMap::new();
        for (key, held) in &report.held {
            let is_known = matches!(self.stored.bookings.get(key), Some(Some(_)));
            let is_late = key
                .original_start
                .zip(last)
                .is_some_and(|(start, last)| start.duration_since(last) >= FARTHEST_MOVE);
            if !is_known && !is_late && key.appointment == report.appointment {
                fresh.entry(key.room).or_default().push((*key, held.facts.interval));
            }
        }
        fresh
    }
}
