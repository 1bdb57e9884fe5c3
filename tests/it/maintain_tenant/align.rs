//! How a changed policy reaches every mailbox.

use std::collections::BTreeSet;

use roombridge::base::clock::{Clock, ManualClock};
use roombridge::domain::decision::{How, What};
use roombridge::domain::ids::MailboxId;
use roombridge::domain::tenancy::{ConsentMode, SuspendedBecause, Suspension, TenantState};
use roombridge::jobs::dispatch_due::{self, Deps, Nudged};
use roombridge::messages::{Task, TenantWork};
use roombridge::queue::Queue;
use roombridge::queue::memory::Shelf;
use roombridge::store::due::Due;
use roombridge::store::failures::Failures;
use roombridge::store::mailboxes::{Consent, Farewell, MailboxState, Mailboxes};
use roombridge::store::tables::Table;
use roombridge::store::tenants::Tenants;
use world::exchange::{Mailbox, Response};

use super::{ADMINISTRATOR, connected};
use crate::contoso::{Contoso, at, hours, minutes, on_both};
use crate::keys::keys_of;
use crate::{Failure, Outcome};

on_both!(
    who_is_excluded_is_not_followed_until_the_exclusion_ends,
    where_the_organisation_agrees_everybody_in_scope_is_found,
);

const ACTIVE: MailboxState = MailboxState::Active;
const PAUSED: MailboxState = MailboxState::Paused;

fn id(mailbox: &Mailbox) -> Result<MailboxId, Failure> {
    Ok(mailbox.id().parse()?)
}

/// Each is followed, or not, as the row says and as Graph has it.
async fn followed(contoso: &Contoso, expected: &[(&Mailbox, MailboxState)]) -> Outcome {
    for (mailbox, state) in expected {
        assert_eq!(contoso.state_of(mailbox).await?, *state);
        let subscriptions = usize::from(state.is_active());
        assert_eq!(contoso.subscriptions(mailbox), subscriptions, "{state:?}");
    }
    contoso.is_well().await
}

async fn who_is_excluded_is_not_followed_until_the_exclusion_ends(contoso: Contoso) -> Outcome {
    let Contoso { anna, cleo, aurora, borealis, .. } = &contoso;
    let excluded: BTreeSet<_> = [id(anna)?, id(aurora)?].into();
    contoso.allow(|policy| policy.excluded = excluded).await?;
    contoso.pass(minutes(1)).await;
    let expected = [(anna, PAUSED), (aurora, PAUSED), (cleo, ACTIVE), (borealis, ACTIVE)];
    followed(&contoso, &expected).await?;

    contoso.allow(|policy| policy.excluded.clear()).await?;
    contoso.pass(minutes(1)).await;
    followed(&contoso, &expected.map(|(mailbox, _)| (mailbox, ACTIVE))).await?;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    contoso.is_well().await
}

#[tokio::test]
async fn only_members_of_the_scope_group_are_followed_and_each_is_asked_for_once() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, cleo, aurora, office, tenant, .. } = &contoso;
    let entra = &office.microsoft.entra;
    let (staff, team) = (entra.add_group(tenant.id()), entra.add_group(tenant.id()));
    entra.add_member(tenant.id(), &staff, &team);
    entra.add_member(tenant.id(), &team, anna.id());
    let group = staff.parse()?;
    contoso.allow(|policy| policy.scope_group = Some(group)).await?;
    office.microsoft.graph.clear_requests();
    contoso.pass(minutes(1)).await;
    followed(&contoso, &[(anna, ACTIVE), (cleo, PAUSED), (aurora, ACTIVE)]).await?;
    assert_eq!(contoso.asked("POST", "/users/{id}/checkMemberGroups").len(), 2, "Anna and Cleo");
    assert!(contoso.mailbox(ben).await.is_err(), "who has not agreed is not asked about");

    // Nobody is told when a group changes; the next pass sees it.
    entra.add_member(tenant.id(), &staff, cleo.id());
    entra.remove_member(tenant.id(), &team, anna.id());
    contoso.ask(TenantWork::Align { from: None }).await?;
    contoso.pass(minutes(1)).await;
    followed(&contoso, &[(anna, PAUSED), (cleo, ACTIVE)]).await?;
    let nowhere = roombridge::domain::ids::GroupId(uuid::Uuid::from_u128(7));
    contoso.allow(|policy| policy.scope_group = Some(nowhere)).await?;
    contoso.pass(minutes(1)).await;
    followed(&contoso, &[(anna, PAUSED), (cleo, PAUSED), (aurora, ACTIVE)]).await
}

