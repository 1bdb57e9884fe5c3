//! How everything about an appointment is forgotten once it is over, and nothing before.

use std::sync::Arc;

use roombridge::booking::Claims;
use roombridge::domain::keys::{BookingKey, Digest};
use roombridge::jobs::purge_expired::{self, Deps, Purged};
use roombridge::store::appointments::Appointments;
use roombridge::store::audit::Audit;
use roombridge::store::bookings::Bookings;
use roombridge::store::due::{Due, DueEntry, Purpose, Subject};
use roombridge::store::failures::Failures;
use roombridge::store::ledger::Ledger;
use roombridge::store::register::Register;
use roombridge::store::tables::Table;
use roombridge::store::tenants::Tenants;
use world::exchange::{Invitation, Mailbox, Response};

use crate::contoso::{Contoso, at, hours, minutes, on_both, room_id};
use crate::{Failure, Outcome};

on_both!(
    a_meeting_that_was_moved_later_is_kept_until_its_new_end,
    after_three_days_of_standstill_one_run_forgets_all_that_is_over,
);

/// Nothing is left of any appointment: no booking, pointer, ledger day or entry that watches one.
async fn all_is_forgotten(contoso: &Contoso) -> Outcome {
    for table in [Table::Bookings, Table::Appointments] {
        assert_eq!(contoso.count(table).await?, 0, "{table:?}");
    }
    let days = contoso.rows(Table::Rooms).await?;
    assert!(
        days.iter().all(|row| row.keys.partition.ends_with("_map")),
        "the map stays, the ledger goes"
    );
    let due = contoso.rows(Table::Due).await?;
    assert!(due.iter().all(|row| row.keys.partition.starts_with("renew")), "{due:?}");
    Ok(())
}

/// What a run costs that forgets one booking while so many others are stored for later.
async fn cost(later: i64) -> Result<(usize, usize), Failure> {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, aurora, office, .. } = &contoso;
    let book = |organizer: &Mailbox, start| {
        tenant.meet(organizer, Invitation::new("Numbers", start, start + hours(1)).room(aurora))
    };
    for n in 0..later {
        book(anna, at("2026-11-28T00:00") + hours(n))?;
    }
    book(anna, at("09:00"))?;
    contoso.pass(minutes(15)).await;
    let stored = contoso.count(Table::Bookings).await?;
    office.clock.set(at("10:05"));
    office.tables.reset();
    office.host.run_timer("purge-expired").await?;
    let calls = office.tables.count();
    assert_eq!(contoso.count(Table::Bookings).await?, stored - 1);
    assert_eq!(contoso.taken(aurora, "2026-11-24").await?, []);
    contoso.is_well().await?;
    Ok((stored, calls))
}

#[tokio::test]
async fn a_run_reads_what_is_due_and_not_what_is_stored() -> Outcome {
    let ((one, alone), (many, among)) = (cost(0).await?, cost(200).await?);
    assert_eq!((one, many), (1, 201));
    assert_eq!(alone, among, "as many calls of the tables with 200 others as with none");
    Ok(())
}

async fn a_meeting_that_was_moved_later_is_kept_until_its_new_end(contoso: Contoso) -> Outcome {
    let Contoso { anna, aurora, office, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    meeting.move_to(at("15:00"), at("16:00"))?;
    contoso.pass(minutes(2)).await;
    office.clock.set(at("10:05"));
    contoso.pass(minutes(15)).await;
    assert_eq!(contoso.taken(aurora, "2026-11-24").await?.len(), 1);
    assert_eq!(contoso.pointers(anna).await?, 1);
    office.clock.set(at("15:55"));
    contoso.pass(minutes(4)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 1, "it is not over");
    contoso.pass(minutes(20)).await;
    all_is_forgotten(&contoso).await?;
    contoso.is_well().await
}

#[tokio::test]
async fn a_cancelled_and_a_refused_meeting_are_forgotten_like_any_other() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, office, .. } = &contoso;
    let cancelled = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.meet(anna, ("10:00", "11:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    let refused = contoso.meet(cleo, ("10:30", "11:30"), aurora)?;
    cancelled.cancel()?;
    contoso.pass(minutes(2)).await;
    assert_eq!(refused.answer_of(aurora), Some(Response::Declined));
    assert_eq!(contoso.count(Table::Bookings).await?, 3);
    office.clock.set(at("11:25"));
    contoso.pass(minutes(30)).await;
    all_is_forgotten(&contoso).await?;
    contoso.is_well().await
}

async fn after_three_days_of_standstill_one_run_forgets_all_that_is_over(
    contoso: Contoso,
) -> Outcome {
    let Contoso { anna, aurora, borealis, office, .. } = &contoso;
    for day in ["2026-11-24", "2026-11-25", "2026-11-26"] {
        let (start, end) = (format!("{day}T23:30"), format!("{day}T23:45"));
        for room in [aurora, borealis] {
            contoso.meet(anna, (&start, &end), room)?;
        }
    }
    let stays = contoso.meet(anna, ("2026-11-28T09:00", "2026-11-28T10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 7);
    office.clock.set(at("2026-11-26T23:46"));
    office.host.run_timer("purge-expired").await?;
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    stays.cancel()?;
    office.clock.set(at("2026-11-28T10:01"));
    contoso.pass(minutes(30)).await;
    all_is_forgotten(&contoso).await
}

fn deps(contoso: &Contoso) -> Deps {
    let store = || Arc::clone(&contoso.office.store);
    Deps {
        bookings: Bookings::new(store()),
        appointments: Appointments::new(store()),
        claims: Claims::new(Ledger::new(store()), Arc::clone(&contoso.office.rng)),
        due: Due::new(store()),
        tenants: Tenants::new(store(), Arc::new(contoso.office.clock.clone())),
        failures: Failures::new(store()),
        audit: Audit::new(store()),
        register: Register::new(store()),
        clock: Arc::new(contoso.office.clock.clone()),
    }
}

#[tokio::test]
async fn a_run_that_has_no_more_time_stops_and_the_next_goes_on() -> Outcome {
    let contoso = Contoso::open().await?;
    let (tenant, room) = (contoso.tenant_id()?, room_id(&contoso.aurora)?);
    let due = Due::new(Arc::clone(&contoso.office.store));
    for n in 0..600 {
        let key = BookingKey { tenant, appointment: Digest(n), original_start: None, room };
        let entry = DueEntry::new(Purpose::Purge, contoso.now(), Subject::Booking(key));
        due.put(&entry).await?;
    }
    let no_time = contoso.now();
    let first = purge_expired::run(&deps(&contoso), no_time).await?;
    assert_eq!(first, Purged { passed_over: 500, ..Purged::default() });
    let second = purge_expired::run(&deps(&contoso), no_time).await?;
    assert_eq!(second, Purged { passed_over: 100, ..Purged::default() });
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_deleted_is_deleted_by_the_next_run() -> Outcome {
    // The scan, the booking, its ledger day (read and written), two pointers, the booking itself.
    for call in 1..=7 {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, office, .. } = &contoso;
        contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.pass(minutes(2)).await;
        office.clock.set(at("10:05"));
        office.tables.reset();
        office.tables.fail_call(call, world::watched::Fault::Before);
        office.host.run_timer("purge-expired").await?;
        office.host.run_timer("purge-expired").await?;
        contoso.pass(minutes(40)).await;
        all_is_forgotten(&contoso).await?;
        contoso.is_well().await?;
    }
    Ok(())
}
