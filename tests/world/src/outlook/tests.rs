//! Somebody clicks through the simulated Outlook, and Exchange does what they asked for.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::test_support::ManualClock;
use roombridge::base::test_support::SeededRng;
use roombridge::graph::PropertyId;
use tower::ServiceExt as _;

use super::Outlook;
use crate::exchange::{
    Exchange, Invitation, Mailbox, Processing, Response as Answer, RoomRules, Tenant,
};

struct OutlookFixture {
    exchange: Exchange,
    outlook: Outlook,
    tenant: Tenant,
    anna: Mailbox,
    ben: Mailbox,
    aurora: Mailbox,
}

/// Contoso at 08:20: two people, and a room that Exchange answers for.
fn outlook_fixture() -> OutlookFixture {
    outlook_fixture_at("2026-11-24T08:20:00Z")
}

fn outlook_fixture_at(now: &str) -> OutlookFixture {
    let clock = Arc::new(ManualClock::new(time(now)));
    let exchange = Exchange::new(clock.clone(), Arc::new(SeededRng::new(1)));
    let tenant = exchange.tenant("Contoso");
    OutlookFixture {
        outlook: Outlook::new(exchange.clone(), clock),
        anna: tenant.person("Anna"),
        ben: tenant.person("Ben"),
        aurora: tenant.room("Aurora", Processing::AutoAccept),
        exchange,
        tenant,
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

struct Page {
    status: StatusCode,
    to: String,
    text: String,
}

impl OutlookFixture {
    async fn send(&self, request: Request<Body>) -> Page {
        let answer = self.outlook.router().oneshot(request).await.unwrap();
        let to = answer.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let (status, to) = (answer.status(), to.unwrap_or_default());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Page { status, to, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn open(&self, path: &str) -> Page {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.send(Request::post(path).body(Body::from(form.finish())).unwrap()).await
    }

    fn form(&self) -> String {
        format!("/{}/new", self.anna.id())
    }
}

#[tokio::test]
async fn a_meeting_is_made_moved_and_cancelled() {
    let story = outlook_fixture();
    let (home, aurora) = (format!("/{}", story.anna.id()), story.aurora.id());
    let fields = [
        ("subject", "Budget"),
        ("date", "2026-11-24"),
        ("start", "10:00"),
        ("end", "11:30"),
        ("invited", aurora),
        ("invited", story.ben.id()),
    ];
    let sent = story.post(&story.form(), &fields).await;
    assert_eq!((sent.status, &sent.to), (StatusCode::SEE_OTHER, &home));

    let shown = story.open(&home).await.text;
    for part in ["10:00–11:30 Budget", ">accepted</span>", "Ben", "Tuesday 24 November 2026"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let ical = story.exchange.agenda(&story.anna).remove(0).ical;
    let invited = story.open(&format!("/{}", story.ben.address())).await.text;
    assert!(invited.contains("From Anna") && !invited.contains("<button"), "{invited}");

    let later = [("ical", ical.as_str()), ("start", "2026-11-24T11:00:00Z")];
    for _ in 0..2 {
        assert_eq!(story.post(&format!("{home}/move"), &later).await.to, home);
        let copy = story.exchange.room_calendar(&story.aurora).remove(0);
        let moved = (time("2026-11-24T11:00:00Z"), time("2026-11-24T12:30:00Z"));
        assert_eq!((copy.start, copy.end), moved, "a form sent twice moves once");
    }

    assert_eq!(story.post(&format!("{home}/cancel"), &[("ical", &ical)]).await.to, home);
    assert!(story.exchange.room_calendar(&story.aurora).is_empty());
    let again = story.post(&format!("{home}/cancel"), &[("ical", &ical)]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert!(again.text.contains("No such meeting") && again.text.contains(&home));
}

#[tokio::test]
async fn roombridges_note_is_shown_beside_the_rooms_answer() {
    let story = outlook_fixture();
    let (start, end) = (time("2026-11-24T10:00:00Z"), time("2026-11-24T11:00:00Z"));
    let meeting = Invitation::new("Budget", start, end).room(&story.aurora);
    let meeting = story.tenant.meet(&story.anna, meeting).unwrap();
    let property = PropertyId::outcome(story.aurora.id().parse().unwrap()).to_string();
    meeting.set_property(&property, r#"{"outcome":"booked","match":"m"}"#).unwrap();
    let shown = story.open(&format!("/{}", story.anna.id())).await.text;
    assert!(shown.contains("own note: booked"), "{shown}");
    meeting.respond(&story.aurora, Answer::Declined).unwrap();
    meeting.set_property(&property, "<b>not ours</b>").unwrap();
    let shown = story.open(&format!("/{}", story.anna.id())).await.text;
    assert!(shown.contains(">declined</span>") && !shown.contains("<b>not"), "{shown}");
}

#[tokio::test]
async fn a_calendar_refreshes_itself_until_it_is_held_still_and_a_form_never_does() {
    let story = outlook_fixture();
    let refresh = "http-equiv=\"refresh\"";
    let home = format!("/{}", story.anna.id());
    assert!(story.open(&home).await.text.contains(refresh));
    assert!(!story.open(&format!("{home}?still")).await.text.contains(refresh));
    let form = story.open(&story.form()).await.text;
    assert!(!form.contains(refresh));
    for value in ["\"2026-11-24\"", "\"09:00\"", "\"10:00\""] {
        assert!(form.contains(&format!("value={value}")), "the next full hour: {value}");
    }
}

#[tokio::test]
async fn late_in_the_evening_the_next_hour_ends_at_midnight() {
    let story = outlook_fixture_at("2026-11-24T22:05:00Z");
    let form = story.open(&story.form()).await.text;
    assert!(form.contains("value=\"23:00\"") && form.contains("value=\"00:00\""));
    let fields = [("date", "2026-11-24"), ("start", "23:00"), ("end", "00:00")];
    assert_eq!(story.post(&story.form(), &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(story.exchange.agenda(&story.anna)[0].end, time("2026-11-25T00:00:00Z"));
}

#[tokio::test]
async fn an_invalid_form_is_shown_again_with_its_errors() {
    let story = outlook_fixture();
    let fabrikam = story.exchange.tenant("Fabrikam").person("Fay");
    let good = ("2026-11-24", "10:00", "11:00", story.ben.id());
    let cases = [
        (("", "", "", good.3), "Give the date"),
        (("2026-02-30", good.1, good.2, good.3), "Give the date"),
        (("9999-12-31", good.1, good.2, good.3), "Give the date"),
        ((good.0, "25:00", good.2, good.3), "Give the start"),
        ((good.0, good.1, "soon", good.3), "Give the end"),
        ((good.0, "11:00", "10:00", good.3), "after the start"),
        ((good.0, good.1, good.1, good.3), "after the start"),
        ((good.0, good.1, good.2, fabrikam.id()), "not in this organisation"),
        ((good.0, good.1, good.2, "nobody"), "not in this organisation"),
    ];
    for ((date, start, end, invited), error) in cases {
        let hostile = "\"><script>alert(1)</script>";
        let fields = [
            ("subject", hostile),
            ("date", date),
            ("start", start),
            ("end", end),
            ("invited", invited),
        ];
        let page = story.post(&story.form(), &fields).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{date} {start} {end}");
        assert!(page.text.contains(error), "{error} for {date} {start} {end}: {}", page.text);
        assert!(page.text.contains("alert(1)") && !page.text.contains("<script>"));
        let is_chosen = page.text.contains(&format!("value=\"{}\" checked", story.ben.id()));
        assert_eq!(is_chosen, invited == story.ben.id());
    }
    for times in ["", "1", "1000"] {
        let fields = [
            ("date", good.0),
            ("start", good.1),
            ("end", good.2),
            ("repeats", "daily"),
            ("times", times),
        ];
        let page = story.post(&story.form(), &fields).await;
        assert!(page.text.contains("from 2 to 999"), "{times}: {}", page.text);
    }
    assert!(story.exchange.agenda(&story.anna).is_empty());
}

#[tokio::test]
async fn only_the_organizer_changes_a_meeting() {
    let story = outlook_fixture();
    let (start, end) = (time("2026-11-24T10:00:00Z"), time("2026-11-24T11:00:00Z"));
    let meeting = Invitation::new("<i>Budget</i>", start, end).with(&story.ben);
    let meeting = story.tenant.meet(&story.anna, meeting).unwrap();
    let path = |who: &Mailbox, what: &str| format!("/{}/{what}", who.id());
    let ical = ("ical", meeting.ical());
    for what in ["move", "cancel"] {
        let fields = [ical, ("start", "2026-11-24T12:00:00Z")];
        let refused = story.post(&path(&story.ben, what), &fields).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
        let refused = story.post(&path(&story.aurora, what), &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }
    for bad in ["", "later", "9999-12-30T21:59:59.5Z"] {
        let refused = story.post(&path(&story.anna, "move"), &[ical, ("start", bad)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(meeting.copy_in(&story.ben).unwrap().start, start);
    let shown = story.open(&format!("/{}", story.anna.id())).await.text;
    assert!(shown.contains("&#60;i&#62;Budget"), "{shown}");
}

#[tokio::test]
async fn rooms_show_their_calendar_and_cancelled_meetings_are_marked() {
    let story = outlook_fixture();
    story.aurora.set_rules(RoomRules { keeps_cancelled: true, ..RoomRules::default() });
    let (start, end) = (time("2026-11-24T10:00:00Z"), time("2026-11-24T11:00:00Z"));
    let single = Invitation::new("Budget", start, end).room(&story.aurora);
    story.tenant.meet(&story.anna, single).unwrap().cancel().unwrap();

    let room = story.open(&format!("/{}", story.aurora.id())).await.text;
    assert!(room.contains("A room of Contoso") && room.contains("Cancelled"), "{room}");
    assert!(!room.contains("/new"));
}

#[tokio::test]
async fn a_series_is_made_and_one_date_or_all_of_them_are_moved_re_roomed_and_cancelled() {
    let story = outlook_fixture();
    let borealis = story.tenant.room("Borealis", Processing::AutoAccept);
    let home = format!("/{}", story.anna.id());
    let fields = [
        ("subject", "Standup"),
        ("date", "2026-11-24"),
        ("start", "10:00"),
        ("end", "10:30"),
        ("repeats", "weekly"),
        ("times", "4"),
        ("invited", story.aurora.id()),
    ];
    assert_eq!(story.post(&story.form(), &fields).await.to, home);
    let starts = |room: &Mailbox| {
        let copies = story.exchange.room_calendar(room);
        copies.iter().map(|copy| copy.start.to_string()).collect::<Vec<_>>()
    };
    let all: [String; 4] =
        [24, 31, 38, 45].map(|day| (time("2026-11-24T10:00:00Z") + days(day - 24)).to_string());
    assert_eq!(starts(&story.aurora), all);
    let shown = story.open(&home).await.text;
    for part in ["Your series, every date", "Cancel the series", "Cancel the meeting"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let dates = story.exchange.agenda(&story.anna);
    let of = |n: usize| ("ical", dates[n].ical.as_str());

    story.post(&format!("{home}/move"), &[of(0), ("start", "2026-11-24T11:00:00Z")]).await;
    story.post(&format!("{home}/room"), &[of(1), ("room", borealis.id())]).await;
    story.post(&format!("{home}/cancel"), &[of(2)]).await;
    assert_eq!(starts(&story.aurora), ["2026-11-24T11:00:00Z", &all[3]]);
    assert_eq!(starts(&borealis), [all[1].as_str()]);
    // Exchange moves no date past the one after it.
    let past = [of(0), ("start", "2026-12-22T11:00:00Z")];
    let refused = story.post(&format!("{home}/move"), &past).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let nobody = [of(0), ("room", story.ben.id())];
    assert_eq!(story.post(&format!("{home}/room"), &nobody).await.status, StatusCode::NOT_FOUND);

    let master = story.exchange.organized_series(&story.anna).remove(0).ical;
    let later = [("ical", master.as_str()), ("start", "2026-11-24T14:00:00Z")];
    assert_eq!(story.post(&format!("{home}/move"), &later).await.to, home);
    let moved: Vec<String> = all.iter().map(|at| at.replace("T10", "T14")).collect();
    assert_eq!(starts(&story.aurora), moved, "what was changed on one date is lost");
    story.post(&format!("{home}/cancel"), &[("ical", &master)]).await;
    assert!(story.exchange.agenda(&story.anna).is_empty());
}

#[tokio::test]
async fn everybody_can_be_chosen_and_nobody_else() {
    let story = outlook_fixture();
    story.exchange.tenant("Empty");
    let deleted = story.tenant.person("Dora");
    deleted.delete_mailbox();
    let all = story.open("/").await.text;
    for one in [&story.anna, &story.ben, &story.aurora] {
        assert!(all.contains(&format!("href=\"/{}\"", one.id())));
    }
    assert!(!all.contains("Empty") && !all.contains("Dora"));
    for nobody in ["/nobody", "/nobody/new", &format!("/{}", deleted.id()), "/a/b/c"] {
        let page = story.open(nobody).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{nobody}");
        assert!(page.text.contains("<h1>No such"), "{nobody}");
    }
}
