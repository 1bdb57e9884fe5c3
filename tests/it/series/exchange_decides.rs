//! Rooms that Exchange answers for.

use jiff::civil::Weekday;
use world::exchange::{Recurrence, RoomRules};

use super::office::{Done, Office, tuesdays};
use super::story::{Story, lenient};
use super::table::stories;
use crate::contoso::Who;

stories!(
    accepted,
    past_the_booking_window,
    cut_at_the_booking_window,
    no_series_at_all,
    one_conflict_declines_all,
    one_date_is_declined,
    one_date_is_moved,
    one_date_is_moved_onto_another_meeting,
    one_date_is_cancelled,
    moved,
    the_room_gives_one_date_back,
);

const GIVEN: &str = "Anna has Borealis every Tuesday at 9, three times";
const TUESDAYS: [&str; 3] = ["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"];

fn three_tuesdays(o: &mut Office) -> Done {
    o.meet(Who::Anna, "1 Dec 09:00", Some(tuesdays(3)), &[Who::Borealis])
}

fn fridays(o: &mut Office) -> Done {
    let fridays = Recurrence::weekly(&[Weekday::Friday]);
    o.meet(Who::Anna, "4 Dec 09:00", Some(fridays), &[Who::Borealis])
}

fn cleo_on_the_8th(o: &mut Office) -> Done {
    o.meet(Who::Cleo, "8 Dec 09:00", None, &[Who::Borealis])
}

fn accepted() -> Story {
    Story::given("nothing", |_| Ok(()))
        .when("Anna invites Borealis every Tuesday at 9, three times", three_tuesdays)
        .then("Exchange accepts, and it is hers on each date")
        .borealis(&TUESDAYS)
}

fn past_the_booking_window() -> Story {
    Story::given("Borealis can be booked 180 days ahead", |_| Ok(()))
        .when("Anna invites it every Friday, without end", fridays)
        .then("Exchange declines, and nothing is booked")
}

fn cut_at_the_booking_window() -> Story {
    Story::given("Borealis takes what lies within 180 days", |_| Ok(()))
        .when("Anna invites it every Friday, without end", fridays)
        .then("it is hers on the Fridays of 180 days")
        .borealis(&["4 Dec 09:00 Anna", "23 more", "21 May 09:00 Anna"])
        .office(|office| {
            office.room_rules(RoomRules { whole_series: false, ..RoomRules::default() })
        })
}

fn no_series_at_all() -> Story {
    Story::given("Borealis takes no series", |_| Ok(()))
        .when("Anna invites it every Tuesday at 9, three times", three_tuesdays)
        .then("Exchange declines, and nothing is booked")
        .office(|office| {
            office.room_rules(RoomRules { takes_series: false, ..RoomRules::default() })
        })
}

fn one_conflict_declines_all() -> Story {
    Story::given("Cleo has Borealis on 8 December at 9", cleo_on_the_8th)
        .when("Anna invites it every Tuesday at 9, three times", three_tuesdays)
        .then("Exchange declines the whole series")
        .borealis(&["8 Dec 09:00 Cleo"])
}

fn one_date_is_declined() -> Story {
    Story::given("Cleo has Borealis on 8 December at 9; it allows conflicts", cleo_on_the_8th)
        .when("Anna invites it every Tuesday at 9, three times", three_tuesdays)
        .then("Exchange declines that date alone")
        .borealis(&["1 Dec 09:00 Anna", "8 Dec 09:00 Cleo", "15 Dec 09:00 Anna"])
        .office(lenient)
}

fn one_date_is_moved() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves the second date to Thursday", |o| {
            o.put(&o.date("8 Dec 09:00"), "10 Dec 09:00")
        })
        .then("it is hers on Thursday, and not on Tuesday")
        .borealis(&["1 Dec 09:00 Anna", "10 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
}

fn one_date_is_moved_onto_another_meeting() -> Story {
    Story::given("Cleo has Borealis on 8 December at 14:00, Anna on three Tuesdays at 9", |o| {
        o.meet(Who::Cleo, "8 Dec 14:00", None, &[Who::Borealis])
    })
    .then_also(three_tuesdays)
    .when("Anna moves her second date to 14:00", |o| o.put(&o.date("8 Dec 09:00"), "8 Dec 14:00"))
    .then("Exchange declines that date, and it is free at 9")
    .borealis(&["1 Dec 09:00 Anna", "8 Dec 14:00 Cleo", "15 Dec 09:00 Anna"])
}

fn one_date_is_cancelled() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she cancels the second date", |o| o.date("8 Dec 09:00").cancel())
        .then("that date alone is free")
        .borealis(&["1 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
}

fn moved() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she moves it to 10", |o| o.put(o.meeting(), "1 Dec 10:00"))
        .then("it is hers at 10")
        .borealis(&["1 Dec 10:00 Anna", "8 Dec 10:00 Anna", "15 Dec 10:00 Anna"])
}

fn the_room_gives_one_date_back() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("somebody declines the second date for the room", |o| {
            let borealis = o.contoso.calendar(Who::Borealis);
            o.date("8 Dec 09:00").respond(borealis, world::exchange::Response::Declined)
        })
        .then("that date is free")
        .borealis(&["1 Dec 09:00 Anna", "15 Dec 09:00 Anna"])
}