#[tokio::test]
async fn rooms_are_followed_where_the_tenant_wants_that_and_they_are_managed() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, borealis, office, .. } = &contoso;
    contoso.allow(|policy| policy.rooms_subscribed = false).await?;
    contoso.pass(minutes(1)).await;
    followed(&contoso, &[(anna, ACTIVE), (aurora, PAUSED), (borealis, PAUSED)]).await?;
    let clock = std::sync::Arc::new(office.clock.clone());
    let rooms = roombridge::store::rooms::RoomMap::new(std::sync::Arc::clone(&office.store), clock);
    rooms.remove(contoso.tenant_id()?, crate::contoso::room_id(borealis)?).await?;
    contoso.allow(|policy| policy.rooms_subscribed = true).await?;
    contoso.pass(minutes(1)).await;
    followed(&contoso, &[(anna, ACTIVE), (aurora, ACTIVE), (borealis, PAUSED)]).await
}

async fn where_the_organisation_agrees_everybody_in_scope_is_found(contoso: Contoso) -> Outcome {
    let Contoso { anna, ben, cleo, aurora, office, tenant, .. } = &contoso;
    let entra = &office.microsoft.entra;
    let staff = entra.add_group(tenant.id());
    for person in [anna, ben, aurora] {
        entra.add_member(tenant.id(), &staff, person.id());
    }
    // More than a page of others, who are out of bounds.
    let mut excluded = BTreeSet::new();
    for n in 0..1_500 {
        let other = entra.add_user(tenant.id(), "Somebody", &format!("p{n}@contoso.example"));
        entra.add_member(tenant.id(), &staff, &other);
        excluded.insert(other.parse()?);
    }
    let (group, by) = (staff.parse()?, connected(&contoso));
    office.microsoft.graph.clear_requests();
    contoso
        .decide(TenantWork::Align { from: None }, |tenant| {
            tenant.connected = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
            tenant.policy.scope_group = Some(group);
            tenant.policy.excluded = excluded;
        })
        .await?;
    contoso.pass(minutes(2)).await;
    followed(&contoso, &[(anna, ACTIVE), (ben, ACTIVE), (cleo, PAUSED), (aurora, ACTIVE)]).await?;
    assert_eq!(contoso.count(Table::Mailboxes).await?, 5, "nobody who is excluded has a row");
    let lists = "/groups/{id}/transitiveMembers/microsoft.graph.user";
    assert_eq!(contoso.asked("GET", lists).len(), 2, "999 people a call");
    let asked = contoso.asked("POST", "/users/{id}/checkMemberGroups").len();
    assert_eq!(asked, 1, "only about Cleo, who is not on the list");

    let consent = contoso.mailbox(ben).await?.consent.ok_or("no consent")?;
    assert_eq!((consent.by, consent.how), (ADMINISTRATOR, How::Organisation));
    let register = contoso.register().await?;
    let agreed: Vec<_> =
        register.iter().filter(|entry| entry.about == Some(consent_of(ben))).collect();
    let what = What::Agreed { how: How::Organisation, text_version: "2026-11".to_owned() };
    assert_eq!(agreed.len(), 1);
    assert_eq!((&agreed[0].what, agreed[0].by), (&what, Some(ADMINISTRATOR)));
    assert_eq!(contoso.mailbox(anna).await?.consent.map(|own| own.how), Some(How::Own));
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.outcome(&meeting, ben, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn who_joins_or_leaves_without_a_word_is_noticed_within_a_day() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, cleo, office, tenant, .. } = &contoso;
    let entra = &office.microsoft.entra;
    let staff = entra.add_group(tenant.id());
    for person in [anna, cleo] {
        entra.add_member(tenant.id(), &staff, person.id());
    }
    let (group, by) = (staff.parse()?, connected(&contoso));
    let organisation = TenantWork::Align { from: None };
    contoso
        .decide(organisation, |tenant| {
            tenant.connected = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
            tenant.policy.scope_group = Some(group);
        })
        .await?;
    contoso.pass(minutes(2)).await;
    followed(&contoso, &[(anna, ACTIVE), (cleo, ACTIVE)]).await?;

    entra.remove_member(tenant.id(), &staff, cleo.id());
    entra.add_member(tenant.id(), &staff, ben.id());
    contoso.pass(hours(24)).await;
    followed(&contoso, &[(anna, ACTIVE), (ben, ACTIVE), (cleo, PAUSED)]).await?;

    // Several times in the same quiet hour: it is decided once.
    let dora = tenant.person("Dora");
    entra.add_member(tenant.id(), &staff, dora.id());
    let night = at("2026-11-26T02:01");
    office.clock.set(night);
    for _ in 0..2 {
        assert_eq!(nudged(&contoso, night).await?.aligned, 1);
    }
    contoso.pass(hours(2)).await;
    followed(&contoso, &[(anna, ACTIVE), (ben, ACTIVE), (cleo, PAUSED), (&dora, ACTIVE)]).await?;
    let register = contoso.register().await?;
    let about_dora = register.iter().filter(|entry| entry.about == Some(consent_of(&dora)));
    assert_eq!(about_dora.count(), 1);
    Ok(())
}

