//! What is left of a booking that has ended: nothing that can be read, and nothing that can be tried
//! out without the key of the deployment.

use jiff::Timestamp;
use roombridge::domain::appointment::DesiredState;
use roombridge::domain::booking::{Booking, ObservedState};
use roombridge::domain::keys::Digest;
use roombridge::domain::tenant::policy::{ContentPolicy, PeoplePolicy, SubjectPolicy};
use roombridge::store::tables::Table;
use serde_json::json;
use world::exchange::{Invitation, Mailbox, Meeting, Response};

use crate::contoso::{Contoso, at, hours, minutes};
use crate::http_browser::Browser;
use crate::{TestError, TestResult};

const SUBJECT: &str = "Acquisition of Umbrella";
/// When Anna's meeting begins and ends: times that nothing else in a story has.
const TIME: (&str, &str) = ("09:07", "10:53");

/// Contoso keeps all that a tenant may let in.
async fn keeping_content() -> Result<Contoso, TestError> {
    let (subject, people) = (SubjectPolicy::Keep, PeoplePolicy::Addresses);
    let content = ContentPolicy { subject, people, ..ContentPolicy::default() };
    Contoso::builder().content(content).open().await
}

fn meet(contoso: &Contoso, organizer: &Mailbox, time: (&str, &str)) -> Result<Meeting, TestError> {
    let invitation = Invitation::new(SUBJECT, at(time.0), at(time.1));
    let invitation = invitation.with(&contoso.ben).room(&contoso.aurora);
    Ok(contoso.tenant.meet(organizer, invitation)?)
}

/// What nobody may find of a meeting: its ids, content and times, and plain hashes of them in every
/// form that a digest has ever had.
struct Secrets {
    texts: Vec<String>,
    event_ids: Vec<String>,
}

impl Secrets {
    /// Read while both copies are there.
    fn of(contoso: &Contoso, meeting: &Meeting, organizer: &Mailbox) -> Result<Self, TestError> {
        let copies = [organizer, &contoso.aurora].map(|mailbox| meeting.copy_in(mailbox));
        let event_ids: Vec<String> = copies.into_iter().flatten().map(|copy| copy.event).collect();
        assert_eq!(event_ids.len(), 2);
        let uid = meeting.ical();
        let mut texts = vec![uid.to_owned(), SUBJECT.to_owned()];
        for person in [organizer, &contoso.ben] {
            texts.push(person.address().to_owned());
            let hashed = ["organizer", uid, &person.address().to_lowercase()];
            texts.push(plain(&hashed.map(str::as_bytes)));
        }
        let (start, end) = (at(TIME.0), at(TIME.1));
        for text in [TIME.0, TIME.1] {
            texts.push(format!("T{text}"));
        }
        let number = |time: Timestamp| time.as_nanosecond().to_be_bytes();
        let (start, end) = (number(start), number(end));
        for invitation in 0..3_u32 {
            texts.push(plain(&[b"request", &start, &end, &invitation.to_be_bytes()]));
            for private in [0, 1] {
                let people = 2_u16.to_be_bytes();
                texts.push(plain(&[&start, &end, &people, &[private], &invitation.to_be_bytes()]));
            }
        }
        texts.push(plain(&[b"time", &start, &end]));
        texts.push(plain(&[b"iCalUId", uid.as_bytes()]));
        texts.extend(event_ids.iter().map(|id| plain(&[b"event", id.as_bytes()])));
        Ok(Self { texts, event_ids })
    }

    /// Where they are in storage.
    async fn found(&self, contoso: &Contoso) -> Result<Vec<String>, TestError> {
        let all = self.texts.iter().chain(&self.event_ids);
        Self::search(contoso, &all.collect::<Vec<_>>()).await
    }

