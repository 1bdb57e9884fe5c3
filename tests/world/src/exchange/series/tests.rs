//! Series as Exchange keeps them: their dates, what one of them may do, and how rooms answer.

use std::sync::Arc;

use jiff::civil::{Weekday, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::test_support::{ManualClock, SeededRng};

use super::*;
use crate::exchange::{
    CopyView, Exchange, Invitation, Mailbox, Processing, Response, RoomRules, Tenant,
};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct Office {
    exchange: Exchange,
    tenant: Tenant,
    anna: Mailbox,
    aurora: Mailbox,
}

/// On 24 November 2026, a Tuesday.
fn office(processing: Processing) -> Office {
    let clock = Arc::new(ManualClock::new(time("2026-11-24T08:00:00Z")));
    let exchange = Exchange::new(clock, Arc::new(SeededRng::new(1)));
    let tenant = exchange.tenant("Contoso");
    let (anna, aurora) = (tenant.person("Anna"), tenant.room("Aurora", processing));
    Office { exchange, tenant, anna, aurora }
}

impl Office {
    /// An hour at nine, from 24 November on.
    fn series(&self, rule: Recurrence) -> Meeting {
        let (start, end) = (time("2026-11-24T09:00:00Z"), time("2026-11-24T10:00:00Z"));
        let invitation = Invitation::new("Standup", start, end).room(&self.aurora).series(rule);
        self.tenant.meet(&self.anna, invitation).unwrap()
    }

    fn single(&self, day: &str) -> Meeting {
        let (start, end) = (time(&format!("{day}T09:00:00Z")), time(&format!("{day}T10:00:00Z")));
        let invitation = Invitation::new("Budget", start, end).room(&self.aurora);
        self.tenant.meet(&self.anna, invitation).unwrap()
    }

    fn starts(&self, mailbox: &Mailbox) -> Vec<String> {
        self.exchange.room_calendar(mailbox).iter().map(|c| c.start.to_string()).collect()
    }
}

fn dates(rule: &Recurrence, first: &str, count: usize) -> Vec<String> {
    let first = time(first);
    let all = rule.dates(first, first + SignedDuration::from_hours(1), first).unwrap();
    all.into_iter().take(count).map(|(start, _)| start.to_string()).collect()
}

#[test]
fn every_pattern_of_graph_has_its_dates() {
    let first = "2026-11-30T09:00:00Z";
    let fortnight = Recurrence::weekly(&[Weekday::Monday, Weekday::Thursday]).every(2);
    let starts = dates(&fortnight, first, 3);
    assert_eq!(
        starts[..],
        ["2026-11-30", "2026-12-03", "2026-12-14"].map(|d| format!("{d}T09:00:00Z"))
    );
    let of = |pattern: Pattern, count| {
        let starts = dates(&Recurrence::new(pattern), first, count);
        starts.iter().map(|start| start[..10].to_owned()).collect::<Vec<_>>()
    };
    let last = of(Pattern::AbsoluteMonthly(31), 4);
    assert_eq!(last, ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"], "the last day");
    let every_day = Weekday::Monday.cycle_forward().take(7).collect();
    let last = of(Pattern::RelativeMonthly(WeekIndex::Last, every_day), 2);
    assert_eq!(last, ["2026-11-30", "2026-12-31"]);
    let second = of(Pattern::RelativeMonthly(WeekIndex::Second, vec![Weekday::Friday]), 2);
    assert_eq!(second, ["2026-12-11", "2027-01-08"], "it may begin after its start");
    let leap = of(Pattern::AbsoluteYearly { month: 2, day: 29 }, 2);
    assert_eq!(leap, ["2027-02-28", "2028-02-29"]);
    let (month, index, days) = (11, WeekIndex::Fourth, vec![Weekday::Thursday]);
    let thanksgiving = of(Pattern::RelativeYearly { month, index, days }, 2);
    assert_eq!(thanksgiving, ["2027-11-25", "2028-11-23"]);
}

#[test]
fn a_series_ends_by_date_by_count_or_never_and_keeps_its_wall_clock_time() {
    let first = "2026-11-24T09:00:00Z";
    assert_eq!(dates(&Recurrence::daily().until(date(2026, 11, 26)), first, 9).len(), 3);
    assert_eq!(dates(&Recurrence::daily().times(999), first, 9999).len(), 999);
    assert_eq!(dates(&Recurrence::daily(), first, 9999).len(), 800);
    let zone = TimeZone::get("Europe/Amsterdam").unwrap();
    let monthly = Recurrence::new(Pattern::AbsoluteMonthly(24)).in_zone(zone);
    let starts = dates(&monthly, first, 6);
    assert_eq!((&starts[3][..], &starts[5][..]), ("2027-02-24T09:00:00Z", "2027-04-24T08:00:00Z"));
}

#[test]
fn one_date_can_be_moved_changed_and_called_off_without_the_others() {
    let office = office(Processing::AutoUpdate);
    let (exchange, aurora) = (&office.exchange, &office.aurora);
    let series = office.series(Recurrence::daily().times(4));
    exchange.take_changes();
    let second = series.occurrence(time("2026-11-25T09:00:00Z"));
    second.move_to(time("2026-11-25T14:00:00Z"), time("2026-11-25T15:00:00Z")).unwrap();
    let third = series.occurrence(time("2026-11-26T09:00:00Z"));
    aurora.set_rules(RoomRules { keeps_cancelled: false, ..RoomRules::default() });
    third.cancel().unwrap();
    assert_eq!(
        office.starts(aurora),
        ["2026-11-24T09:00:00Z", "2026-11-25T14:00:00Z", "2026-11-27T09:00:00Z"]
    );
    assert_eq!(second.copy_in(aurora).unwrap().kind, EventType::Exception);
    // Each notification names the master.
    let masters = [&office.anna, aurora].map(|m| series.copy_in(m).unwrap().event);
    let changes = exchange.take_changes();
    assert!(changes.len() >= 4 && changes.iter().all(|c| masters.contains(&c.event)));
    // It may not reach its neighbour's day, though that one was called off.
    let crossing = second.move_to(time("2026-11-26T08:00:00Z"), time("2026-11-26T09:00:00Z"));
    assert_eq!(crossing, Err(ExchangeError::CrossesNeighbour));
}

#[test]
fn an_edit_keeps_exceptions_and_ids_and_another_time_loses_them() {
    let office = office(Processing::AutoUpdate);
    let Office { anna, aurora, .. } = &office;
    let borealis = office.tenant.room("Borealis", Processing::AutoUpdate);
    let series = office.series(Recurrence::daily().times(3));
    let second = series.occurrence(time("2026-11-25T09:00:00Z"));
    second.move_to(time("2026-11-25T14:00:00Z"), time("2026-11-25T15:00:00Z")).unwrap();
    let ids = |mailbox: &Mailbox| {
        let mut copies = office.exchange.room_calendar(mailbox);
        copies.sort_by_key(|copy| copy.start);
        copies.into_iter().map(|copy| copy.event).collect::<Vec<_>>()
    };
    let before = ids(aurora);
    series.rename("Another").unwrap();
    assert_eq!(ids(aurora), before);
    // A room that joins the series is not invited to the exception, which has rooms of its own.
    series.change_rooms(&[aurora, &borealis]).unwrap();
    assert_eq!(office.starts(&borealis), ["2026-11-24T09:00:00Z", "2026-11-26T09:00:00Z"]);

    series.move_to(time("2026-11-24T10:00:00Z"), time("2026-11-24T11:00:00Z")).unwrap();
    let hours = ["2026-11-24", "2026-11-25", "2026-11-26"].map(|day| format!("{day}T10:00:00Z"));
    assert_eq!(office.starts(aurora), hours);
    assert!(ids(aurora).iter().all(|id| !before.contains(id)));
    let master = |mailbox: &Mailbox| series.copy_in(mailbox).unwrap();
    assert_eq!(master(anna).ical, master(aurora).ical);
}

#[test]
fn a_room_on_one_date_alone_has_no_master() {
    let office = office(Processing::AutoAccept);
    let borealis = office.tenant.room("Borealis", Processing::AutoAccept);
    let series = office.series(Recurrence::daily().times(3));
    let second = series.occurrence(time("2026-11-25T09:00:00Z"));
    second.change_rooms(&[&borealis]).unwrap();
    assert!(series.copy_in(&borealis).is_none());
    assert_eq!(second.copy_in(&borealis).unwrap().kind, EventType::Exception);
    assert_eq!(second.response_of(&borealis), Some(Response::Accepted));
    assert_eq!(office.starts(&office.aurora).len(), 2);
}

#[test]
fn an_answer_to_a_series_is_for_all_dates_and_one_to_a_date_for_that() {
    let office = office(Processing::AutoUpdate);
    let Office { anna, aurora, .. } = &office;
    let series = office.series(Recurrence::daily().times(3));
    series.respond(aurora, Response::Accepted).unwrap();
    let second = series.occurrence(time("2026-11-25T09:00:00Z"));
    second.respond(aurora, Response::Declined).unwrap();
    assert_eq!(office.starts(aurora).len(), 2);
    let accepted = |copy: &CopyView| copy.response == Response::Accepted;
    assert!(office.exchange.room_calendar(aurora).iter().all(accepted));
    assert_eq!(series.response_of(aurora), Some(Response::Accepted));
    assert_eq!(second.response_of(aurora), Some(Response::Declined));
    assert_eq!(second.copy_in(anna).unwrap().kind, EventType::Exception);
    // A rename does not bring the declined date back.
    series.rename("Another").unwrap();
    assert_eq!(office.starts(aurora).len(), 2);
}

#[test]
fn an_accepting_room_declines_a_whole_series_for_one_conflict_or_only_the_date() {
    let office = office(Processing::AutoAccept);
    office.single("2026-11-25");
    let refused = office.series(Recurrence::daily().times(10));
    assert_eq!(refused.response_of(&office.aurora), Some(Response::Declined));
    assert_eq!(office.starts(&office.aurora), ["2026-11-25T09:00:00Z"]);
    let lenient =
        RoomRules { conflicts_allowed: 2, conflict_percentage: 10, ..RoomRules::default() };
    office.aurora.set_rules(lenient);
    let series = office.series(Recurrence::daily().times(10));
    assert_eq!(series.response_of(&office.aurora), Some(Response::Accepted));
    let second = series.occurrence(time("2026-11-25T09:00:00Z"));
    assert_eq!(second.response_of(&office.aurora), Some(Response::Declined));
    assert_eq!(office.starts(&office.aurora).len(), 10);
}

#[test]
fn an_accepting_room_declines_a_series_past_its_window_or_cuts_it_there() {
    let office = office(Processing::AutoAccept);
    let endless = office.series(Recurrence::daily());
    assert_eq!(endless.response_of(&office.aurora), Some(Response::Declined));
    office.aurora.set_rules(RoomRules { whole_series: false, ..RoomRules::default() });
    let endless = office.series(Recurrence::daily());
    assert_eq!(endless.response_of(&office.aurora), Some(Response::Accepted));
    assert_eq!(office.starts(&office.aurora).len(), 180);
    office.aurora.set_rules(RoomRules { takes_series: false, ..RoomRules::default() });
    let short = office.series(Recurrence::daily().times(2));
    assert_eq!(short.response_of(&office.aurora), Some(Response::Declined));
}

#[test]
fn this_and_following_makes_a_new_series_and_the_room_is_not_notified_of_the_old_ones_end() {
    let office = office(Processing::AutoUpdate);
    let Office { exchange, anna, aurora, .. } = &office;
    let series = office.series(Recurrence::daily().times(5));
    exchange.take_changes();
    let from = time("2026-11-26T09:00:00Z");
    let rest = series
        .split(from, |rest| {
            rest.start = time("2026-11-26T11:00:00Z");
            rest.end = time("2026-11-26T12:00:00Z");
            rest.rule = rest.rule.clone().times(3);
        })
        .unwrap();
    assert_ne!(rest.ical(), series.ical());
    let days = ["24T09", "25T09", "26T11", "27T11", "28T11"];
    assert_eq!(office.starts(aurora), days.map(|day| format!("2026-11-{day}:00:00Z")));
    let new = rest.copy_in(aurora).unwrap().event;
    let old = series.copy_in(anna).unwrap().event;
    let changes = exchange.take_changes();
    let of_room = changes.iter().filter(|change| change.mailbox == aurora.id());
    assert!(of_room.clone().count() > 0 && of_room.clone().all(|change| change.event == new));
    assert!(changes.iter().any(|change| change.event == old));
}

#[test]
fn a_single_meeting_becomes_a_series_and_one_again() {
    let office = office(Processing::AutoAccept);
    let meeting = office.single("2026-11-24");
    let copy = meeting.copy_in(&office.aurora).unwrap();
    meeting.repeat(Recurrence::daily().times(3)).unwrap();
    assert_eq!(office.starts(&office.aurora).len(), 3);
    let master = meeting.copy_in(&office.aurora).unwrap();
    assert_eq!((master.event, master.kind), (copy.event.clone(), EventType::SeriesMaster));
    meeting.repeat_no_more().unwrap();
    assert_eq!(office.starts(&office.aurora), ["2026-11-24T09:00:00Z"]);
    assert_eq!(meeting.copy_in(&office.aurora).unwrap().event, copy.event);
    assert_eq!(meeting.response_of(&office.aurora), Some(Response::Accepted));
    meeting.repeat(Recurrence::daily().times(3)).unwrap();
    meeting.cancel().unwrap();
    assert_eq!(office.starts(&office.aurora).len(), 0);
}
