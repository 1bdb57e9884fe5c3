//! What a booking system has to do for Roombridge, asked of its adapter: over a simulation, or over an
//! installation of one's own. It leaves nothing there.

use jiff::{SignedDuration, Timestamp};
use roombridge::base::invocation::Invocation;
use roombridge::booking::{BookingSystemError, BookingWriter, OpenSystem};
use roombridge::domain::booking_system::{BookingQuery, BookingRequest, MatchKey, SystemRoomId};
use roombridge::domain::ids::BookingId;
use roombridge::domain::interval::Interval;
use roombridge::domain::personal::Personal;

use crate::{TestError, TestResult};

/// A connection, two rooms, and a day on which nobody has booked them.
pub(super) struct Subject {
    pub(super) system: OpenSystem,
    pub(super) invocation: Invocation,
    pub(super) rooms: [SystemRoomId; 2],
    /// A midnight (UTC). Between 09:00 and 14:00 the rooms can be booked by the half hour.
    pub(super) day: Timestamp,
    /// Minutes after `day` at which a booking of one minute is against the system's own rules.
    pub(super) forbidden: i64,
    /// Sets the keys of this run apart from those of another.
    pub(super) run: u64,
}

impl Subject {
    pub(super) fn request(&self, key: u64, hour: i64) -> Result<BookingRequest, TestError> {
        let start = self.day + SignedDuration::from_hours(hour);
        let interval = Interval::new(start, start + SignedDuration::from_hours(1));
        let key = uuid::Uuid::from_u64_pair(self.run, key);
        Ok(BookingRequest {
            key: MatchKey { booking: BookingId(key), generation: 0 },
            room: self.rooms[0].clone(),
            interval: interval.ok_or("an hour is an interval")?,
            subject: Some(Personal::new(
                "Acceptance of Roombridge: <b>Ünïcödé</b> & \"quotes\" 🎉",
            )),
            organizer: None,
            attendees: Vec::new(),
            attendee_count: 2,
        })
    }

    fn writer(&self) -> BookingWriter {
        BookingWriter::new(self.system.clone())
    }

    async fn put(&self, request: &BookingRequest) -> Result<String, BookingSystemError> {
        self.writer().put(&self.invocation, request, &query(request)).await
    }

    async fn cancel(&self, request: &BookingRequest) -> Result<(), BookingSystemError> {
        self.writer().cancel(&self.invocation, &query(request)).await
    }

    /// The references of what the room has in the time of `request`.
    async fn held(&self, request: &BookingRequest) -> Result<Vec<String>, BookingSystemError> {
        let api = &self.system.api;
        let listed = api.list(&self.invocation, &request.room, request.interval).await?;
        Ok(listed.into_iter().map(|booking| booking.reference).collect())
    }
}

/// What leads to the booking of a request that nobody knows the outcome of.
pub(super) fn query(request: &BookingRequest) -> BookingQuery {
    let (key, room, intervals) = (request.key, request.room.clone(), vec![request.interval]);
    BookingQuery { key, reference: None, room, intervals }
}

/// Asks everything.
pub(super) async fn run(subject: &Subject) -> TestResult {
    a_repeat_finds_what_was_made(subject).await?;
    a_booking_changes_its_time_and_room_and_keeps_its_name(subject).await?;
    a_taken_room_is_a_conflict_and_stays_as_it_was(subject).await?;
    a_rule_of_the_system_is_passed_on_in_its_words(subject).await?;
    what_has_ended_is_ended_once_more_without_harm(subject).await?;
    of_eight_at_once_one_stays(subject).await?;
    for room in &subject.rooms {
        let day = Interval::new(subject.day, subject.day + SignedDuration::from_hours(24));
        let day = day.ok_or("a day is an interval")?;
        let left = subject.system.api.list(&subject.invocation, room, day).await?;
        assert_eq!(left, [], "nothing is left behind");
    }
    Ok(())
}

