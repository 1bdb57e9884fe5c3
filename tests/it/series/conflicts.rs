//! Somebody else has the room.

use roombridge::domain::tenant::policy::SeriesConflicts;
use world::exchange::Recurrence;

use super::office::{Done, Office, tuesdays};
use super::story::{Step, Story};
use super::table::stories;
use crate::contoso::Who;

stories!(
    one_date_is_taken,
    half_of_the_dates_are_taken,
    more_than_half_of_the_dates_are_taken,
    more_than_ten_dates_are_taken,
    all_or_nothing,
    the_taken_date_is_moved_to_a_free_time,
    the_other_meeting_is_cancelled,
    the_other_meeting_is_cancelled_and_she_asks_again,
    two_series_for_the_same_times,
    two_series_that_meet_once,
    a_later_meeting_against_a_series,
    one_date_is_moved_onto_another_meeting,
    the_series_is_moved_onto_another_meeting,
    a_declined_series_is_moved_to_a_free_time,
    one_of_two_rooms_is_taken,
    a_longer_series_meets_another_one,
);

const GIVEN: &str = "Cleo has Aurora on 8 December at 9";

fn cleo_on_the_8th(o: &mut Office) -> Done {
    o.cleo_once("8 Dec 09:00")
}

fn three_tuesdays(o: &mut Office) -> Done {
    o.anna("1 Dec 09:00", tuesdays(3))
}

fn one_date_is_taken() -> Story {
    Story::given(GIVEN, cleo_on_the_8th)
        .when("Anna invites it every Tuesday at 9, three times", three_tuesdays)
        .then("the room accepts the series and declines that date")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Cleo", "15 Dec 09:00 Anna"])
        .answers(2, 1)
        .organizer_reads("partly booked 3 1")
}

fn half_of_the_dates_are_taken() -> Story {
    Story::given(GIVEN, cleo_on_the_8th)
        .when("Anna invites it every Tuesday at 9, twice", |o| o.anna("1 Dec 09:00", tuesdays(2)))
        .then("the other date is hers: half are not too many")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Cleo"])
        .answers(2, 1)
        .organizer_reads("partly booked 2 1")
}

fn more_than_half_of_the_dates_are_taken() -> Story {
    Story::given("Cleo has Aurora on 1 and 8 December at 9", |o| o.cleo_once("1 Dec 09:00"))
        .then_also(cleo_on_the_8th)
        .when("Anna invites it every Tuesday at 9, three times", three_tuesdays)
        .then("the room declines the whole series, once")
        .aurora(&["1 Dec 09:00 Cleo", "8 Dec 09:00 Cleo"])
        .answers(2, 1)
        .organizer_reads("refused: series 3 3")
}

fn more_than_ten_dates_are_taken() -> Story {
    Story::given("Cleo has Aurora on eleven days in a row", |o| {
        let eleven = Recurrence::daily().times(11);
        o.meet(Who::Cleo, "1 Dec 09:00", Some(eleven), &[Who::Aurora])
    })
    .when("Anna invites it on forty days, those among them", |o| {
        o.anna("1 Dec 09:00", Recurrence::daily().times(40))
    })
    .then("the room declines the whole series, once")
    .aurora(&[
        "1 Dec 09:00 Cleo",
        "2 Dec 09:00 Cleo",
        "3 Dec 09:00 Cleo",
        "4 Dec 09:00 Cleo",
        "5 Dec 09:00 Cleo",
        "6 Dec 09:00 Cleo",
        "7 Dec 09:00 Cleo",
        "8 Dec 09:00 Cleo",
        "9 Dec 09:00 Cleo",
        "10 Dec 09:00 Cleo",
        "11 Dec 09:00 Cleo",
    ])
    .answers(1, 1)
    .organizer_reads("refused: series 40 40")
}

fn all_or_nothing() -> Story {
    Story::given("Cleo has Aurora on 8 December at 9; the tenant wants all dates or none", |o| {
        o.cleo_once("8 Dec 09:00")
    })
    .when_step(
        "Anna invites it every Tuesday at 9, three times",
        Step::Policy(|policy| policy.series_conflicts = SeriesConflicts::AllOrNothing),
    )
    .then_also(three_tuesdays)
    .then("the room declines the whole series, once")
    .aurora(&["8 Dec 09:00 Cleo"])
    .answers(1, 1)
    .organizer_reads("refused: series 3 3")
}

fn the_taken_date_is_moved_to_a_free_time() -> Story {
    Story::given("Anna has Aurora on two of three Tuesdays, Cleo on the other", cleo_on_the_8th)
        .then_also(three_tuesdays)
        .when("Anna moves that date to 14:00", |o| o.put(&o.date("8 Dec 09:00"), "8 Dec 14:00"))
        .then("it is hers then")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Cleo", "8 Dec 14:00 Anna", "15 Dec 09:00 Anna"])
        .answers(3, 1)
        .organizer_reads("booked 3 0")
}

