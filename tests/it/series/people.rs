//! Who has agreed and who has not, what passes with time, and what fails on the way.

use roombridge::domain::mailbox::BookingDisposition;
use world::fault_injection::Fault;
use world::graph::{FaultOutcome, RequestFault};

use super::office::{Done, Office, tuesdays};
use super::story::{Step, Story};
use super::table::stories;
use crate::contoso::Who;

stories!(
    an_organizer_who_has_not_agreed,
    one_date_of_an_organizer_who_has_not_agreed,
    a_conflict_of_an_organizer_who_has_not_agreed,
    no_rooms_calendar_is_followed,
    one_date_moves_where_no_rooms_calendar_is_followed,
    she_withdraws_and_leaves_the_rooms_booked,
    she_withdraws_and_gives_the_rooms_back,
    she_has_all_deleted,
    she_has_all_deleted_and_gives_the_rooms_back,
    one_date_passes,
    all_dates_pass,
    exchange_leaves_out_what_was_moved,
    the_answer_of_exchange_is_lost,
    the_notification_names_the_date,
    she_writes_to_a_colleague_as_well,
);

const GIVEN: &str = "Anna has Aurora every Tuesday at 9, three times";
const TUESDAYS: [&str; 3] = ["1 Dec 09:00 Anna", "8 Dec 09:00 Anna", "15 Dec 09:00 Anna"];

fn three_tuesdays(o: &mut Office) -> Done {
    o.anna("1 Dec 09:00", tuesdays(3))
}

fn bens_tuesdays(o: &mut Office) -> Done {
    o.meet(Who::Ben, "1 Dec 09:00", Some(tuesdays(3)), &[Who::Aurora])
}

fn an_organizer_who_has_not_agreed() -> Story {
    Story::given("Ben has not agreed", |_| Ok(()))
        .when("he invites Aurora every Tuesday at 9, three times", bens_tuesdays)
        .then("it is his by the room's calendar alone, and it has said so once")
        .aurora(&["1 Dec 09:00 Ben", "8 Dec 09:00 Ben", "15 Dec 09:00 Ben"])
        .answers(1, 0)
}

fn one_date_of_an_organizer_who_has_not_agreed() -> Story {
    Story::given("Ben, who has not agreed, has Aurora on three Tuesdays", bens_tuesdays)
        .when("he moves the second date to Thursday, and cancels the third", |o| {
            o.put(&o.date("8 Dec 09:00"), "10 Dec 09:00")
        })
        .then_also(|o| o.date("15 Dec 09:00").cancel())
        .then("the room follows")
        .aurora(&["1 Dec 09:00 Ben", "10 Dec 09:00 Ben"])
        .answers(2, 0)
}

fn a_conflict_of_an_organizer_who_has_not_agreed() -> Story {
    Story::given("Cleo has Aurora on 8 December at 9", |o| o.cleo_once("8 Dec 09:00"))
        .when("Ben, who has not agreed, invites it on three Tuesdays", bens_tuesdays)
        .then("the room accepts the series and declines that date")
        .aurora(&["1 Dec 09:00 Ben", "8 Dec 09:00 Cleo", "15 Dec 09:00 Ben"])
        .answers(2, 1)
}

fn no_rooms_calendar_is_followed() -> Story {
    Story::given("the tenant has no room's calendar followed", |_| Ok(()))
        .when_step(
            "Anna invites Aurora every Tuesday at 9, three times",
            Step::Policy(|policy| policy.rooms_subscribed = false),
        )
        .then_also(three_tuesdays)
        .then("it is hers on each date, and it has said so once")
        .aurora(&TUESDAYS)
        .answers(1, 0)
}

fn one_date_moves_where_no_rooms_calendar_is_followed() -> Story {
    Story::given("Anna has Aurora on three Tuesdays; no room's calendar is followed", |_| Ok(()))
        .when_step(
            "she moves the second date to Thursday, and cancels the third",
            Step::Policy(|policy| policy.rooms_subscribed = false),
        )
        .then_also(three_tuesdays)
        .then_also(|o| o.put(&o.date("8 Dec 09:00"), "10 Dec 09:00"))
        .then_also(|o| o.date("15 Dec 09:00").cancel())
        .then("the room follows")
        .aurora(&["1 Dec 09:00 Anna", "10 Dec 09:00 Anna"])
        .answers(2, 0)
}

