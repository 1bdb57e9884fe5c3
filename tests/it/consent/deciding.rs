//! The policy, the rooms, the register, and what can really be reached.

use http::StatusCode;
use roombridge::domain::ids::TenantId;
use roombridge::domain::tenant::ConsentMode;
use roombridge::domain::tenant::policy::{ResponseMode, SeriesConflicts};
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{MailboxKind, MailboxState, Mailboxes};
use roombridge::store::rooms::RoomMap;
use std::sync::Arc;
use world::exchange::Processing;
use world::memory::QueueKind;
use world::microsoft::{DAEMON_APP, SCOPED_APP};
use world::test_world::INVITED_TENANT;

use super::unconnected_contoso;
use crate::contoso::Contoso;
use crate::http_browser::Browser;
use crate::{TestError, TestResult};

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// The policy's form with its defaults, and `changes`.
pub(super) fn policy_form<'a>(version: &'a str, changes: &[(&'a str, &'a str)]) -> Fields<'a> {
    let mut fields = vec![
        ("version", version),
        ("consent", "opt-in"),
        ("scope-group", ""),
        ("excluded", ""),
        ("subject", "drop"),
        ("subject-text", ""),
        ("people", "count"),
        ("private", "without-subject"),
        ("series", "per-date"),
        ("series-conflicts", "10"),
        ("series-percentage", "50"),
        ("rooms-subscribed", "yes"),
        ("mail", ""),
        ("audit-days", "365"),
        ("add-in-property", ""),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((*name, *value));
    }
    fields
}

async fn current_version(browser: &Browser<'_>) -> Result<String, TestError> {
    Ok(browser.get("policy").await?.value("version"))
}

#[tokio::test]
async fn a_changed_policy_is_evidenced_with_what_it_was_and_is() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let version = current_version(&browser).await?;
    let address = contoso.anna.address();
    let excluded = format!("{address}\r\n{}", contoso.ada);
    let changes = [
        ("consent", "organisation"),
        ("excluded", excluded.as_str()),
        ("subject", "replace"),
        ("subject-text", "=Reserved"),
        ("audit-days", "30"),
        ("mail", address),
        ("delegates", "yes"),
    ];
    let page = browser.post("policy", &policy_form(&version, &changes)).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    assert_eq!(page.location(), "/api/consent/policy?saved");
    let row = contoso.tenant_row().await?.ok_or("a row")?;
    assert_eq!(row.policy.consent, ConsentMode::Organisation);
    assert_eq!(row.policy.excluded_mailboxes.len(), 2);
    assert_eq!(row.policy.mail_sender.map(|id| id.to_string()).as_deref(), Some(contoso.anna.id()));
    let changes = contoso.policy_changes().await?;
    let names: Vec<&str> = changes.iter().map(|(name, ..)| name.as_str()).collect();
    let mut expected =
        ["consent", "excluded mailboxes", "subject", "delegates", "mail sender", "audit days"];
    expected.sort_by_key(|name| name.replace([' ', '-'], ""));
    assert_eq!(names, expected);
    let subject = changes.iter().find(|(name, ..)| name == "subject").ok_or("the subject")?;
    assert_eq!((subject.1.as_str(), subject.2.as_str()), ("drop", "replace by: =Reserved"));
    assert_eq!(contoso.pending_tenant_work(), ["connect", "reconcile-policy"]);
    let page = browser.get(page.location()).await?;
    assert!(page.text.contains("Saved."));
    assert!(page.text.contains("-Role &#34;Application Mail.Send&#34;"));
    Ok(())
}

#[tokio::test]
async fn what_becomes_of_a_series_with_conflicts_is_chosen_and_shown() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let version = current_version(&browser).await?;
    let few = [("series-conflicts", "3"), ("series-percentage", "20")];
    browser.submit("policy", &policy_form(&version, &few)).await?;
    let policy = contoso.tenant_row().await?.ok_or("a row")?.policy;
    let chosen = SeriesConflicts::PerDate { maximum_instances: 3, percentage_allowed: 20 };
    assert_eq!(policy.series_conflicts, chosen);
    let page = browser.get("policy").await?;
    assert!(page.text.contains("value=\"per-date\" checked"), "{}", page.text);
    let shown = (page.value("series-conflicts"), page.value("series-percentage"));
    assert_eq!(shown, ("3".to_owned(), "20".to_owned()));
    // The numbers say nothing then.
    let strict =
        [("series", "all-or-nothing"), ("series-conflicts", ""), ("series-percentage", "")];
    browser.submit("policy", &policy_form(&page.value("version"), &strict)).await?;
    let policy = contoso.tenant_row().await?.ok_or("a row")?.policy;
    assert_eq!(policy.series_conflicts, SeriesConflicts::AllOrNothing);
    let page = browser.get("policy").await?;
    assert!(page.text.contains("value=\"all-or-nothing\" checked"), "{}", page.text);
    let register = browser.get("register").await?.text;
    for words in ["each date, up to 3 and 20 %", "all or nothing"] {
        assert!(register.contains(words), "{words}: {register}");
    }
    Ok(())
}

