//! What the documents for the security reviewer say is what the code does: their tables are made from
//! it, and written again with `ROOMBRIDGE_WRITE=1 cargo test --test it infra::documents`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use roombridge::domain::retention::{CONTENT_KEY_OVERLAP, SECRET_KEY_LIFETIME, SECRET_KEY_OVERLAP};
use roombridge::graph::fields;
use roombridge::graph::permissions::{AppRegistration, EXCHANGE_ROLES, PERMISSIONS, USER_READ_ALL};
use roombridge::host::{FUNCTIONS, Trigger, functions::PREFIX};
use roombridge::identity::keys::{CLIENT_STATE_KEYS, COOKIE_KEYS, DIGEST_KEY};
use roombridge::identity::sign_in::COOKIES;
use roombridge::queue::{ENCRYPTED_CONTENT_TTL, MESSAGE_TTL, Queue};
use roombridge::store::tables::Table;

use super::policy::ROLES;
use super::retention::{EXTERNAL_RETENTION_RULES, RETENTION_RULES};
use crate::TestResult;
use crate::generated::{Section, assert_whole_file, read};

/// The reviewer's document.
const REVIEWERS: &str = "docs/reviewers.md";

fn code(word: &str) -> String {
    format!("`{word}`")
}

fn codes<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(code).collect::<Vec<_>>().join(", ")
}

/// How long something is kept, as a sentence of its own.
fn sentence(retention: &str) -> String {
    let (first, rest) = retention.split_at(1);
    format!("*{}{rest}.*", first.to_uppercase())
}

/// A list of a document: a point for each name, and what is said of it.
fn points_of(points: impl IntoIterator<Item = (String, String)>) -> String {
    points.into_iter().map(|(name, said)| format!("- {name}: {said}\n")).collect()
}

/// Every table, what it holds, and how long.
fn kept() -> String {
    points_of(
        RETENTION_RULES.iter().map(|kept| {
            (code(kept.table), format!("{}. {}", kept.content, sentence(kept.retention)))
        }),
    )
}

#[test]
fn what_is_kept_in_tables_is_what_the_document_says() -> TestResult {
    let named: BTreeSet<&str> = RETENTION_RULES.iter().map(|kept| kept.table).collect();
    assert_eq!(named, Table::ALL.iter().map(|table| table.name()).collect());
    Section::new(REVIEWERS, "tables", kept()).assert_up_to_date()
}

#[test]
fn what_is_kept_elsewhere_is_what_the_document_says() -> TestResult {
    let points = EXTERNAL_RETENTION_RULES.iter().map(|kept| {
        let place = |place: &&str| match place.contains(' ') {
            true => (*place).to_owned(),
            false => code(place),
        };
        let poison = kept.places.iter().all(|place| place.ends_with("-poison"));
        let places = match poison {
            true => "`…-poison`, of each queue".to_owned(),
            false => kept.places.iter().map(place).collect::<Vec<_>>().join(", "),
        };
        let said = format!("{}. {}", kept.content, sentence(kept.retention));
        (format!("{} {places}", kept.service), said)
    });
    Section::new(REVIEWERS, "elsewhere", points_of(points)).assert_up_to_date()
}

#[test]
fn every_queue_and_every_secret_is_in_the_list_of_what_is_kept() {
    let places = |service: &str| -> BTreeSet<&str> {
        let of = EXTERNAL_RETENTION_RULES.iter().filter(|kept| kept.service == service);
        of.flat_map(|kept| kept.places).copied().collect()
    };
    let queues = Queue::ALL.iter().flat_map(|queue| [queue.name(), queue.poison_name()]);
    assert_eq!(places("Queue Storage"), queues.collect());
    let secrets = [CLIENT_STATE_KEYS, COOKIE_KEYS, DIGEST_KEY, "booking-…", "content-key-…"];
    assert_eq!(places("Key Vault"), secrets.into());
}

#[test]
fn the_numbers_in_the_list_are_those_that_the_code_uses() {
    let says = |place: &str| {
        let kept = EXTERNAL_RETENTION_RULES.iter().find(|kept| kept.places.contains(&place));
        kept.map_or("", |kept| kept.retention)
    };
    let hours = |life: SignedDuration| life.as_hours();
    let week = format!("{} days", MESSAGE_TTL.as_secs() / (24 * 60 * 60));
    for queue in Queue::ALL {
        assert!(says(queue.name()).contains(&week), "{queue:?}");
    }
    let sealed =
        format!("with encrypted content {} hours", ENCRYPTED_CONTENT_TTL.as_secs() / (60 * 60));
    assert!(says(Queue::FetchEvent.name()).contains(&sealed), "{sealed}");
    let proof = [
        format!("after {} days", hours(SECRET_KEY_LIFETIME) / 24),
        format!("removed {} days later", hours(SECRET_KEY_OVERLAP) / 24),
    ];
    for words in proof {
        assert!(says(CLIENT_STATE_KEYS).contains(&words), "{words}");
    }
    let content = format!("deleted {} hours later", hours(CONTENT_KEY_OVERLAP));
    assert!(says("content-key-…").contains(&content), "{content}");
}

