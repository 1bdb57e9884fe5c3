//! What happens to all dates of a series.

use jiff::civil::Weekday;
use world::exchange::Recurrence;

use super::office::{Done, Office, time, tuesdays};
use super::story::Story;
use super::table::stories;
use crate::contoso::{Who, hours};

stories!(
    moved_by_an_hour,
    moved_over_its_own_dates,
    moved_a_week_later,
    moved_after_one_date_was_moved,
    moved_to_another_weekday,
    made_longer,
    every_day_becomes_every_week,
    shortened,
    lengthened,
    split_at_another_time,
    split_at_the_same_time,
    split_into_another_room,
    a_single_meeting_becomes_a_series,
    becomes_a_single_meeting,
    cancelled,
    cancelled_after_one_date_was_moved,
    cancelled_but_kept_by_the_organizer,
    deleted_silently,
    made_private,
    renamed,
    without_the_room,
    with_the_room_from_now_on,
    with_one_more_room,
    in_another_room,
    moved_twice_in_a_row,
    cancelled_and_made_again,
);

const GIVEN: &str = "Anna has Aurora every Tuesday at 9, three times";
const TUESDAYS: [&str; 3] = ["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"];

fn three_tuesdays(o: &mut Office) -> Done {
    o.anna("1 Dec 09:00", tuesdays(3))
}

fn three_days(o: &mut Office) -> Done {
    o.anna("1 Dec 09:00", Recurrence::daily().times(3))
}

fn moved_by_an_hour() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves it by half an hour", |o| o.put(o.meeting(), "1 Dec 09:30"))
        .then("it is hers at half past nine")
        .aurora(&["1 Dec 09:30 Anna", "8 Dec 09:30 Anna", "15 Dec 09:30 Anna"])
        .answers(2, 0)
        .organizer_reads("booked 3 0")
}

fn moved_over_its_own_dates() -> Story {
    Story::given("Anna has Aurora three days in a row at 9", three_days)
        .when("she moves it by a day", |o| o.put(o.meeting(), "2 Dec 09:00"))
        .then("the first day is free, and a day at the end is hers")
        .aurora(&["2 Dec 09:00 Anna", "3 Dec 09:00 Anna", "4 Dec 09:00 Anna"])
        .answers(2, 0)
}

fn moved_a_week_later() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves it by a week", |o| o.put(o.meeting(), "8 Dec 09:00"))
        .then("the first date is free, and a date at the end is hers")
        .aurora(&["8 Dec 09:00 Anna", "15 Dec 09:00 Anna", "22 Dec 09:00 Anna"])
        .answers(2, 0)
}

fn moved_after_one_date_was_moved() -> Story {
    Story::given("Anna has Aurora on three Tuesdays, once at 14:00", three_tuesdays)
        .then_also(|o| o.put(&o.date("8 Dec 09:00"), "8 Dec 14:00"))
        .when("she moves the series to 10", |o| o.put(o.meeting(), "1 Dec 10:00"))
        .then("Exchange forgets the one date, and so does the room")
        .aurora(&["1 Dec 10:00 Anna", "8 Dec 10:00 Anna", "15 Dec 10:00 Anna"])
        .answers(3, 0)
}

fn moved_to_another_weekday() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she has it on Wednesdays from now on", |o| {
            o.meeting().repeat(Recurrence::weekly(&[Weekday::Wednesday]).times(3))
        })
        .then("it is hers on Wednesdays, and free on Tuesdays")
        .aurora(&["2 Dec 09:00 Anna", "9 Dec 09:00 Anna", "16 Dec 09:00 Anna"])
        .answers(2, 0)
}

fn made_longer() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she makes it two hours long, and Cleo wants a second hour", |o| {
            o.meeting().move_to(time("1 Dec 09:00"), time("1 Dec 09:00") + hours(2))
        })
        .then_also(|o| o.cleo_once("8 Dec 10:00"))
        .then("Cleo is refused")
        .aurora(&TUESDAYS)
        .answers(2, 1)
}

fn every_day_becomes_every_week() -> Story {
    Story::given("Anna has Aurora three days in a row at 9", three_days)
        .when("she has it every Tuesday instead", |o| o.meeting().repeat(tuesdays(3)))
        .then("it is hers on Tuesdays alone")
        .aurora(&TUESDAYS)
        .answers(2, 0)
}

fn shortened() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she has it end after the second date", |o| o.meeting().repeat(tuesdays(2)))
        .then("the third date is free")
        .aurora(&TUESDAYS[..2])
}

fn lengthened() -> Story {
    Story::given("Anna has Aurora every Tuesday at 9, twice", |o| {
        o.anna("1 Dec 09:00", tuesdays(2))
    })
    .when("she has it once more", |o| o.meeting().repeat(tuesdays(3)))
    .then("the third date is hers, too")
    .aurora(&TUESDAYS)
    .organizer_reads("booked 3 0")
}