#[tokio::test]
async fn of_two_administrators_the_slower_one_sees_the_conflict_and_loses_nothing() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let first = contoso.connect("organisation-wide").await?;
    let second = contoso.signed_in_admin().await?;
    let (version, too) = (current_version(&first).await?, current_version(&second).await?);
    let days = policy_form(&version, &[("audit-days", "100")]);
    assert_eq!(first.post("policy", &days).await?.status, StatusCode::SEE_OTHER);
    let typed = policy_form(&too, &[("subject", "replace"), ("subject-text", "Taken")]);
    let page = second.post("policy", &typed).await?;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text.contains("Somebody else has changed the policy in the meantime"));
    assert!(page.text.contains("“100”") && page.text.contains("value=\"Taken\""));
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.policy.audit_days, 100);
    // With the version of that page it may be saved.
    let fresh = page.value("version");
    let typed = policy_form(&fresh, &[("audit-days", "100"), ("people", "organizer")]);
    assert_eq!(second.post("policy", &typed).await?.status, StatusCode::SEE_OTHER);
    Ok(())
}

#[tokio::test]
async fn an_invalid_value_is_reported_at_its_field_and_everything_typed_stays() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let before = contoso.tenant_row().await?;
    let version = current_version(&browser).await?;
    let long = "x".repeat(400);
    let cases = [
        ("scope-group", "everybody"),
        ("scope-group", "00000000-0000-4000-8000-000000000099"),
        ("excluded", "nobody@contoso.example"),
        ("excluded", "<script>alert(1)</script>"),
        ("excluded", "a\u{0}b"),
        ("subject-text", long.as_str()),
        ("mail", long.as_str()),
        ("mail", "nobody@contoso.example"),
        ("mail", "anna@contoso.example' or 1 eq 1"),
        ("audit-days", "29"),
        ("audit-days", "many"),
        ("audit-days", "99999999999"),
        ("series-conflicts", ""),
        ("series-percentage", "101"),
        ("add-in-property", "String {00062008-0000-0000-c000-000000000046} Name x"),
        ("delegates", "yes"),
    ];
    for (field, value) in cases {
        let typed = policy_form(&version, &[(field, value)]);
        let page = browser.post("policy", &typed).await?;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{field} {value}");
        assert!(page.text.contains("role=\"alert\""), "{field}");
        assert!(page.text.contains(&format!("href=\"#{field}\"")), "{field}: {value}");
        assert!(page.text.contains(&format!("id=\"{field}-error\"")), "{field}: {value}");
        assert!(!page.text.contains("<script>"), "{field}");
        if field != "delegates" && field != "excluded" {
            assert_eq!(page.value(field), value, "what was typed stays");
        }
    }
    assert_eq!((contoso.tenant_row().await?, contoso.policy_changes().await?), (before, vec![]));
    Ok(())
}