#[test]
fn the_cookies_are_those_that_the_pages_set() -> TestResult {
    let points = COOKIES.iter().map(|(name, contents, max_age, purpose)| {
        let life = match max_age.as_mins() {
            60 => "1 hour".to_owned(),
            minutes => format!("{minutes} minutes"),
        };
        (code(name), format!("{contents}; {life}, {purpose}."))
    });
    let text = points_of(points);
    Section::new(REVIEWERS, "cookies", text).assert_up_to_date()
}

fn registrations(which: &[AppRegistration]) -> &'static str {
    match which {
        [AppRegistration::OrganisationWide] => "organisation-wide",
        [AppRegistration::Scoped] => "scoped",
        [AppRegistration::SignIn] => "people",
        _ => "both daemons",
    }
}

/// What the consent page says in sentences, in short: of each permission and role what it could
/// reach, what it is needed for, and what of that is never asked, where this says more.
const SHORT: [(&str, &str, &str, Option<&str>); 11] = [
    (
        "Calendars.Read",
        "every calendar, with all its content",
        "changes, times, organizer, invited rooms",
        Some(
            "text, attachments, meeting links, people's answers; the subject unless kept by policy",
        ),
    ),
    (
        "Calendars.ReadWrite",
        "every calendar: creating, changing, deleting",
        "the room's answer, our mark",
        Some("creating, deleting; changing subject, text, time, attendees"),
    ),
    (
        "User.ReadBasic.All",
        "everybody's name, addresses, photo",
        "finding a mailbox; listing who is in scope",
        Some("photos; names in lists"),
    ),
    (
        "Place.Read.All",
        "all rooms and room lists, with addresses and equipment",
        "choosing the managed rooms",
        Some("phone numbers, street addresses, positions, equipment"),
    ),
    (
        "GroupMember.Read.All",
        "all groups' names and members, but for hidden membership",
        "who is in the scope group",
        Some("other groups; a group's name"),
    ),
    ("openid", "the id of who is signed in", "signing in", None),
    (
        "profile",
        "name and sign-in name of who is signed in",
        "greeting, recognising",
        Some("anybody else's profile"),
    ),
    (
        "User.Read.All",
        "everybody's full profile",
        "the same as `User.ReadBasic.All`, in its place if [the operator chose it](settings.md)",
        Some("all but ids, names, addresses; names in lists"),
    ),
    ("Application Calendars.Read", "the calendars in the scope", "the same", None),
    ("Application Calendars.ReadWrite", "the calendars in the scope", "the same", None),
    (
        "Application Mail.Send",
        "sending as the mailboxes in the scope: one sender",
        "mail about bookings, if switched on",
        Some("attachments, several recipients, reading mail"),
    ),
];

#[test]
fn the_permissions_are_those_that_are_asked_for() -> TestResult {
    let permissions = PERMISSIONS.iter().chain([&USER_READ_ALL]);
    let permissions = permissions.map(|asked| (asked.name, asked.registrations));
    let roles = EXCHANGE_ROLES.iter().map(|role| (role.name, role.registrations));
    let asked: Vec<_> = permissions.chain(roles).collect();
    let names = asked.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!(names, SHORT.map(|(name, ..)| name));
    let points = asked.iter().zip(SHORT).map(|((name, of), (_, reaches, needed_for, never))| {
        let named = format!("{} ({})", code(name), registrations(of));
        let Some(never) = never else { return (named, format!("{reaches}. For {needed_for}.")) };
        (named, format!("{reaches}. For {needed_for}. Never: {never}."))
    });
    Section::new(REVIEWERS, "permissions", points_of(points)).assert_up_to_date()
}

/// Every request that the code can make of Graph, and what permits it.
fn requests() -> BTreeMap<(&'static str, &'static str), BTreeSet<&'static str>> {
    let permissions = PERMISSIONS.iter().chain([&USER_READ_ALL]);
    let permissions = permissions.map(|asked| (asked.name, asked.requests));
    let roles = EXCHANGE_ROLES.iter().map(|role| (role.name, role.requests));
    let mut requests: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, serves) in permissions.chain(roles) {
        for (method, path) in serves {
            requests.entry((*path, *method)).or_default().insert(name);
        }
    }
    requests
}

#[test]
fn the_requests_are_those_that_something_permits() -> TestResult {
    let mut permitted: BTreeMap<BTreeSet<&str>, Vec<String>> = BTreeMap::new();
    for ((path, method), names) in requests() {
        permitted.entry(names).or_default().push(code(&format!("{method} {path}")));
    }
    let points = permitted.into_iter().map(|(names, asked)| (codes(names), asked.join(", ")));
    Section::new(REVIEWERS, "requests", points_of(points)).assert_up_to_date()?;
    // For the query that looks for anything else: what each becomes when ids are replaced.
    let mut known: BTreeSet<String> =
        requests().into_keys().map(|(path, method)| format!("{method} {path}")).collect();
    known.insert("POST /$batch".into());
    let lines: Vec<String> = known.iter().map(|request| format!("    '{request}'")).collect();
    let text = include_str!("documents.kql").replace("KNOWN", &lines.join(",\n"));
    assert_whole_file("docs/queries/any-other-request.kql", &text)
}

