//! A rehearsal that begins when there is something already, and ends.

use roombridge::messages::{ReconcileCursor, TenantTaskKind};
use roombridge::store::tables::Table;
use world::exchange::Response;

use crate::TestResult;
use crate::contoso::{Contoso, at, hours, minutes, on_both};

on_both!(earlier_bookings_stay_and_meetings_present_at_the_end_are_booked);

const COMPARE: TenantTaskKind = TenantTaskKind::ReconcilePolicy {
    from: Some(ReconcileCursor { shard: 0, resubscribe: false, resync: true }),
};

async fn earlier_bookings_stay_and_meetings_present_at_the_end_are_booked(
    contoso: Contoso,
) -> TestResult {
    let Contoso { anna, cleo, aurora, world, .. } = &contoso;
    let early = contoso.meet(cleo, ("2026-11-23T11:00", "2026-11-23T12:00"), aurora)?;
    let moved = contoso.meet(anna, ("2026-11-25T09:00", "2026-11-25T10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 2);

    contoso.change_tenant(COMPARE, |tenant| tenant.policy.rehearsal = true).await?;
    contoso.run_for(minutes(2)).await;
    world.microsoft.graph.clear_requests();
    moved.move_to(at("2026-11-25T13:00"), at("2026-11-25T14:00"))?;
    let fresh = contoso.meet(anna, ("2026-11-26T09:00", "2026-11-26T10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert!(contoso.booking(&fresh, aurora).await?.is_none());
    assert_eq!(world.microsoft.graph.requests(), [], "nothing is read, nothing is written");
    let taken = contoso.ledger_slots(aurora, "2026-11-25").await?;
    assert_eq!(taken[0].interval.start(), at("2026-11-25T09:00"), "as it was before");

    // What is over is purged, and who withdraws is forgotten, as ever.
    let before = contoso.expect_booking(&early, aurora).await?;
    world.fixtures().withdraw(cleo).await?;
    contoso.run_for(minutes(5)).await;
    let kept = contoso.expect_booking(&early, aurora).await?;
    assert_ne!(kept.copies.organizer, before.copies.organizer, "what Cleo's copy said is gone");
    assert_eq!(contoso.subscriptions(cleo), 0);
    contoso.run_for(hours(12)).await;
    assert!(contoso.booking(&early, aurora).await?.is_none());
    assert_eq!(contoso.count(Table::Bookings).await?, 1);

    contoso.change_tenant(COMPARE, |tenant| tenant.policy.rehearsal = false).await?;
    contoso.run_for(minutes(5)).await;
    for meeting in [&moved, &fresh] {
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
        assert_eq!(contoso.outcome_on_copy(meeting, anna, aurora)?.as_deref(), Some("booked"));
    }
    let taken = contoso.ledger_slots(aurora, "2026-11-25").await?;
    assert_eq!((taken.len(), taken[0].interval.start()), (1, at("2026-11-25T13:00")));
    contoso.assert_healthy().await
}
