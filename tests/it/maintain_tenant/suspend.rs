//! How it is noticed that access is lost, what is not taken for that, and what goes on meanwhile.

use roombridge::domain::decision::What;
use roombridge::domain::policy::Registration;
use roombridge::domain::tenancy::{SuspendedBecause, TenantState};
use roombridge::messages::{Task, TenantWork};
use roombridge::store::tables::Table;
use world::microsoft::{DAEMON_APP, SCOPED_APP};

use crate::contoso::{Contoso, hours, minutes, on_both, seconds};
use crate::{Failure, Outcome};

on_both!(an_app_that_was_removed_is_noticed_by_the_first_item_that_is_refused);

const DIRECTORY: [&str; 3] = ["User.ReadBasic.All", "GroupMember.Read.All", "Place.Read.All"];

/// Why Contoso is suspended, as its row and its register say alike.
async fn reason(contoso: &Contoso) -> Result<Option<SuspendedBecause>, Failure> {
    let suspension = match contoso.row().await?.state {
        TenantState::Suspended(suspension) => Some(suspension),
        TenantState::Active | TenantState::Leaving | TenantState::Left(_) => None,
    };
    let register = contoso.register().await?;
    let mut entries =
        register.iter().filter(|decision| matches!(decision.what, What::Suspended(_)));
    let entry = entries.next();
    assert_eq!(entries.next(), None, "it is written down once");
    assert_eq!(entry.map(|entry| entry.at), suspension.map(|suspension| suspension.since));
    let reason = suspension.map(|suspension| suspension.reason);
    assert_eq!(entry.map(|entry| entry.what.clone()), reason.map(What::Suspended));
    Ok(reason)
}

async fn an_app_that_was_removed_is_noticed_by_the_first_item_that_is_refused(
    contoso: Contoso,
) -> Outcome {
    let Contoso { anna, office, tenant, .. } = &contoso;
    office.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
    office.seeding().task(anna, Task::Resync).await?;
    office.settle().await;
    // Nothing but what was there at this instant has run.
    assert_eq!(reason(&contoso).await?, Some(SuspendedBecause::TokenRefused));
    contoso.pass(hours(25)).await;
    assert_eq!(reason(&contoso).await?, Some(SuspendedBecause::TokenRefused));
    contoso.is_well().await
}

#[tokio::test]
async fn permissions_that_were_taken_away_are_noticed_too() -> Outcome {
    for (roles, because) in [
        (&[][..], SuspendedBecause::CallRefused),
        (&DIRECTORY[..], SuspendedBecause::CalendarsMissing),
        (&[&DIRECTORY[..], &["Calendars.Read"]].concat(), SuspendedBecause::CalendarsMissing),
    ] {
        let contoso = Contoso::open().await?;
        contoso.office.microsoft.entra.consent(contoso.tenant.id(), DAEMON_APP, roles);
        contoso.ask(TenantWork::Check).await?;
        contoso.pass(minutes(1)).await;
        assert_eq!(reason(&contoso).await?, Some(because));
        contoso.is_well().await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_mailbox_that_is_out_of_scope_suspends_nobody() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, cleo, aurora, borealis, office, tenant, .. } = &contoso;
    let microsoft = &office.microsoft;
    microsoft.entra.consent_to_all(tenant.id(), SCOPED_APP);
    let scope = [anna, cleo, aurora, borealis];
    microsoft.graph.grant_in_exchange(tenant.id(), SCOPED_APP, true, true, &scope);
    contoso
        .decide(TenantWork::Connect, |tenant| tenant.registration = Registration::Scoped)
        .await?;
    contoso.pass(minutes(3)).await;
    office.seeding().agree(ben).await?;
    contoso.pass(minutes(20)).await;
    assert_eq!(reason(&contoso).await?, None);
    assert!(contoso.row().await?.checked_at.is_some(), "it was looked at");
    for mailbox in scope {
        assert_eq!(contoso.subscriptions(mailbox), 1, "made anew by the other registration");
    }
    assert_eq!(contoso.subscriptions(ben), 0);
    contoso.is_well().await
}

