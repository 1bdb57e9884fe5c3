//! Readers that come too early or too late, and how a second read repairs what they wrote.

use futures::poll;
use roombridge::domain::appointment::{DesiredState, EndReason};
use roombridge::store::tables::{RowChange, Table};
use world::exchange::{Response, RoomRules};
use world::graph::Refusal;

use super::EVENT;
use crate::contoso::{Contoso, minutes, on_both, room_id, seconds};
use crate::{TestError, TestResult};

on_both!(a_new_copy_is_read_again_after_a_minute);

async fn a_new_copy_is_read_again_after_a_minute(contoso: Contoso) -> TestResult {
    let Contoso { ben, aurora, world, .. } = &contoso;
    contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    world.microsoft.graph.deliver_due().await;
    // The echo of our own write would be a second look.
    world.microsoft.graph.drop_next(1_000);
    contoso.run_for(seconds(45)).await;
    world.microsoft.graph.clear_requests();
    contoso.run_for(seconds(15)).await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 1);
    contoso.run_for(minutes(9)).await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 1, "once is enough");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_new_copy_that_was_read_after_our_own_write_is_not_read_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(seconds(45)).await;
    world.microsoft.graph.clear_requests();
    contoso.run_for(minutes(9)).await;
    assert_eq!(contoso.graph_requests("GET", EVENT), []);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

/// Contoso, where another process has just added Aurora: the handler's own map of rooms lacks it.
async fn with_a_new_room() -> Result<Contoso, TestError> {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, borealis, world, .. } = &contoso;
    let key = room_id(aurora)?.to_string();
    let rows = contoso.rows(Table::Rooms).await?;
    let aurora_row = rows.into_iter().find(|row| row.key.row == key).ok_or("it is managed")?;
    let remove = vec![RowChange::Delete(aurora_row.key.clone(), None)];
    world.raw_tables.apply(Table::Rooms, remove).await?;
    contoso.run_for(minutes(2)).await;
    // The handler reads its map, which lacks Aurora.
    let other = contoso.meet(anna, ("11:00", "12:00"), borealis)?;
    contoso.run_for(seconds(10)).await;
    contoso.expect_booking(&other, borealis).await?;
    world.raw_tables.apply(Table::Rooms, vec![RowChange::Insert(aurora_row)]).await?;
    Ok(contoso)
}

#[tokio::test]
async fn a_room_that_another_process_has_just_added_is_booked_at_once() -> TestResult {
    let contoso = with_a_new_room().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(seconds(10)).await;
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert!(booking.copies.organizer_copy().is_some(), "both copies were read");
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_new_room_does_not_use_up_the_second_look_at_an_event_that_graph_does_not_serve()
-> TestResult {
    let contoso = with_a_new_room().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    graph.deliver_due().await;
    world.host.process_all().await;
    for mailbox in [anna, aurora] {
        graph.refuse(Refusal {
            method: "GET",
            template: EVENT,
            mailbox: mailbox.id().to_owned(),
            event: None,
            status: 410,
            code: "ErrorItemNotFound",
        });
    }
    contoso.run_for(seconds(10)).await;
    graph.end_refusals();
    contoso.run_for(minutes(5)).await;
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(booking.copies.both().count(), 2, "both copies were read");
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_reader_slower_than_the_deletion_brings_nothing_back_for_long() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    contoso.run_for(minutes(2)).await;
    aurora.set_rules(RoomRules { keeps_cancelled: false, ..RoomRules::default() });
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    world.microsoft.graph.deliver_due().await;
    world.microsoft.graph.clear_requests();
    let taken = world.host.dequeue_all().await.pop().ok_or("the change was notified")?;
    let mut reader = std::pin::pin!(world.host.process_message(taken));
    // Until it has read the event, and not a step further.
    while contoso.graph_requests("GET", EVENT).is_empty() {
        assert!(poll!(&mut reader).is_pending());
    }
    meeting.cancel()?;
    world.run_until_idle().await;
    assert_eq!(contoso.count(Table::Bookings).await?, 0, "the deletion found nothing to end");
    reader.await;
    world.run_until_idle().await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1, "resurrected");
    contoso.run_for(seconds(75)).await;
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(booking.desired, DesiredState::Unwanted(EndReason::Cancelled));
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, []);
    contoso.assert_healthy().await
}