fn split_at_another_time() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she has the second and all that follow at 11", |o| {
            o.split("8 Dec 09:00", "8 Dec 11:00", tuesdays(2))
        })
        .then("the first stays hers at 9, the others at 11")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 11:00 Anna", "15 Dec 11:00 Anna"])
        .answers(2, 0)
}

fn split_at_the_same_time() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she changes the second and all that follow, but not their time", |o| {
            o.split("8 Dec 09:00", "8 Dec 09:00", tuesdays(2))
        })
        .then("all dates stay hers: nothing is refused")
        .aurora(&TUESDAYS)
        .answers(2, 0)
}

fn split_into_another_room() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she has the second and all that follow in Borealis", |o| {
            o.split("8 Dec 09:00", "8 Dec 09:00", tuesdays(2))?;
            o.seat(o.meeting(), &[Who::Borealis])
        })
        .then("Aurora is free then")
        .aurora(&TUESDAYS[..1])
        .borealis(&TUESDAYS[1..])
}

fn a_single_meeting_becomes_a_series() -> Story {
    Story::given("Anna has Aurora once", |o| o.meet(Who::Anna, "1 Dec 09:00", None, &[Who::Aurora]))
        .when("she has it every Tuesday", |o| o.meeting().repeat(tuesdays(3)))
        .then("the booking stays, and two more are hers")
        .aurora(&TUESDAYS)
        .answers(2, 0)
        .organizer_reads("booked 3 0")
}

fn becomes_a_single_meeting() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she has it only once", |o| o.meeting().repeat_no_more())
        .then("the first date stays hers, and the others are free")
        .aurora(&TUESDAYS[..1])
        .answers(2, 0)
}

fn cancelled() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she cancels it", |o| o.meeting().cancel())
        .then("the room is free")
        .answers(1, 0)
}

fn cancelled_after_one_date_was_moved() -> Story {
    Story::given("Anna has Aurora on three Tuesdays, once at 14:00", three_tuesdays)
        .then_also(|o| o.put(&o.date("8 Dec 09:00"), "8 Dec 14:00"))
        .when("she cancels the series", |o| o.meeting().cancel())
        .then("the room is free, on that date, too")
        .answers(2, 0)
}

fn cancelled_but_kept_by_the_organizer() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she cancels it, and keeps it in her calendar", |o| o.meeting().cancel_keeping_copy())
        .then("the room is free")
        .answers(1, 0)
}

fn deleted_silently() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she deletes it without notice", |o| o.meeting().delete_silently())
        .then("the room, which still shows it, stays taken")
        .aurora(&TUESDAYS)
        .answers(1, 0)
}

fn made_private() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she marks it private", |o| o.meeting().mark_private())
        .then("all is as it was, and nobody is mailed")
        .aurora(&TUESDAYS)
        .answers(1, 0)
}

fn renamed() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she gives it another name", |o| o.meeting().rename("Retrospective"))
        .then("all is as it was, and nobody is mailed")
        .aurora(&TUESDAYS)
        .answers(1, 0)
}

fn without_the_room() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she takes the room off all dates", |o| o.seat(o.meeting(), &[]))
        .then("the room is free")
        .answers(1, 0)
}

fn with_the_room_from_now_on() -> Story {
    Story::given("Anna meets every Tuesday at 9, three times, without a room", |o| {
        o.meet(Who::Anna, "1 Dec 09:00", Some(tuesdays(3)), &[])
    })
    .when("she invites Aurora to all dates", |o| o.seat(o.meeting(), &[Who::Aurora]))
    .then("it is hers on each date")
    .aurora(&TUESDAYS)
    .answers(1, 0)
}

fn with_one_more_room() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she invites Borealis to all dates as well", |o| {
            o.seat(o.meeting(), &[Who::Aurora, Who::Borealis])
        })
        .then("both rooms are hers")
        .aurora(&TUESDAYS)
        .borealis(&TUESDAYS)
        .answers(1, 0)
}

fn in_another_room() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she takes Borealis instead", |o| o.seat(o.meeting(), &[Who::Borealis]))
        .then("Borealis is hers, and Aurora is free")
        .borealis(&TUESDAYS)
        .answers(1, 0)
}

fn moved_twice_in_a_row() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves it to 11, and at once to 13", |o| {
            o.put(o.meeting(), "1 Dec 11:00")?;
            o.put(o.meeting(), "1 Dec 13:00")
        })
        .then("it is hers at 13")
        .aurora(&["1 Dec 13:00 Anna", "8 Dec 13:00 Anna", "15 Dec 13:00 Anna"])
        .answers(2, 0)
}

fn cancelled_and_made_again() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she cancels it, and makes the same again at once", |o| {
            o.meeting().cancel()?;
            o.anna("1 Dec 09:00", tuesdays(3))
        })
        .then("the new series has the dates")
        .aurora(&TUESDAYS)
        .answers(2, 0)
        .organizer_reads("booked 3 0")
}