fn the_other_meeting_is_cancelled() -> Story {
    Story::given("Anna has Aurora on two of three Tuesdays, Cleo on the other", cleo_on_the_8th)
        .then_also(three_tuesdays)
        .when("Cleo cancels", |o| o.meetings[0].cancel())
        .then("what was declined stays declined")
        .aurora(&["1 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(2, 1)
        .organizer_reads("partly booked 3 1")
}

fn the_other_meeting_is_cancelled_and_she_asks_again() -> Story {
    Story::given("Anna has Aurora on two of three Tuesdays, Cleo on the other", cleo_on_the_8th)
        .then_also(three_tuesdays)
        .when("Cleo cancels, and Anna sends that date again", |o| o.meetings[0].cancel())
        .then_also(|o| o.date("8 Dec 09:00").invite_again())
        .then("it is hers")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(3, 1)
        .organizer_reads("booked 3 0")
}

fn two_series_for_the_same_times() -> Story {
    Story::given("Anna has Aurora every Tuesday at 9, three times", three_tuesdays)
        .when("Cleo invites it for the same times", |o| {
            o.meet(Who::Cleo, "1 Dec 09:00", Some(tuesdays(3)), &[Who::Aurora])
        })
        .then("Cleo's series is declined, once")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(1, 1)
}

fn two_series_that_meet_once() -> Story {
    Story::given("Anna has Aurora every Tuesday at 9, three times", three_tuesdays)
        .when("Cleo invites it on three days from 8 December on", |o| {
            let three = Recurrence::daily().times(3);
            o.meet(Who::Cleo, "8 Dec 09:00", Some(three), &[Who::Aurora])
        })
        .then("the day that is Anna's is declined")
        .aurora(&[
            "1 Dec 09:00 Anna",
            "8 Dec 09:00 Anna",
            "9 Dec 09:00 Cleo",
            "10 Dec 09:00 Cleo",
            "15 Dec 09:00 Anna",
        ])
        .answers(2, 1)
}

fn a_later_meeting_against_a_series() -> Story {
    Story::given("Anna has Aurora every Tuesday at 9, three times", three_tuesdays)
        .when("Cleo invites it on one of those dates", cleo_on_the_8th)
        .then("Cleo is refused")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(1, 1)
}

fn one_date_is_moved_onto_another_meeting() -> Story {
    Story::given("Cleo has Aurora on 8 December at 14:00, Anna on three Tuesdays at 9", |o| {
        o.cleo_once("8 Dec 14:00")
    })
    .then_also(three_tuesdays)
    .when("Anna moves her second date to 14:00", |o| o.put(&o.date("8 Dec 09:00"), "8 Dec 14:00"))
    .then("that date is declined, and she has the room no longer at 9")
    .aurora(&["1 Dec 09:00 Anna", "8 Dec 14:00 Cleo", "15 Dec 09:00 Anna"])
    .answers(2, 1)
    .organizer_reads("partly booked 3 1")
}

fn the_series_is_moved_onto_another_meeting() -> Story {
    Story::given("Cleo has Aurora on 8 December at 14:00, Anna on three Tuesdays at 9", |o| {
        o.cleo_once("8 Dec 14:00")
    })
    .then_also(three_tuesdays)
    .when("Anna moves her series to 14:00", |o| o.put(o.meeting(), "1 Dec 14:00"))
    .then("that date is declined")
    .aurora(&["1 Dec 14:00 Anna", "8 Dec 14:00 Cleo", "15 Dec 14:00 Anna"])
    .answers(3, 1)
    .organizer_reads("partly booked 3 1")
}

fn a_declined_series_is_moved_to_a_free_time() -> Story {
    Story::given("Cleo has Aurora on two Tuesdays, so Anna's three were declined", |o| {
        o.cleo_once("1 Dec 09:00")
    })
    .then_also(cleo_on_the_8th)
    .then_also(three_tuesdays)
    .when("Anna moves her series to 14:00", |o| o.put(o.meeting(), "1 Dec 14:00"))
    .then("it is hers then")
    .aurora(&[
        "1 Dec 09:00 Cleo",
        "1 Dec 14:00 Anna",
        "8 Dec 09:00 Cleo",
        "8 Dec 14:00 Anna",
        "15 Dec 14:00 Anna",
    ])
    .answers(3, 1)
    .organizer_reads("booked 3 0")
}

fn one_of_two_rooms_is_taken() -> Story {
    Story::given(GIVEN, cleo_on_the_8th)
        .when("Anna invites both rooms every Tuesday at 9, three times", |o| {
            o.meet(Who::Anna, "1 Dec 09:00", Some(tuesdays(3)), &[Who::Aurora, Who::Borealis])
        })
        .then("Aurora declines that date, and Borealis is hers on all")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Cleo", "15 Dec 09:00 Anna"])
        .borealis(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(2, 1)
}

fn a_longer_series_meets_another_one() -> Story {
    Story::given("Cleo has Aurora on 15 December at 9, Anna on two Tuesdays before", |o| {
        o.cleo_once("15 Dec 09:00")
    })
    .then_also(|o| o.anna("1 Dec 09:00", tuesdays(2)))
    .when("Anna has her series once more", |o| o.meeting().repeat(tuesdays(3)))
    .then("the third date is declined")
    .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Cleo"])
}
