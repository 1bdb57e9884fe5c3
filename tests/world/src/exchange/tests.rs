//! Exchange by itself: copies, answers and how they travel.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use roombridge::base::test_support::ManualClock;
use roombridge::base::test_support::SeededRng;

use super::*;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_795_510_800 + hour * 3600).unwrap()
}

fn world() -> (ManualClock, Exchange) {
    let clock = ManualClock::new(at(0));
    (clock.clone(), Exchange::new(Arc::new(clock), Arc::new(SeededRng::new(1))))
}

#[test]
fn every_mailbox_has_its_own_copy() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let (anna, bo) = (tenant.person("Anna"), tenant.person("Bo"));
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    let invitation = Invitation::new("Budget", at(9), at(10)).with(&bo).room(&aurora);
    let meeting = tenant.meet(&anna, invitation).unwrap();
    let copies: Vec<_> = [&anna, &bo, &aurora].map(|m| meeting.copy_in(m).unwrap()).into();
    assert!(copies.iter().all(|c| c.ical == meeting.ical() && c.event.ends_with('=')));
    assert_ne!(copies[0].event, copies[2].event);
    assert_eq!(copies[2].response, Response::NotResponded);
    assert_eq!(meeting.response_of(&aurora), Some(Response::None));
}

#[test]
fn an_accepting_room_declines_a_conflict_and_drops_its_copy() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoAccept);
    let first = tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
    let second = tenant.meet(&anna, Invitation::new("B", at(9), at(11)).room(&aurora)).unwrap();
    assert_eq!(first.response_of(&aurora), Some(Response::Accepted));
    assert_eq!(second.response_of(&aurora), Some(Response::Declined));
    assert!(second.copy_in(&aurora).is_none());
    second.move_to(at(10), at(11)).unwrap();
    assert_eq!(second.response_of(&aurora), Some(Response::Accepted));
}

#[test]
fn a_declined_meeting_that_moves_comes_back_under_a_new_id() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    let meeting = tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
    let before = meeting.copy_in(&aurora).unwrap().event;
    meeting.respond(&aurora, Response::Declined).unwrap();
    assert_eq!(meeting.response_of(&aurora), Some(Response::Declined));
    assert!(meeting.copy_in(&aurora).is_none());
    meeting.move_to(at(12), at(13)).unwrap();
    assert_eq!(meeting.response_of(&aurora), Some(Response::None));
    assert_ne!(meeting.copy_in(&aurora).unwrap().event, before);
}

#[test]
fn messages_take_the_time_they_are_given() {
    let (clock, exchange) = world();
    exchange.set_propagation_delay(SignedDuration::from_secs(20));
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoAccept);
    let meeting = tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
    assert!(meeting.copy_in(&aurora).is_none());
    clock.advance(SignedDuration::from_secs(20));
    assert_eq!(exchange.deliver_due(), 1);
    assert!(meeting.copy_in(&aurora).is_some());
    assert_eq!(meeting.response_of(&aurora), Some(Response::None), "the answer is still under way");
    clock.advance(SignedDuration::from_secs(20));
    assert_eq!(exchange.deliver_due(), 1);
    assert_eq!(meeting.response_of(&aurora), Some(Response::Accepted));
    assert_eq!(exchange.in_transit(), 0);
}

#[test]
fn cancelling_clears_the_room_and_marks_the_people() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let (anna, bo) = (tenant.person("Anna"), tenant.person("Bo"));
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    aurora.set_rules(RoomRules { keeps_cancelled: false, ..RoomRules::default() });
    let invitation = Invitation::new("A", at(9), at(10)).with(&bo).room(&aurora);
    let meeting = tenant.meet(&anna, invitation).unwrap();
    meeting.cancel().unwrap();
    assert!(meeting.copy_in(&anna).is_none() && meeting.copy_in(&aurora).is_none());
    assert!(meeting.copy_in(&bo).unwrap().is_cancelled);
    assert_eq!(meeting.cancel(), Err(ExchangeError::NoCopy));
}

#[test]
fn deleting_silently_leaves_the_other_copies() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    let meeting = tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
    meeting.delete_silently().unwrap();
    assert_eq!(exchange.room_calendar(&aurora).len(), 1);
    assert!(exchange.live_meetings(tenant.id()).is_empty());
    meeting.delete_from(&aurora).unwrap();
    assert!(exchange.room_calendar(&aurora).is_empty());
}

