//! An appointment in Outlook is a reservation in TOPdesk, from its invitation to its cancellation.

use roombridge::domain::booking_system::{SystemCredential, SystemRoomId};
use roombridge::domain::personal::Personal;
use roombridge::domain::tenant::policy::{ContentPolicy, PeoplePolicy, SubjectPolicy};
use roombridge::identity::keys::SystemCredentials as _;
use uuid::Uuid;
use world::exchange::{Meeting, Response};
use world::fault_injection::Fault;
use world::topdesk::{ReservationStatus, Rights, TOPDESK_HOST};

use super::{DESK, LOGIN, PASSWORD, SYSTEM, connection};
use crate::contoso::{Contoso, Who, at, hours, minutes};
use crate::{TestError, TestResult};

/// Contoso, whose rooms Aurora and Borealis are booked in its TOPdesk.
struct Office {
    contoso: Contoso,
    aurora: Uuid,
    anna: Uuid,
    desk: Uuid,
}

impl Office {
    async fn open() -> Result<Self, TestError> {
        let content = ContentPolicy {
            subject: SubjectPolicy::Keep,
            people: PeoplePolicy::Organizer,
            ..ContentPolicy::default()
        };
        let followed = [Who::Anna, Who::Aurora];
        let contoso = Contoso::builder().content(content).followed(&followed).open().await?;
        let topdesk = &contoso.world.topdesk;
        topdesk.add_operator(LOGIN, PASSWORD, Rights::ALL);
        let anna = topdesk.add_person("Anna Smit", contoso.anna.address());
        let desk = topdesk.add_person("Front Desk", DESK);
        let aurora = topdesk.add_room("Aurora", Some(8));
        let login = Personal::new(LOGIN);
        let account = SystemCredential { login, password: Personal::new(PASSWORD) };
        let credentials = &contoso.world.system_credentials;
        credentials.put(contoso.tenant_id()?, SYSTEM, &account).await?;
        let rooms = [(&contoso.aurora, SystemRoomId(aurora.to_string()))];
        let fixtures = contoso.world.fixtures();
        fixtures.use_booking_system(&contoso.tenant, connection(contoso.now()), &rooms).await?;
        contoso.run_for(minutes(2)).await;
        Ok(Self { contoso, aurora, anna, desk })
    }

    fn meet(&self, times: (&str, &str)) -> Result<Meeting, TestError> {
        self.contoso.meet(&self.contoso.anna, times, &self.contoso.aurora)
    }

    async fn assert_healthy(&self) -> TestResult {
        assert_eq!(self.contoso.world.topdesk.violations(), [""; 0]);
        self.contoso.assert_healthy().await
    }
}

#[tokio::test]
async fn an_appointment_is_a_reservation_that_moves_and_ends_with_it() -> TestResult {
    let office = Office::open().await?;
    let Office { contoso, aurora, .. } = &office;
    let topdesk = &contoso.world.topdesk;
    let meeting = office.meet(("09:00", "10:00"))?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    let made = topdesk.live(*aurora).pop().ok_or("it was booked")?;
    assert_eq!((made.start, made.status), (at("09:00"), ReservationStatus::Planned));
    assert_eq!(made.brief_description.as_deref(), Some("Quarterly numbers"));
    assert_eq!(made.requester, office.anna);

    meeting.move_to(at("11:00"), at("12:00"))?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    let moved = topdesk.live(*aurora).pop().ok_or("it was moved")?;
    assert_eq!((&moved.number, moved.start), (&made.number, at("11:00")));

    meeting.cancel()?;
    contoso.run_for(minutes(5)).await;
    let all = topdesk.reservations();
    assert_eq!(
        all.iter().map(|one| one.status).collect::<Vec<_>>(),
        [ReservationStatus::Cancelled]
    );
    office.assert_healthy().await
}

#[tokio::test]
async fn a_room_that_somebody_has_in_topdesk_declines() -> TestResult {
    let office = Office::open().await?;
    let Office { contoso, aurora, .. } = &office;
    let topdesk = &contoso.world.topdesk;
    let theirs = topdesk.reserve(*aurora, office.desk, (at("09:30"), at("10:30")));
    let meeting = office.meet(("09:00", "10:00"))?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Declined));
    let live: Vec<_> = topdesk.live(*aurora).into_iter().map(|one| one.id).collect();
    assert_eq!(live, [theirs]);
    office.assert_healthy().await
}

#[tokio::test]
async fn the_audit_has_every_call_by_its_template_and_no_data() -> TestResult {
    let office = Office::open().await?;
    let Office { contoso, .. } = &office;
    let meeting = office.meet(("09:00", "10:00"))?;
    contoso.run_for(minutes(5)).await;
    meeting.move_to(at("11:00"), at("12:00"))?;
    contoso.run_for(minutes(5)).await;
    meeting.cancel()?;
    contoso.run_for(minutes(5)).await;
    let audit = contoso.audit().await?;
    let calls: Vec<_> = audit.iter().filter(|call| call.system == "topdesk").collect();
    assert_eq!(calls.len(), contoso.world.topdesk.requests().len());
    let mut paths: Vec<_> =
        calls.iter().map(|call| format!("{} {}", call.method, call.path)).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(
        paths,
        [
            "GET /persons",
            "GET /reservations",
            "POST /reservations",
            "POST /reservations/{id}/cancel",
            "POST /reservations/{id}/reschedule",
        ]
    );
    let text = format!("{calls:?}");
    for data in ["Quarterly", "@", PASSWORD, "2026-11-24T09"] {
        assert!(!text.contains(data), "{data}: {text}");
    }
    office.assert_healthy().await
}

/// Plays the life of an appointment while a call to TOPdesk fails; how many there were.
async fn live_through(nth: u64, moment: Fault) -> Result<u64, TestError> {
    let office = Office::open().await?;
    let Office { contoso, aurora, .. } = &office;
    let (topdesk, network) = (&contoso.world.topdesk, &contoso.world.microsoft.network);
    network.fail_one(TOPDESK_HOST, nth, moment);
    let meeting = office.meet(("09:00", "10:00"))?;
    contoso.run_for(hours(1)).await;
    let booked = topdesk.live(*aurora);
    assert_eq!(booked.len(), 1, "{nth} {moment:?}: {booked:?}");
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    meeting.move_to(at("11:00"), at("12:00"))?;
    contoso.run_for(hours(1)).await;
    let moved = topdesk.live(*aurora);
    assert_eq!(moved.len(), 1, "{nth} {moment:?}: {moved:?}");
    assert_eq!((&moved[0].number, moved[0].start), (&booked[0].number, at("11:00")));
    meeting.cancel()?;
    contoso.run_for(hours(1)).await;
    assert_eq!(topdesk.live(*aurora), [], "{nth} {moment:?}");
    office.assert_healthy().await?;
    Ok(network.requests(TOPDESK_HOST))
}

#[tokio::test]
async fn whichever_call_fails_the_appointment_and_topdesk_agree() -> TestResult {
    let calls = live_through(u64::MAX / 2, Fault::Before).await?;
    for nth in 1..=calls {
        for moment in [Fault::Before, Fault::After] {
            live_through(nth, moment).await?;
        }
    }
    Ok(())
}