#[tokio::test]
async fn every_tenant_is_looked_at_once_a_night() -> Outcome {
    let contoso = Contoso::open().await?;
    let night = at("2026-11-25T02:01");
    for (time, sent) in [
        ("2026-11-25T01:59", 0),
        ("2026-11-25T02:00", 1),
        ("2026-11-25T02:04", 1),
        ("2026-11-25T02:05", 0),
        ("2026-11-25T14:01", 0),
    ] {
        assert_eq!(nudged(&contoso, at(time)).await?.aligned, sent, "{time}");
    }
    let since = contoso.now();
    let suspension = Suspension { since, reason: SuspendedBecause::TokenRefused };
    contoso
        .decide(TenantWork::Check, |tenant| tenant.state = TenantState::Suspended(suspension))
        .await?;
    assert_eq!(nudged(&contoso, night).await?.aligned, 0, "there is nobody to ask");
    Ok(())
}

#[tokio::test]
async fn a_tenant_whose_leaving_was_lost_leaves_in_the_night() -> Outcome {
    let contoso = Contoso::open().await?;
    contoso.decide(TenantWork::Leave, |tenant| tenant.state = TenantState::Leaving).await?;
    let (outbox, shelf) = (&contoso.office.outbox, Shelf::Main(Queue::TenantTasks));
    let lost = outbox.receive(shelf, 1, std::time::Duration::ZERO).pop().ok_or("it was sent")?;
    outbox.delete(shelf, &lost.receipt);
    contoso.pass(hours(48)).await;
    let left = matches!(contoso.row().await?.state, TenantState::Left(_));
    assert!(left, "{:?}", contoso.row().await?.state);
    Ok(())
}

#[tokio::test]
async fn who_has_no_calendar_is_tried_once_a_day_and_is_no_failure() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, office, tenant, .. } = &contoso;
    let account = office.microsoft.entra.add_user(tenant.id(), "Scanner", "scan@contoso.example");
    let by = connected(&contoso);
    contoso
        .decide(TenantWork::Align { from: None }, |tenant| {
            tenant.connected = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
        })
        .await?;
    contoso.pass(minutes(30)).await;
    followed(&contoso, &[(ben, ACTIVE)]).await?;
    let mailboxes = Mailboxes::new(std::sync::Arc::clone(&office.store));
    let found = mailboxes.get(contoso.tenant_id()?, account.parse()?).await?;
    let (row, _) = found.ok_or("enrolled like everybody")?;
    assert_eq!((row.state, row.subscription, row.polled), (ACTIVE, None, None));
    let due = contoso.rows(Table::Due).await?;
    assert!(!due.iter().any(|row| row.keys.row.ends_with(&account)), "nothing watches it");

    office.microsoft.graph.clear_requests();
    contoso.pass(hours(3 * 24)).await;
    let tried: Vec<u16> =
        contoso.asked("POST", "/subscriptions").iter().map(|seen| seen.status).collect();
    assert_eq!(tried, [404; 3]);
    contoso.is_well().await
}

