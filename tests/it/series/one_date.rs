//! What happens to one date of a series.

use world::exchange::Recurrence;

use super::office::{Done, Office, time, tuesdays};
use super::story::Story;
use super::table::stories;
use crate::contoso::{Who, hours};

stories!(
    moved_within_its_day,
    moved_to_another_day,
    moved_and_moved_back,
    made_longer,
    the_first_one_moved,
    all_dates_moved_one_by_one,
    cancelled,
    cancelled_and_taken_by_another,
    all_dates_cancelled_one_by_one,
    in_another_room,
    in_another_room_and_back,
    with_one_more_room,
    with_a_room_of_its_own,
    without_the_room,
    kept_where_it_is_by_a_new_name,
    deleted_silently_by_the_organizer,
    deleted_in_the_rooms_calendar,
    moved_within_a_day_that_is_not_utcs,
);

const GIVEN: &str = "Anna has Aurora every Tuesday at 9, three times";

fn three_tuesdays(o: &mut Office) -> Done {
    o.anna("1 Dec 09:00", tuesdays(3))
}

fn moved_within_its_day() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves the second date to 14:00", |o| {
            o.put(&o.date("8 Dec 09:00"), "8 Dec 14:00")
        })
        .then("it is hers at 14:00 that day, and no longer at 9")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 14:00 Anna", "15 Dec 09:00 Anna"])
        .answers(2, 0)
        .organizer_reads("booked 3 0")
}

fn moved_to_another_day() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves the second date to Thursday", |o| {
            o.put(&o.date("8 Dec 09:00"), "10 Dec 09:00")
        })
        .then("it is hers on Thursday, and not on Tuesday")
        .aurora(&["1 Dec 09:00 Anna", "10 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(2, 0)
}

fn moved_and_moved_back() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves the second date to Thursday, and back", |o| {
            o.put(&o.date("8 Dec 09:00"), "10 Dec 09:00")
        })
        .then_also(|o| o.put(&o.date("8 Dec 09:00"), "8 Dec 09:00"))
        .then("all is as it was")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(3, 0)
}

fn made_longer() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she makes the second date two hours long, and Cleo wants the second hour", |o| {
            let start = time("8 Dec 09:00");
            o.date("8 Dec 09:00").move_to(start, start + hours(2))
        })
        .then_also(|o| o.cleo_once("8 Dec 10:00"))
        .then("Cleo is refused")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(2, 1)
}

fn the_first_one_moved() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves the first date a day earlier", |o| {
            o.put(&o.date("1 Dec 09:00"), "30 Nov 09:00")
        })
        .then("it is hers on Monday instead")
        .aurora(&["30 Nov 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(2, 0)
}

fn all_dates_moved_one_by_one() -> Story {
    Story::given("Anna has Aurora every Tuesday at 9, twice", |o| {
        o.anna("1 Dec 09:00", tuesdays(2))
    })
    .when("she moves each date to Wednesday", |o| o.put(&o.date("1 Dec 09:00"), "2 Dec 09:00"))
    .then_also(|o| o.put(&o.date("8 Dec 09:00"), "9 Dec 09:00"))
    .then("it is hers on Wednesdays")
    .aurora(&["2 Dec 09:00 Anna", "9 Dec 09:00 Anna"])
    .answers(3, 0)
}

fn cancelled() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she cancels the second date", |o| o.date("8 Dec 09:00").cancel())
        .then("that date alone is free")
        .aurora(&["1 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(1, 0)
        .organizer_reads("booked 2 0")
}

fn cancelled_and_taken_by_another() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she cancels the second date, and Cleo invites the room then", |o| {
            o.date("8 Dec 09:00").cancel()
        })
        .then_also(|o| o.cleo_once("8 Dec 09:00"))
        .then("that date is Cleo's")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Cleo", "15 Dec 09:00 Anna"])
        .answers(2, 0)
}

fn all_dates_cancelled_one_by_one() -> Story {
    Story::given("Anna has Aurora every Tuesday at 9, twice", |o| {
        o.anna("1 Dec 09:00", tuesdays(2))
    })
    .when("she cancels one date, and then the other", |o| o.date("1 Dec 09:00").cancel())
    .then_also(|o| o.date("8 Dec 09:00").cancel())
    .then("the room is free")
    .answers(1, 0)
}

fn in_another_room() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she takes Borealis on the second date", |o| {
            o.seat(&o.date("8 Dec 09:00"), &[Who::Borealis])
        })
        .then("that date is in Borealis, and Aurora is free then")
        .aurora(&["1 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .borealis(&["8 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn in_another_room_and_back() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she takes Borealis on the second date, and then Aurora after all", |o| {
            o.seat(&o.date("8 Dec 09:00"), &[Who::Borealis])
        })
        .then_also(|o| o.seat(&o.date("8 Dec 09:00"), &[Who::Aurora]))
        .then("all is as it was")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(2, 0)
}

fn with_one_more_room() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she takes Borealis on the second date as well", |o| {
            o.seat(&o.date("8 Dec 09:00"), &[Who::Aurora, Who::Borealis])
        })
        .then("both rooms are hers that day")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .borealis(&["8 Dec 09:00 Anna"])
}

fn with_a_room_of_its_own() -> Story {
    Story::given("Anna meets every Tuesday at 9, three times, without a room", |o| {
        o.meet(Who::Anna, "1 Dec 09:00", Some(tuesdays(3)), &[])
    })
    .when("she invites Aurora to the second date alone", |o| {
        o.seat(&o.date("8 Dec 09:00"), &[Who::Aurora])
    })
    .then("it is hers that day")
    .aurora(&["8 Dec 09:00 Anna"])
    .answers(1, 0)
}

fn without_the_room() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she takes the room off the second date", |o| o.seat(&o.date("8 Dec 09:00"), &[]))
        .then("that date alone is free")
        .aurora(&["1 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn kept_where_it_is_by_a_new_name() -> Story {
    Story::given("Anna has Aurora on three Tuesdays, once at 14:00", |o| {
        o.anna("1 Dec 09:00", tuesdays(3))
    })
    .then_also(|o| o.put(&o.date("8 Dec 09:00"), "8 Dec 14:00"))
    .when("she gives the series another name", |o| o.meeting().rename("Retrospective"))
    .then("all is as it was, and nobody is mailed")
    .aurora(&["1 Dec 09:00 Anna", "8 Dec 14:00 Anna", "15 Dec 09:00 Anna"])
    .answers(2, 0)
}

fn deleted_silently_by_the_organizer() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she deletes the second date without notice", |o| {
            o.date("8 Dec 09:00").delete_silently()
        })
        .then("the room, which still shows it, stays taken")
        .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
        .answers(1, 0)
}

fn deleted_in_the_rooms_calendar() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("somebody deletes the second date in the room's calendar", |o| {
            o.date("8 Dec 09:00").delete_from(o.contoso.calendar(Who::Aurora))
        })
        .then("that date is free")
        .aurora(&["1 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
}

fn moved_within_a_day_that_is_not_utcs() -> Story {
    Story::given("Anna has Aurora three days in a row at 22:00", |o| {
        o.anna("1 Dec 22:00", Recurrence::daily().times(3))
    })
    .when("she moves the second date to 23:30, over midnight", |o| {
        o.put(&o.date("2 Dec 22:00"), "2 Dec 23:30")
    })
    .then("it is hers until half past midnight")
    .aurora(&["1 Dec 22:00 Anna", "2 Dec 23:30 Anna", "3 Dec 22:00 Anna"])
    .answers(2, 0)
}