#[tokio::test]
async fn rooms_are_taken_and_given_up() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let page = browser.get("rooms").await?;
    assert!(page.text.contains(contoso.aurora.address()));
    let row = |mode: &'static str, zone: &'static str| {
        let address = contoso.aurora.address().to_lowercase();
        vec![
            ("from", "0".to_owned()),
            ("address", address),
            ("mode", mode.into()),
            ("zone", zone.into()),
        ]
    };
    let save = async |browser: &Browser<'_>, fields: Vec<(&'static str, String)>| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post("rooms", &fields).await
    };
    let page = save(&browser, row("roombridge", "Nowhere/Land")).await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(page.value("zone"), "Nowhere/Land");
    let page = save(&browser, row("roombridge", "Europe/Zurich")).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);

    let (tenant, id) = (TenantId(INVITED_TENANT), contoso.aurora.id().parse()?);
    let store = || Arc::clone(&contoso.world.raw_tables);
    let rooms = RoomMap::new(store(), Arc::new(contoso.world.clock.clone()));
    let managed = rooms.list_uncached(tenant).await?;
    assert_eq!((managed.len(), managed[0].response_mode), (1, ResponseMode::RoombridgeDecides));
    assert_eq!(managed[0].id.mailbox(), id);
    let mailboxes = Mailboxes::new(store());
    let (mailbox, _) = mailboxes.get(tenant, id).await?.ok_or("the room's mailbox")?;
    assert_eq!((mailbox.kind, mailbox.state), (MailboxKind::Room, MailboxState::Active));
    let tasks = |name: &str| {
        let messages =
            contoso.world.memory_outbox.messages(QueueKind::Main(Queue::MaintainMailbox));
        messages.iter().filter(|message| message.text.contains(&format!("\"{name}\""))).count()
    };
    assert_eq!(tasks("subscribe"), 1);

    let page = save(&browser, row("off", "")).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(rooms.list_uncached(tenant).await?.is_empty());
    let (mailbox, _) = mailboxes.get(tenant, id).await?.ok_or("the room's mailbox")?;
    assert!(!mailbox.state.is_active());
    assert_eq!(tasks("unsubscribe"), 1);
    let foreign =
        [("from", "0"), ("address", "x@fabrikam.example"), ("mode", "exchange"), ("zone", "UTC")];
    assert_eq!(browser.post("rooms", &foreign).await?.status, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn a_room_is_found_by_its_mail_address_also_where_that_is_not_its_sign_in_name() -> TestResult
{
    let contoso = unconnected_contoso().await?;
    contoso.aurora.set_sign_in_name("room-17@contoso.example");
    let browser = contoso.connect("organisation-wide").await?;
    let address = contoso.aurora.address().to_lowercase();
    let row =
        [("from", "0"), ("address", &*address), ("mode", "exchange"), ("zone", "Europe/Zurich")];
    let page = browser.post("rooms", &row).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    let clock = Arc::new(contoso.world.clock.clone());
    let rooms = RoomMap::new(Arc::clone(&contoso.world.raw_tables), clock);
    let managed = rooms.list_uncached(TenantId(INVITED_TENANT)).await?;
    assert_eq!(managed[0].id.mailbox(), contoso.aurora.id().parse()?);
    assert_eq!(managed[0].addresses, [address, "room-17@contoso.example".to_owned()]);
    Ok(())
}

#[tokio::test]
async fn the_probe_shows_who_is_inside_and_that_grants_add_up() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let ben = contoso.tenant.person("Ben");
    let browser = contoso.connect("scoped").await?;
    let (microsoft, tenant) = (&contoso.world.microsoft, contoso.tenant.id());
    microsoft.graph.grant_in_exchange(tenant, SCOPED_APP, true, true, &[&contoso.anna]);
    let typed = [("inside", contoso.anna.address()), ("outside", ben.address())];
    let page = browser.post("reach", &typed).await?;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("we can read its calendar."));
    assert!(page.text.contains("Microsoft itself refuses it."));
    assert_eq!(page.text_of_id("grants"), "None. With scoped access that is correct.");
    assert!(page.text_of_id("adds-up").is_empty());
    assert!(page.text.contains("New-ManagementScope") && page.text.contains(SCOPED_APP));
    assert!(page.text.contains("30 minutes to 2 hours"));

    microsoft.entra.consent(
        tenant,
        SCOPED_APP,
        &["User.ReadBasic.All", "Place.Read.All", "Calendars.Read"],
    );
    browser.post("reach", &typed).await?;
    let page = browser.post("reach", &typed).await?;
    assert!(page.text.contains("Your scope in Exchange has no effect"), "{}", page.text);
    assert!(page.text.contains("It should be refused."));
    let page =
        browser.post("reach", &[("inside", "nobody@contoso.example"), ("outside", "")]).await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(page.value("inside"), "nobody@contoso.example");
    Ok(())
}

