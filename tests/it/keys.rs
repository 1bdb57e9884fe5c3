//! Keys over the months: made when the first tenant wants content, followed on schedule, destroyed
//! when nothing names them any more, and never delaying other work.

use std::sync::Arc;

use roombridge::base::clock::Clock;
use roombridge::domain::ids::TenantId;
use roombridge::identity::keys::KeyRing;
use roombridge::identity::keys::content_keys::ContentKeys;
use roombridge::jobs::dispatch_due::Deps;
use roombridge::store::due::DueEntries;
use roombridge::store::failures::Failures;
use roombridge::store::tables::Tables;
use roombridge::store::tenants::Tenants;
use world::memory::MemoryKeys;
use world::test_world::TestWorld;

use crate::contoso::{Contoso, hours, minutes};
use crate::{TestError, TestResult};

/// What the timer works with when a test calls it by hand: these tables, this clock, and keys of
/// its own.
pub(crate) fn dispatch_deps(
    world: &TestWorld,
    tables: &Arc<dyn Tables>,
    clock: Arc<dyn Clock>,
) -> Deps {
    let ring = || Arc::new(KeyRing::new(Box::new(MemoryKeys::default()), Arc::clone(&clock)));
    let content = ContentKeys::new(Box::new(world.content_keys.clone()), Arc::clone(&clock));
    Deps {
        due: DueEntries::new(Arc::clone(tables)),
        tenants: Tenants::new(Arc::clone(tables), Arc::clone(&clock)),
        failures: Failures::new(Arc::clone(tables)),
        outbox: Arc::clone(&world.raw_outbox),
        client_state_keys: ring(),
        cookie_keys: ring(),
        content_keys: Arc::new(content),
        content_key_max_age: hours(30 * 24),
        clock,
        rng: Arc::clone(&world.rng),
    }
}

/// Whether the tenant's notifications are to bring content, from now on.
pub(crate) async fn set_rich_policy(contoso: &Contoso, rich: bool) -> Result<(), TestError> {
    let world = &contoso.world;
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let tenants = Tenants::new(Arc::clone(&world.raw_tables), clock);
    let id: TenantId = contoso.tenant.id().parse()?;
    let (mut tenant, etag) = tenants.get_with_etag(id).await?.ok_or("the tenant is there")?;
    tenant.policy.rich_notifications = rich;
    tenants.replace(&tenant, &etag).await?;
    Ok(())
}

/// Moves the clock to the next run of the timer after `time`, and runs it.
async fn run_timer_after(contoso: &Contoso, time: jiff::SignedDuration) {
    contoso.world.clock.set(contoso.now() + time);
    contoso.world.host.run_due_timers().await;
}

#[tokio::test]
async fn content_keys_come_and_go_on_schedule() -> TestResult {
    let contoso = Contoso::open().await?;
    let keys = &contoso.world.content_keys;
    run_timer_after(&contoso, minutes(6)).await;
    assert_eq!(keys.ids(), [], "nobody wants content");
    set_rich_policy(&contoso, true).await?;
    run_timer_after(&contoso, minutes(6)).await;
    let first = keys.ids();
    assert_eq!(first.len(), 1);
    for _ in 0..3 {
        run_timer_after(&contoso, hours(7 * 24)).await;
        assert_eq!(keys.ids(), first);
    }
    run_timer_after(&contoso, hours(9 * 24)).await;
    let both = keys.ids();
    assert_eq!((both.len(), &both[0]), (2, &first[0]), "the old one still opens");
    run_timer_after(&contoso, hours(47)).await;
    assert_eq!(keys.ids(), both);
    run_timer_after(&contoso, hours(1)).await;
    assert_eq!(keys.ids(), both[1..], "no subscription names the old one any more");
    Ok(())
}

#[tokio::test]
async fn a_vault_that_cannot_be_written_stops_no_timer() -> TestResult {
    let contoso = Contoso::open().await?;
    let keys = &contoso.world.content_keys;
    set_rich_policy(&contoso, true).await?;
    keys.set_read_only(true);
    run_timer_after(&contoso, minutes(6)).await;
    assert_eq!(keys.ids(), []);
    keys.set_outage(true);
    run_timer_after(&contoso, minutes(6)).await;
    keys.set_read_only(false);
    keys.set_outage(false);
    run_timer_after(&contoso, minutes(6)).await;
    assert_eq!(keys.ids().len(), 1, "the next run makes up for it");
    contoso.assert_healthy().await
}
