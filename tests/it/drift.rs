//! What a comparison counts, and a subscription that delivers nothing.

use roombridge::domain::mailbox::Drift;
use roombridge::messages::MailboxTaskKind;
use roombridge::store::tables::Table;
use world::exchange::Mailbox;

use crate::contoso::{Contoso, Who, at, hours, minutes, on_both};
use crate::{TestError, TestResult};

on_both!(a_subscription_that_falls_silent_is_replaced_at_most_once_a_day);

/// Missing, left over, different.
async fn drift_counts(contoso: &Contoso, mailbox: &Mailbox) -> Result<(u32, u32, u32), TestError> {
    let drift = contoso.mailbox(mailbox).await?.health.drift.ok_or("never compared")?;
    Ok((drift.missing, drift.orphaned, drift.different))
}

async fn subscription_id(contoso: &Contoso, mailbox: &Mailbox) -> Result<String, TestError> {
    Ok(contoso.mailbox(mailbox).await?.subscription.ok_or("not subscribed")?.id)
}

/// Compares these calendars with the store, and lets what follows from it happen.
async fn compare(contoso: &Contoso, mailboxes: &[&Mailbox]) -> TestResult {
    for mailbox in mailboxes {
        contoso.world.fixtures().send_task(mailbox, MailboxTaskKind::Resync).await?;
    }
    contoso.run_for(minutes(5)).await;
    Ok(())
}

