//! A LibreBooking of one's own, see `tests/README.md`. Without one these stories say nothing.

use std::sync::Arc;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use roombridge::base::clock::{Clock as _, SystemClock};
use roombridge::base::http::ReqwestHttp;
use roombridge::base::invocation::Invocation;
use roombridge::base::test_support::ManualClock;
use roombridge::booking::OpenSystem;
use roombridge::domain::booking_system::{
    SystemBooking, SystemConnection, SystemCredential, SystemKind, SystemRoomId,
};
use roombridge::domain::ids::CorrelationId;
use roombridge::domain::interval::Interval;
use roombridge::domain::personal::Personal;
use roombridge::identity::keys::SystemCredentials as _;
use roombridge::store::rooms::RoomMap;
use roombridge::store::tenants::Tenants;
use world::exchange::{Invitation, Recurrence, Response};
use world::librebooking::{API_PATH, LIBREBOOKING_HOST};
use world::memory::MemorySystemCredentials;
use world::test_world::LIBREBOOKING_URL;

use super::acceptance::{self, Subject};
use super::librebooking::{BESIDE_SLOTS, SYSTEM, TENANT, connect};
use super::likeness::{self, Side};
use crate::contoso::{Contoso, at, minutes, room_id};
use crate::{TestError, TestResult};

/// An installation of one's own, see `tests/README.md`.
struct Real {
    url: url::Url,
    login: String,
    password: String,
    now: Timestamp,
    /// A Wednesday in two months' time or later, another one each time.
    day: Timestamp,
}