#[tokio::test]
async fn where_people_are_refused_connecting_works_and_the_page_names_the_permission() -> TestResult
{
    let contoso = unconnected_contoso().await?;
    let microsoft = &contoso.world.microsoft;
    microsoft.graph.require_full_profiles(true);
    let browser = contoso.connect("organisation-wide").await?;
    let page = browser.get("reach").await?;
    assert!(page.text.contains("id=\"directory\"") && page.text.contains("User.Read.All"));
    assert!(page.text.contains("-AppRoleId df021288-bdef-4463-88db-98f22de89214"));
    microsoft.entra.consent(
        contoso.tenant.id(),
        DAEMON_APP,
        &["User.Read.All", "Place.Read.All", "Calendars.Read", "Calendars.ReadWrite"],
    );
    // The grant shows with a token made since.
    contoso.advance_minutes(61);
    let browser = contoso.signed_in_admin().await?;
    let page = browser.get("reach").await?;
    assert!(!page.text.contains("id=\"directory\""), "{}", page.text);
    Ok(())
}

#[tokio::test]
async fn with_the_wider_permission_the_page_says_so_and_people_are_read_from_the_start()
-> TestResult {
    let builder = Contoso::builder().seed(7).unconnected().reads_full_profiles();
    let contoso = builder.rooms(Processing::AutoAccept, Processing::AutoAccept).open().await?;
    contoso.world.microsoft.graph.require_full_profiles(true);
    let page = contoso.browser().get("").await?;
    assert!(page.text.contains("User.Read.All") && !page.text.contains("User.ReadBasic.All"));
    let browser = contoso.connect("organisation-wide").await?;
    assert!(!browser.get("reach").await?.text.contains("id=\"directory\""));
    // The register names what was agreed to.
    assert!(browser.get("register").await?.text.contains("User.Read.All"));

    // Those who consented before the operator chose it are asked to connect again, and that mends it.
    contoso.world.microsoft.entra.consent(
        contoso.tenant.id(),
        DAEMON_APP,
        &["User.ReadBasic.All", "GroupMember.Read.All", "Place.Read.All", "Calendars.Read"],
    );
    contoso.advance_minutes(61);
    let browser = contoso.signed_in_admin().await?;
    let page = browser.get("reach").await?;
    assert!(page.text.contains("connect again on the overview"), "{}", page.text);
    assert!(!page.text.contains("-AppRoleId"), "consent grants it, no command is needed");
    contoso.grant_and_return(&browser, "organisation-wide").await?;
    contoso.advance_minutes(61);
    let browser = contoso.signed_in_admin().await?;
    assert!(!browser.get("reach").await?.text.contains("id=\"directory\""));
    Ok(())
}

#[tokio::test]
async fn with_organisation_wide_access_nothing_is_out_of_reach_and_the_page_says_so() -> TestResult
{
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let page =
        browser.post("reach", &[("inside", ""), ("outside", contoso.anna.address())]).await?;
    assert!(page.text.contains("With organisation-wide access we can reach every calendar."));
    assert_eq!(page.text_of_id("grants"), "We may read and change every calendar.");
    assert!(contoso.world.microsoft.entra.is_consented(contoso.tenant.id(), DAEMON_APP));
    Ok(())
}

#[tokio::test]
async fn the_register_is_shown_and_downloaded() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let version = current_version(&browser).await?;
    let typed =
        policy_form(&version, &[("subject", "replace"), ("subject-text", "=cmd|' /C calc'!A0")]);
    browser.post("policy", &typed).await?;
    let page = browser.get("register").await?;
    assert!(page.text.contains("connected") && page.text.contains(&contoso.ada));
    assert!(page.text.contains(" UTC</time>"), "an instant is written for people");
    let csv = browser.get("register.csv").await?;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"register.csv\"");
    assert_eq!(csv.text.lines().count(), 3);
    let json = browser.get("register.json").await?;
    let entries: Vec<serde_json::Value> = serde_json::from_str(&json.text)?;
    assert_eq!(entries[0]["what"], "connected");
    let at = entries[0]["at"].as_str().ok_or("an instant")?;
    assert!(at.parse::<jiff::Timestamp>().is_ok(), "and for programs in downloads");
    assert_eq!(
        (&entries[0]["by"], &entries[0]["detail"]),
        (&contoso.ada.clone().into(), &"organisation-wide".into())
    );
    assert_eq!(
        (&entries[1]["old"], &entries[1]["what"]),
        (&"drop".into(), &"policy changed".into())
    );
    Ok(())
}