#[test]
fn changing_the_room_calls_the_old_one_off() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoAccept);
    let borealis = tenant.room("Borealis", Processing::AutoAccept);
    let meeting = tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
    meeting.change_rooms(&[&borealis]).unwrap();
    assert!(exchange.room_calendar(&aurora).is_empty());
    let meetings = exchange.live_meetings(tenant.id());
    assert_eq!(meetings[0].rooms, vec![(borealis.id().to_owned(), Response::Accepted)]);
}

#[test]
fn a_guest_from_outside_books_a_room_and_is_answered() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    let invitation = || Invitation::new("A", at(9), at(10)).room(&aurora);
    let ignored = tenant.meet_as_external("Guest", "guest@fabrikam.example", invitation());
    assert!(ignored.copy_in(&aurora).is_none(), "rooms ignore the outside at first");
    aurora.set_rules(RoomRules { takes_external: true, ..RoomRules::default() });
    let meeting = tenant.meet_as_external("Guest", "guest@fabrikam.example", invitation());
    meeting.respond(&aurora, Response::Accepted).unwrap();
    assert_eq!(meeting.response_of(&aurora), Some(Response::Accepted));
    meeting.cancel().unwrap();
    assert!(exchange.room_calendar(&aurora).is_empty());
}

#[test]
fn an_answer_to_an_older_request_is_ignored() {
    let (clock, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    let meeting = tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
    exchange.set_propagation_delay(SignedDuration::from_secs(5));
    meeting.respond(&aurora, Response::Accepted).unwrap();
    meeting.move_to(at(12), at(13)).unwrap();
    clock.advance(SignedDuration::from_secs(5));
    exchange.deliver_due();
    assert_eq!(meeting.response_of(&aurora), Some(Response::None));
    assert_eq!(meeting.copy_in(&aurora).unwrap().response, Response::NotResponded);
}

#[test]
fn the_same_seed_plays_the_same_story() {
    let play = || {
        let (_, exchange) = world();
        let tenant = exchange.tenant("Contoso");
        let aurora = tenant.room("Aurora", Processing::AutoAccept);
        let anna = tenant.person("Anna");
        tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
        (exchange.room_calendar(&aurora), exchange.live_meetings(tenant.id()))
    };
    assert_eq!(play(), play());
}

#[test]
fn a_room_known_by_a_proxy_address_answers_under_it() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoAccept);
    aurora.add_proxy_address("north.light@contoso.example");
    let invitation = Invitation::new("A", at(9), at(10));
    let invitation = invitation.attendee("North", "North.Light@contoso.example", Role::Optional);
    let meeting = tenant.meet(&anna, invitation).unwrap();
    assert_eq!(meeting.response_of(&aurora), Some(Response::Accepted));
}

#[test]
fn a_room_keeps_what_was_cancelled() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    let meeting = tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
    meeting.cancel().unwrap();
    assert!(meeting.copy_in(&aurora).unwrap().is_cancelled);
    assert!(exchange.room_calendar(&aurora).is_empty());
}

#[test]
fn a_mailbox_that_is_asked_again_answers_again() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoAccept);
    let meeting = tenant.meet(&anna, Invitation::new("A", at(9), at(10)).room(&aurora)).unwrap();
    meeting.invite_again().unwrap();
    assert_eq!(meeting.response_of(&aurora), Some(Response::Accepted));
    assert_eq!(exchange.responses_from(meeting.ical(), &aurora).len(), 2);
}

#[test]
fn an_accepting_room_declines_what_is_too_long_or_too_far_ahead() {
    let (_, exchange) = world();
    let tenant = exchange.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoAccept);
    let answer = |start: i64, hours: i64| {
        let invitation = Invitation::new("A", at(start), at(start + hours)).room(&aurora);
        tenant.meet(&anna, invitation).unwrap().response_of(&aurora)
    };
    assert_eq!(answer(0, 24), Some(Response::Accepted));
    assert_eq!(answer(48, 25), Some(Response::Declined));
    assert_eq!(answer(180 * 24, 1), Some(Response::Accepted));
    assert_eq!(answer(180 * 24 + 1, 1), Some(Response::Declined));
    aurora.set_rules(RoomRules { longest_minutes: 0, ..RoomRules::default() });
    assert_eq!(answer(48, 25), Some(Response::Accepted));
}
