//! How everything about an appointment is removed once it is over, and nothing earlier.

use std::sync::Arc;

use roombridge::booking::LedgerClaims;
use roombridge::domain::keys::{BookingKey, Digest};
use roombridge::jobs::purge_expired::{self, Deps, PurgeSummary};
use roombridge::store::appointments::Appointments;
use roombridge::store::audit::Audit;
use roombridge::store::bookings::Bookings;
use roombridge::store::due::{DueEntries, DueEntry, DuePurpose, DueSubject};
use roombridge::store::failures::Failures;
use roombridge::store::ledger::Ledger;
use roombridge::store::register::Register;
use roombridge::store::tables::Table;
use roombridge::store::tenants::Tenants;
use world::exchange::{Invitation, Mailbox, Response};

use crate::contoso::{Contoso, at, hours, minutes, on_both, room_id};
use crate::{TestError, TestResult};

on_both!(
    a_meeting_that_was_moved_later_is_kept_until_its_new_end,
    after_three_days_of_downtime_one_run_purges_all_that_is_over,
);

/// Nothing is left of any appointment: no booking, pointer, ledger day or entry that watches one.
async fn assert_all_purged(contoso: &Contoso) -> TestResult {
    for table in [Table::Bookings, Table::Appointments] {
        assert_eq!(contoso.count(table).await?, 0, "{table:?}");
    }
    let days = contoso.rows(Table::Rooms).await?;
    assert!(
        days.iter().all(|row| row.key.partition.ends_with("_map")),
        "the map stays, the ledger is removed"
    );
    let due = contoso.rows(Table::Due).await?;
    assert!(due.iter().all(|row| row.key.partition.starts_with("renew")), "{due:?}");
    Ok(())
}

/// What a run costs that forgets one booking while so many others are stored for later.
async fn purge_cost(later: i64) -> Result<(usize, usize), TestError> {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, aurora, world, .. } = &contoso;
    let book = |organizer: &Mailbox, start| {
        tenant.meet(organizer, Invitation::new("Numbers", start, start + hours(1)).room(aurora))
    };
    for n in 0..later {
        book(anna, at("2026-11-28T00:00") + hours(n))?;
    }
    book(anna, at("09:00"))?;
    contoso.run_for(minutes(15)).await;
    let stored = contoso.count(Table::Bookings).await?;
    world.clock.set(at("10:05"));
    world.table_faults.reset();
    world.host.run_timer("purge-expired").await?;
    let calls = world.table_faults.count();
    assert_eq!(contoso.count(Table::Bookings).await?, stored - 1);
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, []);
    contoso.assert_healthy().await?;
    Ok((stored, calls))
}

#[tokio::test]
async fn a_run_reads_what_is_due_and_not_what_is_stored() -> TestResult {
    let ((one, alone), (many, among)) = (purge_cost(0).await?, purge_cost(200).await?);
    assert_eq!((one, many), (1, 201));
    assert_eq!(alone, among, "as many calls of the tables with 200 others as with none");
    Ok(())
}

async fn a_meeting_that_was_moved_later_is_kept_until_its_new_end(contoso: Contoso) -> TestResult {
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    meeting.move_to(at("15:00"), at("16:00"))?;
    contoso.run_for(minutes(2)).await;
    world.clock.set(at("10:05"));
    contoso.run_for(minutes(15)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    assert_eq!(contoso.appointment_count(anna).await?, 1);
    world.clock.set(at("15:55"));
    contoso.run_for(minutes(4)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 1, "it is not over");
    contoso.run_for(minutes(20)).await;
    assert_all_purged(&contoso).await?;
    contoso.assert_healthy().await
}

#[tokio::test]
async fn what_is_left_of_a_cancelled_and_a_refused_meeting_is_forgotten_with_the_day() -> TestResult
{
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, world, .. } = &contoso;
    let cancelled = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.meet(anna, ("10:00", "11:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    let refused = contoso.meet(cleo, ("10:30", "11:30"), aurora)?;
    cancelled.cancel()?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(refused.response_of(aurora), Some(Response::Declined));
    assert_eq!(contoso.count(Table::Bookings).await?, 3);
    world.clock.set(at("11:25"));
    contoso.run_for(minutes(30)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 2, "their times are not known any more");
    world.clock.set(at("23:55"));
    contoso.run_for(minutes(30)).await;
    assert_all_purged(&contoso).await?;
    contoso.assert_healthy().await
}

async fn after_three_days_of_downtime_one_run_purges_all_that_is_over(
    contoso: Contoso,
) -> TestResult {
    let Contoso { anna, aurora, borealis, world, .. } = &contoso;
    for day in ["2026-11-24", "2026-11-25", "2026-11-26"] {
        let (start, end) = (format!("{day}T23:30"), format!("{day}T23:45"));
        for room in [aurora, borealis] {
            contoso.meet(anna, (&start, &end), room)?;
        }
    }
    let stays = contoso.meet(anna, ("2026-11-28T09:00", "2026-11-28T10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 7);
    world.clock.set(at("2026-11-26T23:46"));
    world.host.run_timer("purge-expired").await?;
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    stays.cancel()?;
    world.clock.set(at("2026-11-28T10:01"));
    contoso.run_for(minutes(30)).await;
    assert_all_purged(&contoso).await
}

fn deps(contoso: &Contoso) -> Deps {
    let store = || Arc::clone(&contoso.world.raw_tables);
    Deps {
        bookings: Bookings::new(store()),
        appointments: Appointments::new(store()),
        claims: LedgerClaims::new(Ledger::new(store()), Arc::clone(&contoso.world.rng)),
        due: DueEntries::new(store()),
        tenants: Tenants::new(store(), Arc::new(contoso.world.clock.clone())),
        failures: Failures::new(store()),
        audit: Audit::new(store()),
        register: Register::new(store()),
        clock: Arc::new(contoso.world.clock.clone()),
    }
}

#[tokio::test]
async fn a_run_out_of_time_stops_and_the_next_one_continues() -> TestResult {
    let contoso = Contoso::open().await?;
    let (tenant, room) = (contoso.tenant_id()?, room_id(&contoso.aurora)?);
    let due = DueEntries::new(Arc::clone(&contoso.world.raw_tables));
    for n in 0..600 {
        let key = BookingKey { tenant, appointment: Digest(n), original_start: None, room };
        let entry = DueEntry::new(DuePurpose::Purge, contoso.now(), DueSubject::Booking(key));
        due.upsert(&entry).await?;
    }
    let no_time = contoso.now();
    let first = purge_expired::run(&deps(&contoso), no_time).await?;
    assert_eq!(first, PurgeSummary { skipped: 500, ..PurgeSummary::default() });
    let second = purge_expired::run(&deps(&contoso), no_time).await?;
    assert_eq!(second, PurgeSummary { skipped: 100, ..PurgeSummary::default() });
    Ok(())
}

#[tokio::test]
async fn rows_that_could_not_be_deleted_are_deleted_by_the_next_run() -> TestResult {
    // The scan, the booking, its ledger day (read and written), two pointers, the booking itself.
    for call in 1..=7 {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(2)).await;
        world.clock.set(at("10:05"));
        world.table_faults.reset();
        world.table_faults.fail_call(call, world::fault_injection::Fault::Before);
        world.host.run_timer("purge-expired").await?;
        world.host.run_timer("purge-expired").await?;
        contoso.run_for(minutes(40)).await;
        assert_all_purged(&contoso).await?;
        contoso.assert_healthy().await?;
    }
    Ok(())
}
