//! How series repeat and end.

use jiff::civil::{Weekday, date};
use world::exchange::{Invitation, Pattern, Recurrence, WeekIndex};

use super::office::{amsterdam, time, tuesdays};
use super::story::Story;
use super::table::stories;
use crate::contoso::{Who, hours};

stories!(
    every_tuesday,
    every_day,
    every_working_day,
    two_days_of_every_other_week,
    the_31st_of_the_month,
    the_second_friday_of_the_month,
    the_last_day_of_the_month,
    once_a_year,
    thanksgiving,
    until_a_date,
    without_end,
    without_end_a_week_later,
    begun_two_years_ago,
    over_the_change_of_the_clocks,
    three_hundred_dates,
    over_midnight,
);

/// The first days of a week.
fn from_monday(count: usize) -> Vec<Weekday> {
    Weekday::Monday.cycle_forward().take(count).collect()
}

fn every_tuesday() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora every Tuesday, three times", |o| {
            o.anna("1 Dec 09:00", tuesdays(3))
        })
        .then("it is hers on each date, and it has said so once")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(1, 0)
        .organizer_reads("booked 3 0")
}

fn every_day() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora every day, three times", |o| {
            o.anna("1 Dec 09:00", Recurrence::daily().times(3))
        })
        .then("it is hers on the three days")
        .aurora(&["1 Dec 09:00 Anna", "2 Dec 09:00 Anna", "3 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn every_working_day() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora on working days, from a Thursday on", |o| {
            o.anna("3 Dec 09:00", Recurrence::weekly(&from_monday(5)).times(4))
        })
        .then("it is hers on Thursday, Friday, Monday and Tuesday")
        .aurora(&["3 Dec 09:00 Anna", "4 Dec 09:00 Anna", "7 Dec 09:00 Anna", "8 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn two_days_of_every_other_week() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora on Monday and Thursday of every other week", |o| {
            let days = [Weekday::Monday, Weekday::Thursday];
            o.anna("30 Nov 09:00", Recurrence::weekly(&days).every(2).times(3))
        })
        .then("it is hers on those days, and not in the week between")
        .aurora(&["30 Nov 09:00 Anna", "3 Dec 09:00 Anna", "14 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn the_31st_of_the_month() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora on the 31st of each month", |o| {
            o.anna("31 Dec 09:00", Recurrence::new(Pattern::AbsoluteMonthly(31)).times(3))
        })
        .then("it is hers on the 31st, and on the last day of a shorter month")
        .aurora(&["31 Dec 09:00 Anna", "31 Jan 09:00 Anna", "28 Feb 09:00 Anna"])
        .answers(1, 0)
}

fn the_second_friday_of_the_month() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora on the second Friday of each month", |o| {
            let rule = Pattern::RelativeMonthly(WeekIndex::Second, vec![Weekday::Friday]);
            o.anna("11 Dec 09:00", Recurrence::new(rule).times(3))
        })
        .then("it is hers on those Fridays")
        .aurora(&["11 Dec 09:00 Anna", "8 Jan 09:00 Anna", "12 Feb 09:00 Anna"])
        .answers(1, 0)
}

fn the_last_day_of_the_month() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora on the last day of each month", |o| {
            let rule = Pattern::RelativeMonthly(WeekIndex::Last, from_monday(7));
            o.anna("30 Nov 09:00", Recurrence::new(rule).times(3))
        })
        .then("it is hers on those days")
        .aurora(&["30 Nov 09:00 Anna", "31 Dec 09:00 Anna", "31 Jan 09:00 Anna"])
        .answers(1, 0)
}

fn once_a_year() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora every year on 24 December", |o| {
            let rule = Pattern::AbsoluteYearly { month: 12, day: 24 };
            o.anna("24 Dec 09:00", Recurrence::new(rule))
        })
        .then("it is hers this year; the next date is further ahead than a year")
        .aurora(&["24 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn thanksgiving() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora every year on the fourth Thursday of November", |o| {
            let (index, days) = (WeekIndex::Fourth, vec![Weekday::Thursday]);
            let rule = Pattern::RelativeYearly { month: 11, index, days };
            o.anna("26 Nov 09:00", Recurrence::new(rule))
        })
        .then("it is hers this year")
        .aurora(&["26 Nov 09:00 Anna"])
        .answers(1, 0)
}

fn until_a_date() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora every Tuesday until 15 December", |o| {
            let rule = Recurrence::weekly(&[Weekday::Tuesday]);
            o.anna("1 Dec 09:00", rule.until(date(2026, 12, 15)))
        })
        .then("15 December is the last that is hers")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn without_end() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora every Friday, without end", |o| {
            o.anna("4 Dec 09:00", Recurrence::weekly(&[Weekday::Friday]))
        })
        .then("it is hers on each Friday of a year")
        .aurora(&["4 Dec 09:00 Anna", "49 more", "19 Nov 09:00 Anna"])
        .answers(1, 0)
        .organizer_reads("booked 51 0")
}

fn without_end_a_week_later() -> Story {
    Story::given("Anna has Aurora every Friday, without end", |o| {
        o.anna("4 Dec 09:00", Recurrence::weekly(&[Weekday::Friday]))
    })
    .when("eight days pass", |_| Ok(()))
    .days_pass(8)
    .then("one more Friday at the other end is hers, and nobody is mailed")
    .aurora(&["4 Dec 09:00 Anna", "50 more", "26 Nov 09:00 Anna"])
    .answers(1, 0)
}

fn begun_two_years_ago() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora to a series that began in January 2025", |o| {
            let rule = Recurrence::weekly(&[Weekday::Tuesday]);
            o.anna("2025-01-07T09:00", rule.until(date(2026, 12, 8)))
        })
        .then("it is hers on the dates that are to come")
        .aurora(&["24 Nov 09:00 Anna", "1 Dec 09:00 Anna", "8 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn over_the_change_of_the_clocks() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora on Tuesdays of March at nine in Amsterdam", |o| {
            o.anna("16 Mar 08:00", amsterdam(tuesdays(3)))
        })
        .then("after the clocks change it is hers an hour earlier by UTC")
        .aurora(&["16 Mar 08:00 Anna", "23 Mar 08:00 Anna", "30 Mar 07:00 Anna"])
        .answers(1, 0)
}

fn three_hundred_dates() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora on 300 days in a row", |o| {
            o.anna("1 Dec 09:00", Recurrence::daily().times(300))
        })
        .then("it is hers on all of them, and it has said so once")
        .aurora(&["1 Dec 09:00 Anna", "298 more", "26 Sep 09:00 Anna"])
        .answers(1, 0)
        .organizer_reads("booked 300 0")
}

fn over_midnight() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Aurora on three nights in a row, all night", |o| {
            let start = time("1 Dec 22:00");
            let invitation = Invitation::new("Night shift", start, start + hours(8));
            let aurora = o.contoso.calendar(Who::Aurora).clone();
            let nights = Recurrence::daily().times(3);
            o.send(Who::Anna, invitation.room(&aurora).series(nights))
        })
        .then("it is hers on the three nights")
        .aurora(&["1 Dec 22:00 Anna", "2 Dec 22:00 Anna", "3 Dec 22:00 Anna"])
        .answers(1, 0)
}
