//! The main job, told as a story: an appointment with a room becomes a booking, and is forgotten
//! when it is over.

use jiff::{SignedDuration, Timestamp};
use roombridge::domain::policy::{Answering, ContentPolicy};
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Mailbox, Processing, Response, Tenant};
use world::office::Office;

use crate::Outcome;

struct Story {
    office: Office,
    tenant: Tenant,
    anna: Mailbox,
    ben: Mailbox,
    aurora: Mailbox,
}

/// Contoso: Anna has agreed, Ben has not; the room Aurora is answered by Roombridge.
async fn contoso() -> Result<Story, crate::Failure> {
    let office = Office::new(1)?;
    let tenant = office.microsoft.tenant("Contoso");
    let (anna, ben) = (tenant.person("Anna"), tenant.person("Ben"));
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    let seeding = office.seeding();
    seeding.connect(&tenant, ContentPolicy::default()).await?;
    seeding.agree(&anna).await?;
    seeding.manage(&aurora, Answering::RoombridgeDecides).await?;
    office.settle().await;
    Ok(Story { office, tenant, anna, ben, aurora })
}

fn at(hour: &str) -> Timestamp {
    format!("2026-11-24T{hour}:00Z").parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

#[tokio::test]
async fn a_meeting_with_a_room_is_booked_accepted_and_forgotten() -> Outcome {
    let Story { office, tenant, anna, ben, aurora } = contoso().await?;
    let invitation =
        Invitation::new("Quarterly numbers", at("09:00"), at("10:00")).with(&ben).room(&aurora);
    let meeting = tenant.meet(&anna, invitation)?;
    office.pass(SignedDuration::from_secs(30)).await;

    assert_eq!(office.memory.rows(Table::Bookings).len(), 1);
    assert_eq!(meeting.answer_of(&aurora), Some(Response::Accepted));
    office.pass(SignedDuration::from_hours(1)).await;
    assert!(
        office.memory.rows(Table::Failures).is_empty(),
        "{:?}",
        office.memory.rows(Table::Failures)
    );

    office.clock.set(at("09:55"));
    office.pass(SignedDuration::from_mins(30)).await;
    for table in [Table::Bookings, Table::Appointments] {
        assert!(office.memory.rows(table).is_empty(), "{table:?}");
    }
    assert_eq!(office.microsoft.graph.violations(), []);
    Ok(())
}
