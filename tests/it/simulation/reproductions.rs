//! Every bug the simulation found, as the few things that had to happen, with its story. Each of
//! them failed before its repair.

use super::operations::{MeetingLength::*, Op, Op::*};
use crate::TestResult;

fn replay(seed: u64, ops: &[Op]) -> TestResult {
    let wrong = super::play(seed, ops)?;
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

fn meeting(who: u8, room: u8) -> Op {
    Create { who, room, day: 1, slot: 2, shape: Hour, private: false }
}

/// A crash left a booking that nothing led to from its copy, so the copy's end never ended it.
#[test]
fn a_copy_that_is_gone_when_the_crash_is_over_still_leads_to_its_booking() -> TestResult {
    let night = Create { who: 2, room: 0, day: 0, slot: 0, shape: AllDay, private: false };
    replay(57, &[night, Crash { call: 6, after: false }, DeleteFromRoom { nth: 2 }])
}

/// The organizer's copy was moved, the room's not yet: the room accepted the old request and never
/// answered the new one.
#[test]
fn a_room_answers_only_the_question_that_it_has() -> TestResult {
    replay(99, &[meeting(0, 0), DelayMessages(45), Move { nth: 0, day: 0, slot: 0 }])
}

/// The room's copy was deleted and came back before its end was read: the second one was taken for
/// answered.
#[test]
fn another_copy_is_another_question() -> TestResult {
    let (gone, again) = (DeleteFromRoom { nth: 0 }, EditPeople { nth: 0, guests: 2 });
    replay(110, &[meeting(1, 0), RunUntilIdle, gone, Crash { call: 1, after: true }, again])
}

/// Write-back waited for the room's copy for a day, one more message each time, and the
/// organizer got no outcome meanwhile.
#[test]
fn a_room_whose_copy_never_comes_does_not_pile_up_messages() -> TestResult {
    replay(277, &[meeting(1, 0), DeleteFromRoom { nth: 5 }])
}

/// Nothing ran for more than a day, and the first try after it was the item's last.
#[test]
fn a_day_without_the_app_does_not_use_up_an_items_retries() -> TestResult {
    replay(381, &[meeting(2, 0), RunUntilIdle, DeleteFromRoom { nth: 0 }, Down { hours: 27 }])
}

/// The decline was sent and its worker ended: nobody could decline again, so it never settled.
#[test]
fn a_decline_that_was_not_recorded_is_recognised() -> TestResult {
    let night = Create { who: 1, room: 0, day: 0, slot: 0, shape: AllDay, private: true };
    let evening = Create { who: 2, room: 0, day: 0, slot: 0, shape: Overnight, private: false };
    replay(
        1153,
        &[
            meeting(1, 0),
            DeleteSilently { nth: 1 },
            night,
            RunUntilIdle,
            Rebook { nth: 3 },
            evening,
            RunUntilIdle,
            DuplicateMessage(super::operations::JobQueue::Book),
            Move { nth: 2, day: 1, slot: 1 },
            Crash { call: 8, after: true },
        ],
    )
}

/// The person came back before the task that unsubscribes them was worked on; and what they had
/// said before they withdrew did not follow the meeting any more.
#[test]
fn a_person_who_withdraws_is_forgotten_and_followed_again_after_returning() -> TestResult {
    let moved = Move { nth: 0, day: 0, slot: 0 };
    replay(5, &[meeting(0, 0), Minutes(5), Withdraw { who: 0 }, Agree { who: 0 }, moved])?;
    replay(
        6,
        &[meeting(0, 0), Minutes(5), Withdraw { who: 0 }, moved, RunUntilIdle, Agree { who: 0 }],
    )?;
    replay(7, &[meeting(0, 0), Minutes(5), Withdraw { who: 0 }, RunUntilIdle, moved])
}

/// A copy was pointed at, its worker failed, and the other copy made the booking meanwhile. Then the
/// first one was gone: the booking did not know of it, and its purge left the pointer behind.
#[test]
fn a_copy_that_was_gone_before_it_could_be_read_is_forgotten_with_its_booking() -> TestResult {
    let hour = Create { who: 0, room: 1, day: 0, slot: 0, shape: Hour, private: false };
    let fails = FailTable { call: 7, after: true };
    replay(3484, &[hour, fails, RunUntilIdle, DeleteSilently { nth: 5 }])
}

/// A worker was killed after its claim; the meeting moved, and met a rival there. Yielding to the
/// rival, the next worker forgot what the killed one had claimed.
#[test]
fn a_rival_does_not_make_a_worker_forget_what_a_killed_one_claimed() -> TestResult {
    let night = Create { who: 2, room: 0, day: 0, slot: 2, shape: Overnight, private: false };
    let killed = Crash { call: 12, after: true };
    let moved = Move { nth: 2, day: 1, slot: 0 };
    replay(3618, &[night, killed, moved, Rebook { nth: 0 }, Crash { call: 7, after: true }])
}

/// The due entry of a mailbox, in milliseconds, came a moment before the instant in the row: it was
/// taken for an old one, and nothing processed the mailbox any more.
#[test]
fn a_due_entry_comes_at_the_very_instant_that_its_row_names() -> TestResult {
    let ask = super::operations::GraphOperation::Batch;
    let broken = FailGraph { operation: ask, after: false, broken: true };
    replay(283, &[Minutes(240), broken, Down { hours: 27 }, Minutes(240)])
}

/// "Released" was written and the answer was lost. When the room was wanted again, "booked" seemed to be
/// in the organizer's copy still.
#[test]
fn an_outcome_whose_write_got_no_answer_is_written_over() -> TestResult {
    let hour = |who, room, day, slot| Create { who, room, day, slot, shape: Hour, private: false };
    let ask = super::operations::GraphOperation::Property;
    let off = ChangeRoom { nth: 0, room: 2 };
    let on = ChangeRoom { nth: 0, room: 1 };
    let lost = FailGraph { operation: ask, after: true, broken: false };
    replay(569, &[hour(0, 1, 1, 3), Down { hours: 5 }, lost, off, RunUntilIdle, on])
}

/// The room was taken off while nothing ran and invited again: its copy was called off and came back as
/// it was, so that it seemed to be answered.
#[test]
fn a_room_that_was_changed_and_changed_back_unseen_answers_again() -> TestResult {
    let hour = |who, room, day, slot| Create { who, room, day, slot, shape: Hour, private: false };
    replay(
        31679,
        &[
            hour(2, 0, 0, 3),
            hour(2, 1, 1, 0),
            hour(0, 0, 1, 1),
            Down { hours: 13 },
            ChangeRoom { nth: 2, room: 1 },
            ChangeRoom { nth: 2, room: 0 },
        ],
    )?;
    // Moved away and back.
    let back = Move { nth: 0, day: 1, slot: 2 };
    replay(31, &[meeting(2, 0), Minutes(5), Move { nth: 0, day: 0, slot: 0 }, back])
}

/// Our mark was written, the answer said that it was not, and the room left before the next try: as
/// nothing was known to be published, nothing was taken back.
#[test]
fn a_mark_whose_write_seemed_to_fail_is_taken_back() -> TestResult {
    let operation = super::operations::GraphOperation::Property;
    let written = FailGraph { operation, after: true, broken: false };
    let night = Create { who: 0, room: 1, day: 0, slot: 0, shape: Overnight, private: false };
    let series = Create { who: 1, room: 2, day: 0, slot: 2, shape: Endless, private: false };
    let day = Create { who: 2, room: 1, day: 1, slot: 3, shape: AllDay, private: false };
    replay(
        2264,
        &[
            series,
            Rebook { nth: 1 },
            night,
            Crash { call: 3, after: false },
            written,
            CrashSending { call: 2, after: true },
            day,
            Crash { call: 18, after: true },
            DeleteFromRoom { nth: 2 },
        ],
    )
}

/// A client imported the appointment under its UID, and before anything was read its organizer took the
/// room off, or called it off.
#[test]
fn a_forged_copy_does_not_hold_a_room_that_its_organizer_left() -> TestResult {
    let meeting = |who, day, slot, shape| Create { who, room: 0, day, slot, shape, private: true };
    let forged = |nth, who, day, slot| Forge { nth, who, room: 0, day, slot, own: true };
    let changed = |nth| ChangeRoom { nth, room: 2 };
    replay(7809, &[meeting(0, 0, 0, Hour), forged(1, 0, 1, 2), Down { hours: 28 }])?;
    let cancelled = Cancel { nth: 4, keeps: false };
    replay(4859, &[meeting(0, 1, 2, AllDay), forged(0, 0, 0, 3), cancelled])?;
    let cancelled = Cancel { nth: 2, keeps: true };
    replay(9187, &[meeting(2, 1, 2, Hour), forged(4, 2, 1, 0), cancelled])?;
    replay(5637, &[meeting(1, 0, 0, AllDay), changed(5), forged(0, 0, 1, 3)])?;
    replay(7513, &[meeting(2, 0, 0, Hour), forged(0, 0, 1, 3), changed(2)])
}

/// The room declined its copy while that was read: who found it gone saw the way to a booking that was not
/// made yet, and removed it.
#[test]
fn the_way_to_a_booking_that_is_being_made_is_not_removed() -> TestResult {
    let meeting = |day, slot, shape| Create { who: 0, room: 0, day, slot, shape, private: false };
    let changed = |nth| ChangeRoom { nth, room: 1 };
    replay(
        2536,
        &[
            meeting(0, 2, Overnight),
            meeting(1, 0, AllDay),
            changed(4),
            changed(3),
            ProcessConcurrently,
        ],
    )
}

/// The room refused, and its copy's end was noticed after the organizer had taken it off: by then nothing
/// said where to write that it was released.
#[test]
fn a_refused_room_that_is_taken_off_is_shown_as_released() -> TestResult {
    let meeting = |slot, shape, private| Create { who: 0, room: 0, day: 0, slot, shape, private };
    replay(
        5052,
        &[
            Minutes(240),
            RoomOffAndOn { nth: 2 },
            meeting(0, Half, false),
            meeting(2, AllDay, true),
            RunUntilIdle,
            DropNotifications(8),
            Minutes(1),
            ChangeRoom { nth: 1, room: 2 },
        ],
    )
}

/// A declined copy was read from the deleted items, and seemed to ask again.
#[test]
fn a_copy_that_is_known_to_be_gone_is_not_believed_when_it_is_served() -> TestResult {
    let half = Create { who: 2, room: 0, day: 0, slot: 3, shape: Half, private: false };
    replay(20, &[half, ServeDeleted, Rebook { nth: 0 }])
}

/// The organizer's copy was deleted before it was read, was served all the same, and could not be written.
#[test]
fn a_copy_that_a_write_does_not_find_is_looked_for_in_its_calendar() -> TestResult {
    let half = Create { who: 0, room: 0, day: 1, slot: 1, shape: Half, private: true };
    replay(423, &[half, Cancel { nth: 2, keeps: false }, Rebook { nth: 2 }, ServeDeleted])
}

/// A page of something in between was taken for Graph's word that the room has declined.
#[test]
fn a_write_is_done_when_graph_says_so() -> TestResult {
    let hour = |who, slot| Create { who, room: 0, day: 0, slot, shape: Hour, private: false };
    let page =
        Nonsense { operation: super::operations::GraphOperation::Decline, after: false, body: 1 };
    replay(228, &[hour(2, 1), hour(1, 2), page, Minutes(2)])
}

/// A 400 without a word was taken for Graph's, which does not send some answers: the room declined, and
/// its organizer never learned of it.
#[test]
fn an_answer_is_sent_unless_graph_itself_refuses_to_send_it() -> TestResult {
    let meeting = |who, slot, shape, private| Create { who, room: 0, day: 1, slot, shape, private };
    let operation = super::operations::GraphOperation::Decline;
    let wordless = Nonsense { operation, after: false, body: 3 };
    let two = [meeting(2, 0, Hour, false), meeting(1, 1, Half, true)];
    replay(6462, &[two[0], two[1], wordless, Down { hours: 10 }])
}

/// The room accepted the series, which did not answer an exception of it, and no other date was left that
/// was accepted.
#[test]
fn an_exception_that_the_answer_to_its_series_does_not_reach_is_answered_alone() -> TestResult {
    let taken = |slot| Create { who: 1, room: 0, day: 0, slot, shape: Hour, private: false };
    let same_time = super::series::SeriesEdit::MoveDate;
    let series = Op::CreateSeries { who: 2, room: 0, slot: 0, dates: 2 };
    let exception = Op::EditSeries { nth: 0, edit: same_time, date: 1, slot: 0, room: 0 };
    replay(631, &[taken(1), Op::RunUntilIdle, series, exception])
}