#[tokio::test]
async fn a_calendar_that_goes_is_a_failure_only_to_who_agreed_by_themselves() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, office, .. } = &contoso;
    office.seeding().agree(ben).await?;
    contoso.pass(minutes(2)).await;
    for (person, how, failures) in [(ben, How::Organisation, 0), (anna, How::Own, 1)] {
        let mailboxes = Mailboxes::new(std::sync::Arc::clone(&office.store));
        let (tenant, person_id) = (contoso.tenant_id()?, id(person)?);
        let (mut row, etag) = mailboxes.get(tenant, person_id).await?.ok_or("a row")?;
        row.consent = row.consent.map(|consent| Consent { how, ..consent });
        mailboxes.replace(&row, &etag).await?;
        let lost = office.microsoft.graph.subscriptions();
        let lost = lost.iter().find(|own| own.mailbox == person.id()).ok_or("subscribed")?;
        person.delete_mailbox();
        office.microsoft.graph.drop_subscription(&lost.id);
        office.seeding().task(person, Task::Removed).await?;
        contoso.pass(hours(12)).await;
        assert_eq!(contoso.failures().await?.len(), failures, "{how:?}");
        assert_eq!(contoso.mailbox(person).await?.subscription, None);
    }
    Ok(())
}

/// The timer of `dispatch-due` at that instant.
async fn nudged(contoso: &Contoso, now: jiff::Timestamp) -> Result<Nudged, Failure> {
    let office = &contoso.office;
    let store = || std::sync::Arc::clone(&office.store);
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(ManualClock::new(now));
    let deps = Deps {
        due: Due::new(store()),
        tenants: Tenants::new(store(), std::sync::Arc::clone(&clock)),
        failures: Failures::new(store()),
        outbox: office.sends.clone(),
        keys: keys_of(office, &clock),
        clock,
        rng: office.rng.clone(),
    };
    Ok(dispatch_due::run(&deps, now + minutes(5)).await?)
}

#[expect(clippy::expect_used, reason = "the simulated world gives ids that are ids")]
fn consent_of(mailbox: &Mailbox) -> MailboxId {
    id(mailbox).expect("an id")
}

#[tokio::test]
async fn the_organisation_agrees_for_nobody_who_has_said_no() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, cleo, office, .. } = &contoso;
    let by = connected(&contoso);
    let organisation = TenantWork::Align { from: None };
    contoso
        .decide(organisation, |tenant| {
            tenant.connected = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
        })
        .await?;
    contoso.pass(minutes(2)).await;
    followed(&contoso, &[(anna, ACTIVE), (ben, ACTIVE), (cleo, ACTIVE)]).await?;

    // Anna says no, and long afterwards nothing but the register remembers it.
    let (tenant, at, about) = (contoso.tenant_id()?, contoso.now(), Some(id(anna)?));
    let what = What::Erased { released: false };
    let no = roombridge::domain::decision::Decision { tenant, at, by: about, about, what };
    let store = || std::sync::Arc::clone(&office.store);
    roombridge::store::register::Register::new(store()).add(&no).await?;
    office.seeding().withdraw(anna).await?;
    contoso.pass(minutes(1)).await;
    Mailboxes::new(store()).remove(tenant, id(anna)?).await?;

    // Each must agree again: whom only the organisation had agreed for is let go.
    contoso.allow(|policy| policy.consent = ConsentMode::OptIn).await?;
    contoso.pass(minutes(1)).await;
    let withdrawn = MailboxState::Withdrawn(Farewell::Anonymous);
    followed(&contoso, &[(ben, withdrawn), (cleo, ACTIVE)]).await?;
    let register = contoso.register().await?;
    let last = register.iter().rev().find(|entry| entry.about == Some(consent_of(ben)));
    let last = last.ok_or("nothing about Ben")?;
    assert_eq!((last.by, &last.what), (None, &What::Withdrew { released: false }));

    contoso.allow(|policy| policy.consent = ConsentMode::Organisation).await?;
    contoso.pass(minutes(1)).await;
    followed(&contoso, &[(ben, ACTIVE), (cleo, ACTIVE)]).await?;
    assert!(contoso.mailbox(anna).await.is_err(), "Anna is not brought back");
    assert_eq!(contoso.subscriptions(anna), 0);
    Ok(())
}