impl Real {
    fn from_environment() -> Result<Option<Self>, TestError> {
        let Some(address) = std::env::var_os("ROOMBRIDGE_LIBREBOOKING") else { return Ok(None) };
        let mut url: url::Url = address.to_string_lossy().parse()?;
        let decoded =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into();
        let login = decoded(url.username());
        let password = decoded(url.password().unwrap_or_default());
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| "no address")?;
        let now = SystemClock.now();
        let weeks = 9 + now.as_millisecond().rem_euclid(26);
        let wednesday = now.to_zoned(TimeZone::UTC).date().nth_weekday(1, Weekday::Wednesday)?;
        let day = wednesday.checked_add(weeks.weeks())?.to_zoned(TimeZone::UTC)?.timestamp();
        Ok(Some(Self { url, login, password, now, day }))
    }

    fn credential(&self) -> SystemCredential {
        let (login, password) = (self.login.clone(), self.password.clone());
        SystemCredential { login: Personal::new(login), password: Personal::new(password) }
    }

    /// The adapter, and two rooms.
    async fn connect(&self) -> Result<(OpenSystem, Invocation, [SystemRoomId; 2]), TestError> {
        let (clock, credentials) = (ManualClock::new(self.now), MemorySystemCredentials::default());
        credentials.put(TENANT, SYSTEM, &self.credential()).await?;
        let (http, url) = (Arc::new(ReqwestHttp::lazy()), self.url.clone());
        let system = connect(http, url, Arc::new(credentials), &clock)?;
        let invocation = Invocation::start(TENANT, CorrelationId(7));
        let check = system.api.check_connection(&invocation).await?;
        assert_eq!(check.missing_rights, [""; 0], "of {}", check.account);
        let rooms = check.rooms.into_iter().map(|room| room.id).take(2).collect::<Vec<_>>();
        let rooms = rooms.try_into().map_err(|_| "two rooms are needed")?;
        Ok((system, invocation, rooms))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_one_is_accepted() -> TestResult {
    let Some(real) = Real::from_environment()? else { return Ok(()) };
    let Real { now, day, .. } = real;
    let (system, invocation, rooms) = real.connect().await?;
    let run = u64::try_from(now.as_millisecond())?;
    let forbidden = BESIDE_SLOTS;
    acceptance::run(&Subject { system, invocation, rooms, day, forbidden, run }).await
}

#[tokio::test]
async fn a_real_one_answers_as_the_simulated_one_does() -> TestResult {
    let Some(Real { url, login, password, now, day }) = Real::from_environment()? else {
        return Ok(());
    };
    // A day later than the acceptance, which may run at the same time.
    let day = day + SignedDuration::from_hours(24);
    let base = url.as_str().trim_end_matches('/');
    let mut real = Side::new(Arc::new(ReqwestHttp::lazy()), base, &login, &password);
    let (number, name) = real.first_room().await?;
    let (mut simulated, room) = likeness::simulated(&name, now);
    let (ours, theirs) = (simulated.play(&room, day).await?, real.play(&number, day).await?);
    let mut found = Vec::new();
    for ((what, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        likeness::differences(what, ours, theirs, &mut found);
    }
    assert_eq!((found, ours.len()), (Vec::new(), theirs.len()));
    Ok(())
}

// === From Outlook ===

/// Contoso, whose room Aurora is the first room of the real installation.
struct Connected {
    contoso: Contoso,
    system: OpenSystem,
    invocation: Invocation,
    room: SystemRoomId,
}

impl Connected {
    async fn open(real: &Real) -> Result<Self, TestError> {
        assert_eq!(real.url.path(), API_PATH, "as the world's operator allows it");
        let contoso = Contoso::open().await?;
        let world = &contoso.world;
        let (http, origin) = (Arc::new(ReqwestHttp::lazy()), real.url.origin());
        world.microsoft.network.forward(LIBREBOOKING_HOST, &origin.ascii_serialization(), http);
        let (system, invocation, [room, _]) = real.connect().await?;
        let tenant = contoso.tenant_id()?;
        world.system_credentials.put(tenant, SYSTEM, &real.credential()).await?;
        let clock = Arc::new(world.clock.clone());
        let rooms = RoomMap::new(Arc::clone(&world.raw_tables), clock.clone());
        let (aurora, managed) = (room_id(&contoso.aurora)?, rooms.list(tenant).await?);
        let mapped = managed.iter().find(|room| room.id == aurora).ok_or("Aurora is managed")?;
        let mut mapped = mapped.clone();
        mapped.system_rooms.insert(SYSTEM, room.clone());
        rooms.upsert(tenant, &mapped).await?;
        let tenants = Tenants::new(Arc::clone(&world.raw_tables), clock);
        let (mut row, etag) = tenants.get_with_etag(tenant).await?.ok_or("no tenant")?;
        let (kind, address) = (SystemKind::LibreBooking, LIBREBOOKING_URL.to_owned());
        row.systems.all = vec![SystemConnection::new(SYSTEM, kind, address, contoso.now())];
        row.systems.current = SYSTEM;
        tenants.replace(&row, &etag).await?;
        // What was read is believed for a minute.
        contoso.run_for(minutes(2)).await;
        Ok(Self { contoso, system, invocation, room })
    }

    /// What the room has in the weeks of the story.
    async fn reservations(&self) -> Result<Vec<SystemBooking>, TestError> {
        let weeks = Interval::new(at("00:00"), at("2026-12-20T00:00")).ok_or("an interval")?;
        let mut listed = self.system.api.list(&self.invocation, &self.room, weeks).await?;
        listed.sort_by_key(|booking| booking.interval);
        Ok(listed)
    }

    async fn starts(&self) -> Result<Vec<Timestamp>, TestError> {
        Ok(self.reservations().await?.iter().map(|booking| booking.interval.start()).collect())
    }
}

#[tokio::test]
async fn what_happens_in_outlook_happens_in_a_real_one() -> TestResult {
    let Some(real) = Real::from_environment()? else { return Ok(()) };
    let connected = Connected::open(&real).await?;
    let Connected { contoso, .. } = &connected;
    let Contoso { anna, cleo, aurora, tenant, .. } = contoso;
    assert_eq!(connected.starts().await?, [], "the weeks of the story are free");
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    let made = connected.reservations().await?.remove(0);
    meeting.move_to(at("11:00"), at("12:00"))?;
    contoso.run_for(minutes(5)).await;
    let moved = connected.reservations().await?.remove(0);
    assert_eq!((moved.reference, moved.interval.start()), (made.reference, at("11:00")));
    let weekly = Recurrence::weekly(&[Weekday::Tuesday]).times(3);
    let invitation = Invitation::new("Weekly", at("13:00"), at("14:00")).room(aurora);
    let series = tenant.meet(cleo, invitation.series(weekly))?;
    contoso.run_for(minutes(10)).await;
    let dates = ["2026-11-24T11:00", "2026-11-24T13:00", "2026-12-01T13:00", "2026-12-08T13:00"];
    assert_eq!(connected.starts().await?, dates.map(at));
    meeting.cancel()?;
    series.cancel()?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(connected.starts().await?, []);
    contoso.assert_healthy().await
}