#[tokio::test]
async fn what_passes_is_no_loss_of_access() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { office, .. } = &contoso;
    office.microsoft.entra.set_outage(true);
    contoso.ask(TenantWork::Check).await?;
    contoso.pass(minutes(10)).await;
    assert_eq!(reason(&contoso).await?, None);
    assert_eq!(contoso.row().await?.checked_at, None, "nobody could tell");
    office.microsoft.entra.set_outage(false);
    contoso.pass(minutes(20)).await;
    assert_eq!(reason(&contoso).await?, None);
    assert!(contoso.row().await?.checked_at.is_some());
    contoso.is_well().await
}

#[tokio::test]
async fn a_wave_of_refusals_is_one_look_and_one_more_five_minutes_later() -> Outcome {
    let contoso = Contoso::open().await?;
    contoso.ask(TenantWork::Check).await?;
    contoso.pass(seconds(1)).await;
    contoso.office.microsoft.graph.clear_requests();
    for _ in 0..50 {
        contoso.ask(TenantWork::Check).await?;
    }
    contoso.pass(minutes(4)).await;
    assert_eq!(contoso.asked("GET", "/users"), []);
    contoso.pass(minutes(60)).await;
    let looks = contoso.asked("GET", "/users").len();
    assert!((1..=2).contains(&looks), "{looks}");
    assert_eq!(reason(&contoso).await?, None);
    contoso.is_well().await
}

#[tokio::test]
async fn who_leaves_is_not_suspended() -> Outcome {
    for state in [TenantState::Leaving, TenantState::Left(jiff::Timestamp::UNIX_EPOCH)] {
        let contoso = Contoso::open().await?;
        contoso.office.microsoft.entra.revoke(contoso.tenant.id(), DAEMON_APP);
        contoso.decide(TenantWork::Check, |tenant| tenant.state = state).await?;
        contoso.pass(minutes(1)).await;
        assert_eq!(contoso.row().await?.state, state);
        assert_eq!(reason(&contoso).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_week_of_suspension_is_quiet_and_reconnecting_catches_up() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, borealis, office, tenant, .. } = &contoso;
    let entra = &office.microsoft.entra;
    contoso.pass(minutes(15)).await;
    entra.revoke(tenant.id(), DAEMON_APP);
    // Whatever comes in is refused, by the hundred.
    for day in 24..=28 {
        for hour in 8..18 {
            let slot = |minute| format!("2026-12-{day}T{hour:02}:{minute}");
            contoso.meet(anna, (&slot("00"), &slot("30")), aurora)?;
            contoso.meet(cleo, (&slot("30"), &slot("50")), borealis)?;
        }
    }
    contoso.pass(minutes(10)).await;
    assert_eq!(reason(&contoso).await?, Some(SuspendedBecause::TokenRefused));
    office.microsoft.graph.clear_requests();
    let ran = office.pass(hours(7 * 24)).await;
    assert_eq!(office.microsoft.graph.requests(), [], "nobody is asked for a suspended tenant");
    let workers = ran.functions.iter().filter(|name| {
        !matches!(name.as_str(), "dispatch-due" | "purge-expired" | "notifications")
    });
    let worked = workers.count();
    assert!(worked < 500, "{worked} messages in a week");
    assert_eq!(contoso.count(Table::Failures).await?, 0);
    contoso.is_well().await?;

    entra.consent_to_all(tenant.id(), DAEMON_APP);
    contoso.decide(TenantWork::Connect, |tenant| tenant.state = TenantState::Active).await?;
    contoso.pass(minutes(30)).await;
    for mailbox in [anna, cleo, aurora, borealis] {
        assert_eq!(contoso.subscriptions(mailbox), 1);
    }
    assert_eq!(contoso.count(Table::Bookings).await?, 100, "what was missed is booked");
    let slots = contoso.taken(aurora, "2026-12-24").await?;
    assert_eq!(slots.len(), 10);
    contoso.is_well().await
}