    async fn search(contoso: &Contoso, words: &[&String]) -> Result<Vec<String>, TestError> {
        let mut found = Vec::new();
        for table in Table::ALL {
            for row in contoso.rows(table).await? {
                let properties = serde_json::to_string(&row.properties)?;
                let text = format!("{} {} {properties}", row.key.partition, row.key.row);
                let known = words.iter().filter(|word| text.contains(word.as_str()));
                found.extend(known.map(|word| format!("{table:?} has {word}: {text}")));
            }
        }
        Ok(found)
    }
}

fn plain(parts: &[&[u8]]) -> String {
    Digest::of(parts).to_string()
}

async fn only_booking(contoso: &Contoso, meeting: &Meeting) -> Result<Booking, TestError> {
    contoso.expect_booking(meeting, &contoso.aurora).await
}

#[tokio::test]
async fn of_a_cancelled_meeting_nothing_is_left_that_can_be_read_or_tried_out() -> TestResult {
    let contoso = keeping_content().await?;
    let meeting = meet(&contoso, &contoso.anna, TIME)?;
    contoso.run_for(minutes(5)).await;
    let secrets = Secrets::of(&contoso, &meeting, &contoso.anna)?;
    assert!(!secrets.found(&contoso).await?.is_empty(), "while it is booked, it is there");
    meeting.cancel()?;
    contoso.run_for(minutes(20)).await;
    assert_eq!(secrets.found(&contoso).await?, Vec::<String>::new());
    assert!(only_booking(&contoso, &meeting).await?.is_redacted());
    contoso.assert_healthy().await
}

#[tokio::test]
async fn of_a_refused_meeting_its_organizers_event_id_alone_is_left() -> TestResult {
    let contoso = keeping_content().await?;
    let first = contoso.meet(&contoso.cleo, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    let meeting = meet(&contoso, &contoso.anna, TIME)?;
    contoso.run_for(minutes(0)).await;
    let secrets = Secrets::of(&contoso, &meeting, &contoso.anna)?;
    contoso.run_for(minutes(20)).await;
    assert_eq!(first.response_of(&contoso.aurora), Some(Response::Accepted));
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Declined));
    let found = Secrets::search(&contoso, &secrets.texts.iter().collect::<Vec<_>>()).await?;
    assert_eq!(found, Vec::<String>::new());
    // Our property is on her copy, and is removed from it when she withdraws.
    let found = secrets.found(&contoso).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("Appointments has"), "{found:?}");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn after_a_release_or_an_erasure_nothing_is_left_that_can_be_read_or_tried_out() -> TestResult
{
    for (action, form) in [
        ("withdraw", vec![("bookings", "released")]),
        ("erase", vec![("bookings", "released"), ("confirm", "yes")]),
    ] {
        let contoso = keeping_content().await?;
        let meeting = meet(&contoso, &contoso.anna, TIME)?;
        contoso.run_for(minutes(5)).await;
        let secrets = Secrets::of(&contoso, &meeting, &contoso.anna)?;
        let browser = Browser::new(&contoso.world, "my-calendar");
        browser.sign_in(contoso.anna.id()).await?;
        browser.submit(action, &form).await?;
        contoso.run_for(hours(2)).await;
        assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Declined), "{action}");
        assert_eq!(secrets.found(&contoso).await?, Vec::<String>::new(), "{action}");
    }
    Ok(())
}