async fn a_repeat_finds_what_was_made(subject: &Subject) -> TestResult {
    let request = subject.request(1, 9)?;
    let first = subject.put(&request).await?;
    assert_eq!(subject.put(&request).await?, first);
    let found = subject.system.api.find(&subject.invocation, &query(&request)).await?;
    let booking = found.first().ok_or("it is found by its key")?;
    assert_eq!((found.len(), booking.key), (1, Some(request.key)));
    assert_eq!((&booking.room, booking.interval), (&request.room, request.interval));
    Ok(subject.cancel(&request).await?)
}

async fn a_booking_changes_its_time_and_room_and_keeps_its_name(subject: &Subject) -> TestResult {
    let before = subject.request(2, 9)?;
    let first = subject.put(&before).await?;
    let after = BookingRequest { room: subject.rooms[1].clone(), ..subject.request(2, 11)? };
    let query = BookingQuery { reference: Some(first.clone()), ..query(&before) };
    assert_eq!(subject.writer().put(&subject.invocation, &after, &query).await?, first);
    assert_eq!(subject.held(&before).await?, [""; 0]);
    assert_eq!(subject.held(&after).await?, [first]);
    Ok(subject.cancel(&after).await?)
}

async fn a_taken_room_is_a_conflict_and_stays_as_it_was(subject: &Subject) -> TestResult {
    let (early, late) = (subject.request(3, 9)?, subject.request(4, 10)?);
    let names = [subject.put(&early).await?, subject.put(&late).await?];
    let taken = subject.put(&subject.request(5, 9)?).await;
    assert_eq!(taken, Err(BookingSystemError::Conflict));
    let onto = BookingRequest { interval: early.interval, ..late.clone() };
    let moved = subject.writer().put(&subject.invocation, &onto, &query(&late)).await;
    assert_eq!(moved, Err(BookingSystemError::Conflict));
    // Neighbours do not touch each other.
    assert_eq!(subject.held(&early).await?, names[..1]);
    assert_eq!(subject.held(&late).await?, names[1..]);
    subject.cancel(&early).await?;
    Ok(subject.cancel(&late).await?)
}

async fn a_rule_of_the_system_is_passed_on_in_its_words(subject: &Subject) -> TestResult {
    let minute = subject.day + SignedDuration::from_mins(subject.forbidden);
    let odd = Interval::new(minute, minute + SignedDuration::from_mins(1));
    let odd = odd.ok_or("a minute is an interval")?;
    let refused = subject.put(&BookingRequest { interval: odd, ..subject.request(6, 9)? }).await;
    let Err(BookingSystemError::Rejected { words }) = refused else {
        return Err(format!("a minute beside the slots: {refused:?}").into());
    };
    assert!(words.reveal().len() > 10, "{}", words.reveal());
    Ok(())
}

async fn what_has_ended_is_ended_once_more_without_harm(subject: &Subject) -> TestResult {
    let request = subject.request(7, 9)?;
    subject.put(&request).await?;
    let found = subject.system.api.find(&subject.invocation, &query(&request)).await?;
    let booking = found.first().ok_or("it was made")?;
    for _ in 0..2 {
        subject.system.api.cancel(&subject.invocation, booking).await?;
        subject.cancel(&request).await?;
    }
    let change = subject.system.api.change(&subject.invocation, booking, &request).await;
    assert_eq!(change, Err(BookingSystemError::NotFound));
    let known = BookingQuery { reference: Some(booking.reference.clone()), ..query(&request) };
    let again = subject.writer().put(&subject.invocation, &request, &known).await?;
    assert_ne!(again, booking.reference);
    Ok(subject.cancel(&request).await?)
}

async fn of_eight_at_once_one_stays(subject: &Subject) -> TestResult {
    for round in 0..10 {
        let requests: Vec<_> = (0..8)
            .map(|key| subject.request(100 + round * 8 + key, 12))
            .collect::<Result<_, _>>()?;
        let puts = requests.iter().map(|request| subject.put(request));
        let ended = futures::future::join_all(puts).await;
        let kept: Vec<_> = ended.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
        assert_eq!(subject.held(&requests[0]).await?, kept, "{ended:?}");
        assert!(kept.len() <= 1, "{ended:?}");
        for request in &requests {
            subject.cancel(request).await?;
        }
    }
    Ok(())
}
