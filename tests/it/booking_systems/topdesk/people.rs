//! For whom a reservation is, and who takes part: person cards, found by e-mail addresses.

use jiff::SignedDuration;
use roombridge::booking::BookingSystemError;
use roombridge::domain::booking_system::BookingRequest;
use roombridge::domain::personal::Personal;

use super::Installation;
use crate::TestResult;

fn named(address: &str) -> Option<Personal> {
    Some(Personal::new(address))
}

#[tokio::test]
async fn a_reservation_is_for_the_organizer_or_else_for_the_fallback() -> TestResult {
    let here = Installation::open().await?;
    for name in ["Jan One", "Jan Two"] {
        here.topdesk.add_person(name, "jan@contoso.example");
    }
    let organizers = [
        (named("ANNA@contoso.example"), here.anna),
        (None, here.desk),
        (named("guest@fabrikam.example"), here.desk),
        // Two cards have it, and nobody is guessed.
        (named("jan@contoso.example"), here.desk),
        // Nothing that could be a query.
        (named("x\",archived==true)@contoso.example"), here.desk),
        (named("/o=Contoso/cn=Recipients/cn=anna"), here.desk),
    ];
    for (key, (organizer, expected)) in (1..).zip(organizers) {
        let request = BookingRequest { organizer, ..here.request(key, "09:00", "10:00")? };
        here.put(&request).await?;
        assert_eq!(here.only(here.aurora)?.requester, expected, "{key}");
        here.cancel(&request).await?;
    }
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn without_the_fallbacks_card_the_error_says_so_and_nothing_is_declined() -> TestResult {
    let here = Installation::open().await?;
    here.topdesk.archive_person(here.desk);
    let request = BookingRequest { organizer: None, ..here.request(1, "09:00", "10:00")? };
    assert_eq!(here.put(&request).await, Err(BookingSystemError::RequesterUnknown));
    assert_eq!(here.topdesk.live(here.aurora), []);
    Ok(())
}

#[tokio::test]
async fn a_card_is_looked_up_once_in_a_while() -> TestResult {
    let here = Installation::open().await?;
    for (key, hour) in (1..).zip(["09", "10", "11"]) {
        here.put(&here.request(key, &format!("{hour}:00"), &format!("{hour}:30"))?).await?;
    }
    assert_eq!(here.count("GET /persons"), 1);
    here.clock.advance(SignedDuration::from_mins(10));
    here.put(&here.request(9, "12:00", "12:30")?).await?;
    assert_eq!(here.count("GET /persons"), 2);
    Ok(())
}

#[tokio::test]
async fn participants_are_those_of_the_meeting_who_have_a_card() -> TestResult {
    let here = Installation::open().await?;
    let [ben, cleo] = ["ben", "cleo"]
        .map(|name| here.topdesk.add_person(name, &format!("{name}@contoso.example")));
    let meeting = |people: &[&str]| -> Result<_, crate::TestError> {
        let attendees = people.iter().map(|one| Personal::new(format!("{one}@contoso.example")));
        let attendees = attendees.collect();
        Ok(BookingRequest { attendees, ..here.request(1, "09:00", "10:00")? })
    };
    here.put(&meeting(&["ben", "unknown"])?).await?;
    assert_eq!(here.only(here.aurora)?.participants, [ben]);
    here.put(&meeting(&["cleo", "unknown"])?).await?;
    assert_eq!(here.only(here.aurora)?.participants, [cleo]);
    // Without addresses nothing is known of them, and those who are there stay.
    here.put(&meeting(&[])?).await?;
    assert_eq!(here.only(here.aurora)?.participants, [cleo]);
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn a_large_meeting_is_looked_up_in_a_few_calls() -> TestResult {
    let here = Installation::open().await?;
    let people = (0..120).map(|n| format!("person{n}@contoso.example"));
    let people: Vec<String> = people.collect();
    for address in &people {
        here.topdesk.add_person("Somebody", address);
    }
    let attendees = people.iter().map(Personal::new).collect();
    let request = BookingRequest { attendees, ..here.request(1, "09:00", "10:00")? };
    here.put(&request).await?;
    assert_eq!(here.only(here.aurora)?.participants.len(), 120);
    assert_eq!(here.count("GET /persons"), 3);
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn a_card_that_is_gone_since_it_was_read_is_looked_up_again() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    here.put(&request).await?;
    here.cancel(&request).await?;
    here.topdesk.archive_person(here.anna);
    let refused = here.put(&here.request(2, "09:00", "10:00")?).await;
    assert!(matches!(refused, Err(BookingSystemError::Rejected { .. })), "{refused:?}");
    here.put(&here.request(3, "09:00", "10:00")?).await?;
    assert_eq!(here.only(here.aurora)?.requester, here.desk);
    Ok(())
}