fn she_withdraws_and_leaves_the_rooms_booked() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when_step(
            "she withdraws, and leaves her rooms booked",
            Step::AnnaWithdraws(BookingDisposition::KeepAnonymous),
        )
        .then("the room, which shows it, stays taken")
        .aurora(&TUESDAYS)
        .answers(1, 0)
}

fn she_withdraws_and_gives_the_rooms_back() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when_step(
            "she withdraws, and gives her rooms back",
            Step::AnnaWithdraws(BookingDisposition::Release),
        )
        .then("the room declines the series, once, and is free")
        .answers(1, 1)
}

fn she_has_all_deleted() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when_step(
            "she has everything about herself deleted, and leaves her rooms booked",
            Step::AnnaIsErased(BookingDisposition::KeepAnonymous),
        )
        .then("the room, which shows it, stays taken")
        .aurora(&TUESDAYS)
        .answers(1, 0)
}

fn she_has_all_deleted_and_gives_the_rooms_back() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when_step(
            "she has everything about herself deleted, and gives her rooms back",
            Step::AnnaIsErased(BookingDisposition::Release),
        )
        .then("the room declines the series, once, and is free")
        .answers(1, 1)
}

fn one_date_passes() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("nine days pass, and she cancels the last date", |_| Ok(()))
        .days_pass(9)
        .then_also(|o| o.date("15 Dec 09:00").cancel())
        .then("the second date stays hers, and nothing is kept of the first")
        .aurora(&TUESDAYS[1..2])
        .answers(1, 0)
}

fn all_dates_pass() -> Story {
    Story::given("Anna has Aurora three days in a row at 9", |o| {
        o.anna("25 Nov 09:00", world::exchange::Recurrence::daily().times(3))
    })
    .when("a week passes", |_| Ok(()))
    .days_pass(7)
    .then("nothing is kept")
    .answers(1, 0)
    .nothing_is_left()
}

fn exchange_leaves_out_what_was_moved() -> Story {
    Story::given(GIVEN, |o| {
        o.contoso.world.microsoft.graph.set_instances_without_exceptions(true);
        three_tuesdays(o)
    })
    .when("she moves the second date, and Exchange lists the series without it", |o| {
        o.put(&o.date("8 Dec 09:00"), "8 Dec 09:30")
    })
    .then("it is hers at the new time: the calendar has it")
    .aurora(&["1 Dec 09:00 Anna", "8 Dec 09:30 Anna", "15 Dec 09:00 Anna"])
}

fn the_answer_of_exchange_is_lost() -> Story {
    Story::given("nothing", |o| {
        o.contoso.world.microsoft.graph.plan_fault(RequestFault {
            method: "POST",
            template: "/users/{id}/events/{id}/accept",
            nth: 1,
            moment: Fault::After,
            outcome: FaultOutcome::Broken,
        });
        Ok(())
    })
    .when("Anna invites Aurora on three Tuesdays, and what Exchange says is lost", three_tuesdays)
    .then("it is hers on each date")
    .aurora(&TUESDAYS)
    .organizer_reads("booked 3 0")
}

fn the_notification_names_the_date() -> Story {
    Story::given(GIVEN, |o| {
        o.contoso.world.microsoft.exchange.set_names_dates(true);
        three_tuesdays(o)
    })
    .when("she moves the second date and cancels the third, and Graph names the dates", |o| {
        o.put(&o.date("8 Dec 09:00"), "10 Dec 09:00")?;
        o.date("15 Dec 09:00").cancel()
    })
    .then("the room follows")
    .aurora(&["1 Dec 09:00 Anna", "10 Dec 09:00 Anna"])
    .answers(2, 0)
}

fn she_writes_to_a_colleague_as_well() -> Story {
    Story::given(GIVEN, three_tuesdays)
        .when("she invites Ben, too", |o| o.meeting().change_people(&[&o.contoso.ben]))
        .then("all is as it was, and nobody is mailed by the room")
        .aurora(&TUESDAYS)
        .answers(1, 0)
}