#[tokio::test]
async fn differences_are_counted_and_an_unchanged_calendar_is_not_recorded_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let moved = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let cancelled = contoso.meet(anna, ("11:00", "12:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    world.microsoft.graph.drop_next(1_000);
    moved.move_to(at("13:00"), at("14:00"))?;
    cancelled.delete_from(anna)?;
    contoso.meet(anna, ("15:00", "16:00"), aurora)?;
    contoso.meet(anna, ("16:00", "17:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    world.microsoft.graph.drop_next(0);
    compare(&contoso, &[anna]).await?;
    assert_eq!(drift_counts(&contoso, anna).await?, (2, 1, 1));

    compare(&contoso, &[anna]).await?;
    assert_eq!(drift_counts(&contoso, anna).await?, (0, 0, 0));
    let row = contoso.mailbox(anna).await?;
    compare(&contoso, &[anna]).await?;
    assert_eq!(contoso.mailbox(anna).await?, row);
    contoso.run_for(hours(21)).await;
    compare(&contoso, &[anna]).await?;
    let later = contoso.mailbox(anna).await?.health.drift.ok_or("never compared")?;
    let before = row.health.drift.ok_or("never compared")?;
    assert!(later.at > before.at && Drift { at: before.at, ..later } == before);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn appointments_without_a_managed_room_are_not_counted() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, tenant, world, .. } = &contoso;
    world.microsoft.graph.drop_next(1_000);
    let invitation = world::exchange::Invitation::new("Dentist", at("09:00"), at("10:00"));
    tenant.meet(anna, invitation.with(ben))?;
    contoso.run_for(minutes(5)).await;
    compare(&contoso, &[anna]).await?;
    assert_eq!(drift_counts(&contoso, anna).await?, (0, 0, 0));
    assert_eq!(contoso.count(Table::Appointments).await?, 0);
    contoso.assert_healthy().await
}

async fn a_subscription_that_falls_silent_is_replaced_at_most_once_a_day(
    contoso: Contoso,
) -> TestResult {
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let first = (subscription_id(&contoso, anna).await?, subscription_id(&contoso, aurora).await?);
    contoso.run_for(hours(2)).await;
    // Graph lists both subscriptions and delivers nothing.
    graph.drop_next(u32::MAX);
    contoso.meet(anna, ("2026-11-25T09:00", "2026-11-25T10:00"), aurora)?;
    contoso.run_for(hours(1)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 0, "nothing was notified");
    compare(&contoso, &[anna, aurora]).await?;
    assert_eq!(contoso.count(Table::Bookings).await?, 1, "found without a notification");
    assert_eq!(
        (subscription_id(&contoso, anna).await?, subscription_id(&contoso, aurora).await?),
        first,
        "in doubt"
    );
    contoso.run_for(minutes(20)).await;
    let second = (subscription_id(&contoso, anna).await?, subscription_id(&contoso, aurora).await?);
    assert!(second.0 != first.0 && second.1 != first.1);
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(aurora)), (1, 1));

    // Once more, on the same day.
    contoso.meet(anna, ("2026-11-25T11:00", "2026-11-25T12:00"), aurora)?;
    contoso.run_for(hours(3)).await;
    compare(&contoso, &[anna, aurora]).await?;
    contoso.run_for(minutes(30)).await;
    assert_eq!(
        (subscription_id(&contoso, anna).await?, subscription_id(&contoso, aurora).await?),
        second
    );

    // When it delivers again, everything works as before.
    graph.drop_next(0);
    let meeting = contoso.meet(anna, ("2026-11-26T09:00", "2026-11-26T10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert!(contoso.mailbox(anna).await?.health.last_notification_at.is_some());
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_quiet_mailbox_with_one_lost_notification_keeps_its_subscription() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let first = (subscription_id(&contoso, anna).await?, subscription_id(&contoso, aurora).await?);
    contoso.run_for(hours(30)).await;
    compare(&contoso, &[anna, aurora]).await?;
    world.microsoft.graph.drop_next(u32::MAX);
    let meeting = contoso.meet(anna, ("2026-11-26T09:00", "2026-11-26T10:00"), aurora)?;
    contoso.run_for(hours(1)).await;
    world.microsoft.graph.drop_next(0);
    compare(&contoso, &[anna, aurora]).await?;
    assert_eq!(drift_counts(&contoso, anna).await?, (1, 0, 0));
    // The notifications of our own writes to both copies arrived.
    contoso.run_for(hours(1)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(
        (subscription_id(&contoso, anna).await?, subscription_id(&contoso, aurora).await?),
        first
    );
    // A quiet week does not make it suspect either.
    for _ in 0..3 {
        contoso.run_for(hours(24)).await;
        compare(&contoso, &[anna, aurora]).await?;
    }
    assert_eq!(
        (subscription_id(&contoso, anna).await?, subscription_id(&contoso, aurora).await?),
        first
    );
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_room_that_is_newly_managed_makes_no_subscription_suspect() -> TestResult {
    let contoso = Contoso::builder().followed(&[Who::Anna]).open().await?;
    let Contoso { anna, aurora, borealis, world, .. } = &contoso;
    let fixtures = world.fixtures();
    contoso.run_for(minutes(1)).await;
    contoso.meet(anna, ("2026-11-26T09:00", "2026-11-26T10:00"), borealis)?;
    contoso.run_for(hours(24)).await;
    compare(&contoso, &[anna]).await?;
    let first = subscription_id(&contoso, anna).await?;
    fixtures
        .manage_room(borealis, roombridge::domain::tenant::policy::ResponseMode::ExchangeDecides)
        .await?;
    fixtures
        .manage_room(aurora, roombridge::domain::tenant::policy::ResponseMode::RoombridgeDecides)
        .await?;
    contoso.run_for(minutes(2)).await;
    world.microsoft.graph.drop_next(u32::MAX);
    compare(&contoso, &[anna]).await?;
    contoso.run_for(minutes(30)).await;
    world.microsoft.graph.drop_next(0);
    assert_eq!(subscription_id(&contoso, anna).await?, first);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn pages_that_come_again_count_each_event_once_and_end_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let kept = contoso.meet(anna, ("2026-11-26T07:00", "2026-11-26T08:00"), aurora)?;
    contoso.run_for(hours(2)).await;
    compare(&contoso, &[anna]).await?;
    let first = subscription_id(&contoso, anna).await?;

    // The pages come again and have an end: one event that was missed is one.
    graph.drop_next(u32::MAX);
    contoso.meet(anna, ("2026-11-26T09:00", "2026-11-26T10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    graph.drop_next(0);
    graph.repeat_pages(2);
    contoso.run_for(hours(2)).await;
    compare(&contoso, &[anna]).await?;
    assert_eq!(drift_counts(&contoso, anna).await?, (1, 0, 0));
    assert_eq!(contoso.mailbox(anna).await?.health.unfinished_since, None);

    // They have no end: reading stops, it is said, and nothing is taken for gone.
    graph.drop_next(u32::MAX);
    kept.delete_from(anna)?;
    contoso.run_for(minutes(5)).await;
    graph.drop_next(0);
    graph.repeat_pages(u32::MAX);
    graph.clear_requests();
    compare(&contoso, &[anna]).await?;
    let views = contoso.graph_requests("GET", "/users/{id}/calendarView").len();
    assert_eq!(views, 200);
    assert_eq!(drift_counts(&contoso, anna).await?, (0, 0, 0));
    assert!(contoso.mailbox(anna).await?.health.unfinished_since.is_some());
    contoso.run_for(minutes(30)).await;
    assert_eq!(subscription_id(&contoso, anna).await?, first);

    graph.repeat_pages(0);
    compare(&contoso, &[anna]).await?;
    assert_eq!(drift_counts(&contoso, anna).await?, (0, 1, 0));
    assert_eq!(contoso.mailbox(anna).await?.health.unfinished_since, None);
    contoso.assert_healthy().await
}
