//! Keys over the months: made when the first tenant wants content, followed on schedule, destroyed
//! when nothing names them any more, and never delaying other work.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, Transport};
use roombridge::base::clock::Clock;
use roombridge::base::http::Http;
use roombridge::domain::ids::TenantId;
use roombridge::identity::keys::content_keys::{ContentKeys, KeyVaultContentKeys};
use roombridge::identity::keys::{DIGEST_KEY_ACTIVATION, DigestKeys, KeyRing};
use roombridge::jobs::dispatch_due::{self, Deps};
use roombridge::store::bookings::Bookings;
use roombridge::store::due::DueEntries;
use roombridge::store::failures::Failures;
use roombridge::store::tables::{Table, Tables};
use roombridge::store::tenants::Tenants;
use world::memory::MemoryKeys;
use world::microsoft::{PROCESS_IDENTITY, VAULT_HOST};
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
        bookings: Bookings::new(Arc::clone(tables)),
        tenants: Tenants::new(Arc::clone(tables), Arc::clone(&clock)),
        failures: Failures::new(Arc::clone(tables)),
        outbox: Arc::clone(&world.raw_outbox),
        client_state_keys: ring(),
        cookie_keys: ring(),
        digest_keys: DigestKeys::new(ring(), Arc::clone(&clock)),
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

/// Carries the calls of an Azure client to the world's network.
struct ToWorld(Arc<dyn Http>);

impl fmt::Debug for ToWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToWorld")
    }
}

#[async_trait]
impl HttpClient for ToWorld {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let failed = || azure_core::Error::with_message(ErrorKind::Io, "the world did not answer");
        let mut sent =
            http::Request::builder().method(request.method().as_str()).uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let body = match request.body() {
            Body::Bytes(bytes) => bytes.clone(),
            Body::SeekableStream(_) => return Err(failed()),
        };
        let answer = self.0.send(sent.body(body).map_err(|_| failed())?).await;
        let (parts, body) = answer.map_err(|_| failed())?.into_parts();
        let mut headers = Headers::new();
        for (name, value) in &parts.headers {
            let value = value.to_str().map_err(|_| failed())?.to_owned();
            headers.insert(name.as_str().to_owned(), value);
        }
        Ok(AsyncRawResponse::from_bytes(parts.status.as_u16().into(), headers, body))
    }
}

/// A vault refuses to purge what it has not finished deleting, so the purge that comes with the
/// deletion achieves nothing; the next daily round does.
#[tokio::test]
async fn a_key_that_the_vault_is_still_deleting_is_purged_by_the_daily_round() -> TestResult {
    let contoso = Contoso::open().await?;
    let world = &contoso.world;
    let vault = &world.microsoft.vault;
    set_rich_policy(&contoso, true).await?;
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let transport = Transport::new(Arc::new(ToWorld(Arc::new(world.microsoft.network.clone()))));
    let credential = world.microsoft.identity.credential(PROCESS_IDENTITY);
    let source = KeyVaultContentKeys::new(&format!("https://{VAULT_HOST}"), credential, transport)?;
    let content_keys = Arc::new(ContentKeys::new(Box::new(source), Arc::clone(&clock)));
    let deps = Deps { content_keys, ..dispatch_deps(world, &world.raw_tables, clock) };
    let run_at = async |at: &str| -> TestResult {
        world.clock.set(at.parse()?);
        dispatch_due::run(&deps, contoso.now() + minutes(4)).await?;
        Ok(())
    };
    run_at("2026-12-01T10:00:00Z").await?;
    run_at("2027-01-01T10:00:00Z").await?;
    assert_eq!(vault.names().len(), 2);
    run_at("2027-01-03T11:00:00Z").await?;
    assert_eq!((vault.names().len(), vault.deleted_names().len()), (1, 1), "409: it stays");
    run_at("2027-01-03T12:00:00Z").await?;
    assert_eq!(vault.deleted_names().len(), 1, "not at every run");
    // Nobody needs content any more, and the vault is not done yet.
    set_rich_policy(&contoso, false).await?;
    vault.set_deletion_time(hours(48));
    run_at("2027-01-04T02:02:00Z").await?;
    assert_eq!(vault.deleted_names().len(), 1);
    run_at("2027-01-06T02:02:00Z").await?;
    assert_eq!((vault.names().len(), vault.deleted_names().len()), (1, 0), "in the end it is gone");
    Ok(())
}

/// The timer, with a digest key of its own that is not there yet.
fn without_digest_key(contoso: &Contoso) -> (MemoryKeys, Deps) {
    let clock: Arc<dyn Clock> = Arc::new(contoso.world.clock.clone());
    let vault = MemoryKeys::default();
    let ring = Arc::new(KeyRing::new(Box::new(vault.clone()), Arc::clone(&clock)));
    let digest_keys = DigestKeys::new(ring, Arc::clone(&clock));
    let deps = dispatch_deps(&contoso.world, &contoso.world.raw_tables, clock);
    (vault, Deps { digest_keys, ..deps })
}

#[tokio::test]
async fn the_digest_key_is_made_once_and_never_followed_by_another() -> TestResult {
    let contoso = Contoso::open().await?;
    let (vault, deps) = without_digest_key(&contoso);
    dispatch_due::run(&deps, contoso.now() + minutes(4)).await?;
    let first = vault.keys().ok_or("it is made by the first run")?;
    contoso.world.clock.advance(DIGEST_KEY_ACTIVATION);
    let key = deps.digest_keys.get().await?;
    for _ in 0..3 {
        contoso.world.clock.advance(hours(366 * 24));
        dispatch_due::run(&deps, contoso.now() + minutes(4)).await?;
    }
    let kept = vault.keys().ok_or("it is there")?;
    assert_eq!((kept.current().id(), kept.others().count()), (first.current().id(), 0));
    assert_eq!(deps.digest_keys.get().await?.appointment("x"), key.appointment("x"));
    Ok(())
}

/// Another key would take every appointment for a new one, in conflict with its own booking.
#[tokio::test]
async fn a_lost_digest_key_is_not_replaced_while_there_are_bookings() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    let (vault, deps) = without_digest_key(&contoso);
    dispatch_due::run(&deps, contoso.now() + minutes(4)).await?;
    assert!(vault.keys().is_none());
    assert!(deps.digest_keys.get().await.is_err(), "work waits for it");
    contoso.run_for(hours(48)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 0);
    dispatch_due::run(&deps, contoso.now() + minutes(4)).await?;
    assert!(vault.keys().is_some(), "nothing is left that was made with the lost one");
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