/// Every list of `allow_list/fields.rs`, and what it is asked of.
const LISTS: [(&str, &[&str], &str); 18] = [
    ("EVENT", fields::EVENT, "an appointment"),
    ("SUBJECT", fields::SUBJECT, "an appointment, in a request of its own"),
    ("INSTANCE_SUBJECT", fields::INSTANCE_SUBJECT, "of the dates of a series, in the same case"),
    ("EVENT_LOOKUP", fields::EVENT_LOOKUP, "an appointment that is looked for in another mailbox"),
    ("CALENDAR", fields::CALENDAR, "a calendar"),
    ("CALENDAR_PERMISSION", fields::CALENDAR_PERMISSION, "who may act in a calendar"),
    ("USER_IDS", fields::USER_IDS, "a list of people"),
    ("USER", fields::USER, "one person"),
    ("PLACE", fields::PLACE, "a room"),
    ("MEMBERSHIP", fields::MEMBERSHIP, "sent: whether somebody is in the group"),
    ("EVENT_WRITE", fields::EVENT_WRITE, "written to an appointment"),
    ("INVITATION_RESPONSE", fields::INVITATION_RESPONSE, "sent with a room's answer"),
    ("SUBSCRIPTION", fields::SUBSCRIPTION, "sent to subscribe"),
    ("RICH_SUBSCRIPTION", fields::RICH_SUBSCRIPTION, "sent to subscribe with content"),
    ("RENEWAL", fields::RENEWAL, "sent to renew"),
    ("RICH_RENEWAL", fields::RICH_RENEWAL, "sent to renew with content"),
    ("MAIL", fields::MAIL, "sent with mail"),
    ("MESSAGE", fields::MESSAGE, "in a message of ours"),
];

const SOURCE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/handlers/graph/allow_list/fields.rs"));

/// The points above a list in the source: what is named, and why.
fn points(list: &str) -> Vec<(String, String)> {
    let before = SOURCE.split_once(&format!("pub const {list}:")).map_or("", |(before, _)| before);
    let lines: Vec<&str> =
        before.lines().rev().map_while(|line| line.strip_prefix("///")).collect();
    let mut points: Vec<(String, String)> = Vec::new();
    for line in lines.into_iter().rev() {
        if let Some((named, why)) =
            line.strip_prefix(" - ").and_then(|point| point.split_once(": "))
        {
            points.push((named.to_owned(), why.to_owned()));
        } else if let Some((_, why)) = points.last_mut() {
            *why = format!("{why} {}", line.trim());
        }
    }
    points
}

#[test]
fn the_fields_of_an_appointment_are_those_of_the_one_list() -> TestResult {
    let points = points("EVENT");
    let named: Vec<&str> = points.iter().flat_map(|(named, _)| named.split(", ")).collect();
    assert_eq!(
        named.iter().map(|field| field.trim_matches('`')).collect::<BTreeSet<_>>(),
        fields::EVENT.iter().copied().collect(),
        "each field has its reason in the source"
    );
    Section::new(REVIEWERS, "appointment-fields", points_of(points)).assert_up_to_date()?;
    let never = codes(fields::FORBIDDEN.iter().copied());
    Section::new(REVIEWERS, "forbidden-fields", never).assert_up_to_date()
}

#[test]
fn all_other_fields_are_those_of_their_lists() -> TestResult {
    let listed: BTreeSet<&str> =
        LISTS.iter().map(|(name, ..)| *name).chain(["FORBIDDEN"]).collect();
    let there = SOURCE.split("pub const ").skip(1).filter_map(|rest| rest.split_once(": &[&str]"));
    assert_eq!(there.map(|(name, _)| name).collect::<BTreeSet<_>>(), listed);
    let points =
        LISTS.iter().skip(1).map(|(_, list, of)| ((*of).to_owned(), codes(list.iter().copied())));
    Section::new(REVIEWERS, "other-fields", points_of(points)).assert_up_to_date()
}

/// What is in one column of the first table below `heading`, without backticks.
fn column(text: &str, heading: &str, column: usize) -> BTreeSet<String> {
    let below = text.split_once(&format!("\n{heading}\n")).map_or("", |(_, below)| below);
    let rows = below.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cells = rows.filter_map(|row| row.split('|').nth(1 + column));
    cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn the_ways_in_are_the_functions_that_answer_http() -> TestResult {
    let http = FUNCTIONS.iter().filter_map(|function| match function.trigger {
        Trigger::Http { route, .. } => Some(format!("/{PREFIX}/{route}")),
        Trigger::Queue { .. } | Trigger::Timer { .. } => None,
    });
    assert_eq!(column(&read(REVIEWERS)?, "### In", 0), http.collect());
    Ok(())
}

#[test]
fn the_roles_are_those_that_the_templates_give() -> TestResult {
    let given = ROLES.map(|(role, _)| role.to_owned());
    assert_eq!(column(&read(REVIEWERS)?, "### Roles", 1), given.into());
    Ok(())
}