#[tokio::test]
async fn of_a_meeting_without_its_room_the_event_id_alone_is_left() -> TestResult {
    let contoso = keeping_content().await?;
    let meeting = meet(&contoso, &contoso.anna, TIME)?;
    contoso.run_for(minutes(5)).await;
    let secrets = Secrets::of(&contoso, &meeting, &contoso.anna)?;
    meeting.change_rooms(&[])?;
    contoso.run_for(minutes(20)).await;
    let found = secrets.found(&contoso).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("Appointments has"), "{found:?}");
    let browser = Browser::new(&contoso.world, "my-calendar");
    browser.sign_in(contoso.anna.id()).await?;
    browser.submit("erase", &[("bookings", "anonymous"), ("confirm", "yes")]).await?;
    contoso.run_for(minutes(30)).await;
    assert_eq!(secrets.found(&contoso).await?, Vec::<String>::new());
    let mark = contoso.outcome_property(&meeting, &contoso.anna, &contoso.aurora)?;
    assert_eq!(mark, Some(json!({})), "our property is removed all the same");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_refused_meeting_that_is_moved_is_booked_with_all_that_it_says() -> TestResult {
    let contoso = keeping_content().await?;
    contoso.meet(&contoso.cleo, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    let meeting = meet(&contoso, &contoso.anna, TIME)?;
    contoso.run_for(minutes(20)).await;
    assert_eq!(only_booking(&contoso, &meeting).await?.desired, DesiredState::Redacted);
    meeting.move_to(at("14:00"), at("15:00"))?;
    contoso.run_for(minutes(20)).await;
    let booking = only_booking(&contoso, &meeting).await?;
    let DesiredState::Wanted(spec) = &booking.desired else { return Err("it is wanted".into()) };
    assert!(matches!(booking.observed, ObservedState::Booked(_)));
    assert!(spec.facts.details.subject.as_ref().is_some_and(|text| text.reveal() == SUBJECT));
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_room_that_left_a_meeting_and_is_no_longer_followed_can_be_invited_again() -> TestResult {
    let contoso = keeping_content().await?;
    let meeting = meet(&contoso, &contoso.anna, TIME)?;
    contoso.run_for(minutes(5)).await;
    let copy = meeting.copy_in(&contoso.aurora).ok_or("the room has a copy")?;
    contoso.aurora.remove_event(&copy.event);
    contoso.run_for(minutes(20)).await;
    assert!(only_booking(&contoso, &meeting).await?.is_redacted());
    contoso.change_policy(|policy| policy.rooms_subscribed = false).await?;
    contoso.run_for(minutes(20)).await;
    for rooms in [vec![], vec![&contoso.aurora]] {
        meeting.change_rooms(&rooms)?;
        contoso.run_for(minutes(20)).await;
    }
    let booking = only_booking(&contoso, &meeting).await?;
    let DesiredState::Wanted(spec) = &booking.desired else { return Err("it is wanted".into()) };
    assert_eq!(spec.facts.interval.start(), at(TIME.0));
    assert_eq!(contoso.ledger_slots(&contoso.aurora, "2026-11-24").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_change_of_a_refused_meeting_that_asks_nothing_new_costs_its_booking_no_write()
-> TestResult {
    let contoso = keeping_content().await?;
    contoso.meet(&contoso.cleo, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    let meeting = meet(&contoso, &contoso.anna, TIME)?;
    contoso.run_for(minutes(20)).await;
    let before = only_booking(&contoso, &meeting).await?;
    meeting.rename("Something else")?;
    contoso.run_for(minutes(20)).await;
    assert_eq!(only_booking(&contoso, &meeting).await?, before);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_person_sees_of_a_cancelled_meeting_that_digests_are_left() -> TestResult {
    let contoso = keeping_content().await?;
    let meeting = meet(&contoso, &contoso.anna, TIME)?;
    contoso.run_for(minutes(5)).await;
    meeting.cancel()?;
    contoso.run_for(minutes(20)).await;
    let browser = Browser::new(&contoso.world, "my-calendar");
    browser.sign_in(contoso.anna.id()).await?;
    let appointment = browser.get("data.json").await?.json()?["appointments"][0].clone();
    assert_eq!((&appointment["event_id"], &appointment["ended"]), (&json!(null), &json!(true)));
    assert_eq!(appointment["event_digest"].as_str().map(str::len), Some(32));
    assert_eq!(appointment["ends"], "2026-11-25T00:00:00Z");
    let booking = &appointment["bookings"][0];
    for name in ["ical_uid", "own_copy", "booked"] {
        assert_eq!(booking[name], json!(null), "{name}");
    }
    Ok(())
}
