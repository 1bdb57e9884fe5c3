//! Connecting to it, reading it in pages, and its outages.

use jiff::SignedDuration;
use roombridge::booking::BookingSystemError;
use roombridge::identity::keys::SystemCredentials as _;
use world::topdesk::{Outage, Rights};

use super::{Installation, LOGIN, PASSWORD, SYSTEM, TENANT, account, at, between, room};
use crate::TestResult;

#[tokio::test]
async fn the_check_of_a_connection_names_what_is_missing_and_changes_nothing() -> TestResult {
    let reason = Some("Cancelled in Outlook".to_owned());
    let here = Installation::open_with(|one| one.cancellation_reason = reason).await?;
    let reason = here.topdesk.add_cancellation_reason("Cancelled in Outlook");
    let check = here.system.api.check_connection(&here.invocation).await?;
    assert_eq!((check.account.as_str(), check.missing_rights.len()), (LOGIN, 0), "{reason}");
    let rooms: Vec<_> = check.rooms.iter().map(|room| (&*room.name, room.capacity)).collect();
    assert_eq!(rooms, [("Aurora", Some(8)), ("Borealis", Some(8))]);
    let missing = async |rights| {
        here.topdesk.add_operator(LOGIN, PASSWORD, rights);
        let check = here.system.api.check_connection(&here.invocation).await;
        check.map(|check| check.missing_rights)
    };
    assert_eq!(
        missing(Rights::READ_ONLY).await?,
        [
            "Reservations management: reservations, create",
            "Reservations management: reservations, edit"
        ]
    );
    assert_eq!(missing(Rights::NO_MODULE).await?.len(), 6);
    here.topdesk.archive_person(here.desk);
    assert_eq!(missing(Rights::ALL).await?, ["a person card for the fallback requester"]);
    assert_eq!(here.topdesk.reservations(), []);
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn an_operator_without_a_right_is_refused_and_nothing_was_done() -> TestResult {
    let here = Installation::open().await?;
    here.topdesk.add_operator(LOGIN, PASSWORD, Rights::READ_ONLY);
    let refused = here.put(&here.request(1, "09:00", "10:00")?).await;
    assert_eq!(refused, Err(BookingSystemError::Unauthorised));
    assert_eq!(here.topdesk.reservations(), []);
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_the_new_one_five_minutes_later() -> TestResult {
    let here = Installation::open().await?;
    here.topdesk.add_operator(LOGIN, "another", Rights::ALL);
    for key in [1, 2] {
        let refused = here.put(&here.request(key, "09:00", "10:00")?).await;
        assert_eq!(refused, Err(BookingSystemError::Unauthorised));
    }
    assert_eq!(here.topdesk.requests().len(), 1);
    here.clock.advance(SignedDuration::from_mins(5));
    here.credentials.put(TENANT, SYSTEM, &account("another")).await?;
    here.put(&here.request(1, "09:00", "10:00")?).await?;
    Ok(())
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page() -> TestResult {
    let here = Installation::open().await?;
    here.topdesk.set_page_limit(3);
    for minute in 0..20 {
        let start = at("09:00")? + SignedDuration::from_mins(minute / 2 * 10);
        let end = start + SignedDuration::from_mins(10);
        here.topdesk.reserve(here.aurora, here.desk, (start, end));
    }
    here.topdesk.reserve(here.borealis, here.desk, (at("09:00")?, at("10:00")?));
    let aurora = room(here.aurora);
    let api = &here.system.api;
    let listed = api.list(&here.invocation, &aurora, between("09:00", "10:00")?).await?;
    assert_eq!(listed.len(), 12);
    assert!(listed.iter().all(|one| one.key.is_none() && one.room == aurora));
    // Too many of one instant cannot be paged through, and half a list is none.
    here.topdesk.set_page_limit(1);
    let listed = api.list(&here.invocation, &aurora, between("09:00", "10:00")?).await;
    assert_eq!(listed, Err(BookingSystemError::Unavailable { retry_after: None }));
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn an_outage_is_no_answer_about_a_booking() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    here.put(&request).await?;
    let soon = Some(SignedDuration::from_secs(30));
    let outages = [
        (Outage::Throttled(30), BookingSystemError::Throttled { retry_after: soon }),
        (Outage::Unavailable(30), BookingSystemError::Unavailable { retry_after: soon }),
        (Outage::MaintenancePage, BookingSystemError::Unavailable { retry_after: None }),
    ];
    for (outage, expected) in outages {
        here.topdesk.set_outage(outage);
        assert_eq!(here.put(&request).await, Err(expected.clone()), "{outage:?}");
        assert_eq!(here.cancel(&request).await, Err(expected.clone()), "{outage:?}");
        let check = here.system.api.check_connection(&here.invocation).await;
        assert_eq!(check, Err(expected), "{outage:?}");
    }
    let held = {
        here.topdesk.set_outage(Outage::None);
        here.held(&request).await?
    };
    here.topdesk.set_outage(Outage::MaintenancePage);
    // A page for people in answer to a write: it may have been done.
    let moved = here.system.api.create(&here.invocation, &request).await;
    assert_eq!(moved, Err(BookingSystemError::OutcomeUnknown("the answer makes no sense")));
    here.topdesk.set_outage(Outage::None);
    assert_eq!(here.held(&request).await?, held);
    here.cancel(&request).await?;
    assert_eq!(here.topdesk.live(here.aurora), []);
    Ok(())
}
