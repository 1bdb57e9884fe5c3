//! The allow-list's rules for the directory: who is who, which rooms there are, who may act for whom;
//! and for the one mail that is sent.

use serde_json::Value;

use super::{
    fields,
    query_options::{GraphQueryOptions, PagingRule},
    violation::{Violation, require_exact_members, require_guid},
};

/// The type that a group's members are narrowed to.
pub(in crate::graph) const USER_TYPE: &str = "microsoft.graph.user";
/// The type of place that is asked for.
pub(in crate::graph) const ROOM_TYPE: &str = "microsoft.graph.room";

/// The longest address (RFC 5321 section 4.5.3.1: 64 octets, `@`, 255 octets).
const ADDRESS_MAX: usize = 320;

/// Judges a request of the directory; `None` when it is not one. Otherwise how many calendars it reads.
pub(in crate::graph) fn check_directory_request(
    method: &str,
    path: &[&str],
    options: &GraphQueryOptions,
    body: Option<&Value>,
) -> Result<Option<u64>, Violation> {
    match (method, path, body) {
        ("GET", ["users"], None) if options.has_filter() => {
            options.check_directory_lookup(fields::USER, is_address)?;
        }
        ("GET", ["users"], None) => {
            options.check_directory_read(fields::USER_IDS, PagingRule::Pages)?;
        }
        ("GET", ["groups", group, "transitiveMembers", USER_TYPE], None) => {
            require_guid(group)?;
            options.check_directory_read(fields::USER_IDS, PagingRule::CountedPages)?;
        }
        ("GET", ["users", name], None) => {
            check_user_key(name)?;
            options.check_directory_read(fields::USER, PagingRule::SingleObject)?;
        }
        ("GET", ["places", ROOM_TYPE], None) => {
            options.check_directory_read(fields::PLACE, PagingRule::Pages)?;
        }
        // It is read in a calendar, so it counts as a read of one.
        ("GET", ["users", owner, "calendar", "calendarPermissions"], None) => {
            require_guid(owner)?;
            options.check_directory_read(fields::CALENDAR_PERMISSION, PagingRule::Pages)?;
            return Ok(Some(1));
        }
        ("POST", ["users", person, "checkMemberGroups"], Some(body)) => {
            require_guid(person)?;
            options.require_none()?;
            check_membership(body)?;
        }
        ("POST", ["users", sender, "sendMail"], Some(body)) => {
            require_guid(sender)?;
            options.require_none()?;
            check_mail(body)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(0))
}

/// Whether `text` is an address, of the letters that Entra takes in one
/// (learn.microsoft.com/entra/identity/hybrid/connect/plan-connect-userprincipalname) and those of
/// RFC 5322 that mean nothing in a web address. A guest's, with its `#EXT#`, is none here: guests
/// have no mailbox in the tenant.
pub(in crate::graph) fn is_address(text: &str) -> bool {
    let known = |c: u8| c.is_ascii_alphanumeric() || b".-_!~^'+&=".contains(&c);
    let part = |part: &str| !part.is_empty() && part.bytes().all(known);
    let parts = text.split_once('@');
    text.len() <= ADDRESS_MAX && parts.is_some_and(|(name, domain)| part(name) && part(domain))
}

/// An object id or an address, and nothing that could be read as anything else.
fn check_user_key(name: &str) -> Result<(), Violation> {
    if is_address(name) { Ok(()) } else { require_guid(name) }
}

/// One group is asked about.
fn check_membership(body: &Value) -> Result<(), Violation> {
    require_exact_members(body, fields::MEMBERSHIP)?;
    match body["groupIds"].as_array().map(Vec::as_slice) {
        Some([group]) => {
            require_guid(group.as_str().unwrap_or_default()).map_err(|_| Violation::Body)
        }
        Some(_) | None => Err(Violation::Body),
    }
}

/// A message of ours: plain text to one address, no copy kept. This is the only place where a
/// forbidden word passes ([`fields::MAIL_TEXT`]): it names what we write ourselves and send, and
/// nothing that is read. The comparison is with the one message that we can make, so no other
/// member, content type, recipient or attachment gets by.
fn check_mail(body: &Value) -> Result<(), Violation> {
    let message = &body["message"];
    let text = message[fields::MAIL_TEXT]["content"].as_str();
    let to = message["toRecipients"][0]["emailAddress"]["address"].as_str();
    let (subject, text, to) = match (message["subject"].as_str(), text, to) {
        (Some(subject), Some(text), Some(to)) if is_address(to) => (subject, text, to),
        _ => return Err(Violation::Body),
    };
    // Compared as a whole, so that nothing can be added that no line here looks for.
    let is_ours = *body == fields::mail_message(subject, text, to);
    if is_ours { Ok(()) } else { Err(Violation::Body) }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::*;
    use crate::graph::allow_list::{fields::SELECT, requests::AllowList};

    const ANN: &str = "00000000-0000-0000-0000-00000000000a";

    fn allow_list() -> AllowList {
        AllowList::new("https://graph.test/v1.0".parse().unwrap())
    }

    fn get(target: &str) -> Result<(), Violation> {
        allow_list().check(&Method::GET, target, None).map(drop)
    }

    fn post(target: &str, body: &Value) -> Result<(), Violation> {
        allow_list().check(&Method::POST, target, Some(body)).map(drop)
    }

    fn message() -> Value {
        fields::mail_message("Your booking", "It is booked.", "ann@contoso.test")
    }

    /// What we ask, in full.
    fn ours() -> Vec<String> {
        let person = fields::USER.join(",");
        let place = fields::PLACE.join(",");
        vec![
            format!("/users?$top=1&{SELECT}=id"),
            format!("/users?$top=999&{SELECT}=id"),
            format!("/groups/{ANN}/transitiveMembers/{USER_TYPE}?$top=999&$count=true&{SELECT}=id"),
            format!("/users/{ANN}?{SELECT}={person}"),
            format!("/users/ann.o%27neil%2Broom%40contoso.test?{SELECT}={person}"),
            format!("/users?{}&{SELECT}={person}", fields::mail_filter("o'neil+x@contoso.test")),
            format!("/places/{ROOM_TYPE}?$top=100&{SELECT}={place}"),
            format!("/users/{ANN}/calendar/calendarPermissions?{SELECT}=emailAddress,role"),
        ]
    }

    #[test]
    fn what_we_ask_passes_and_so_do_the_pages_after_it() {
        for target in ours() {
            assert_eq!(get(&target), Ok(()), "{target}");
        }
        let base = "https://graph.test/v1.0";
        for next in [
            format!("{base}/users?{SELECT}=id&$top=999&$skiptoken=RFNwd"),
            format!(
                "{base}/groups('{ANN}')/transitiveMembers/{USER_TYPE}?{SELECT}=id&$skiptoken=R"
            ),
            format!("{base}/places/{ROOM_TYPE}?{SELECT}={}&$skip=100", fields::PLACE.join("%2c")),
        ] {
            assert_eq!(get(&next), Ok(()), "{next}");
        }
    }

    #[test]
    fn other_fields_are_refused() {
        for target in ours() {
            let (path, _) = target.split_once('?').unwrap();
            assert_eq!(get(path), Err(Violation::Field), "{path}");
            for more in ["mobilePhone", "*", "id", "", "body", "manager"] {
                assert_eq!(
                    get(&format!("{target},{more}")),
                    Err(Violation::Field),
                    "{target},{more}"
                );
            }
            assert_eq!(get(&format!("{path}?{SELECT}=surname")), Err(Violation::Field), "{path}");
            assert_eq!(get(&format!("{path}?{SELECT}=ID")), Err(Violation::Field), "{path}");
        }
        let fewer = format!("/users/{ANN}?{SELECT}=id,id,mail,displayName");
        assert_eq!(get(&fewer), Err(Violation::Field));
    }

    #[test]
    fn other_options_are_refused() {
        for target in ours() {
            for more in ["$orderby=displayName", "$search=x", "$format=x", "x=y"] {
                assert_eq!(
                    get(&format!("{target}&{more}")),
                    Err(Violation::Option),
                    "{target} {more}"
                );
            }
            let filtered = format!("{target}&{}=startswith(mail,'a')", fields::FILTER);
            assert_eq!(get(&filtered), Err(Violation::Option), "{filtered}");
            let ical = format!("{target}&{}=iCalUId eq 'x'", fields::FILTER);
            assert_eq!(get(&ical), Err(Violation::Option), "{ical}");
            let expanded = format!("{target}&{}=manager", fields::EXPAND);
            assert_eq!(get(&expanded), Err(Violation::Expansion), "{expanded}");
            let window = format!("{target}&startDateTime=a");
            assert_eq!(get(&window), Err(Violation::Option), "{window}");
        }
        let person = format!("/users/{ANN}?{SELECT}={}", fields::USER.join(","));
        assert_eq!(get(&format!("{person}&$top=5")), Err(Violation::Option));
        assert_eq!(get(&format!("/users?{SELECT}=id&$count=true")), Err(Violation::Option));
        let group = format!("/groups/{ANN}/transitiveMembers/{USER_TYPE}?{SELECT}=id");
        assert_eq!(get(&format!("{group}&$count=false")), Err(Violation::Option));
        let event = format!("/users/{ANN}/events/AAMk?{SELECT}=id");
        assert_eq!(get(&format!("{event}&$count=true")), Err(Violation::Option), "nor of events");
    }

    #[test]
    fn a_list_is_narrowed_to_one_address_and_to_nothing_else() {
        let person = fields::USER.join(",");
        let asked = |filter: &str, top: &str| {
            let encoded = fields::percent_encode(filter);
            get(&format!("/users?{}={encoded}{top}&{SELECT}={person}", fields::FILTER))
        };
        assert_eq!(asked("mail eq 'ann@contoso.test'", "&$top=2"), Ok(()));
        for bad in [
            "mail eq 'ann@contoso.test' or startswith(mail,'a')",
            "mail eq 'ann@contoso.test' or mail eq 'bob@contoso.test'",
            "mail eq 'o'neil@contoso.test'",
            "mail eq 'ann'",
            "mail eq ''",
            "mail ne 'ann@contoso.test'",
            "mail eq 'ann@contoso.test' ",
            "userPrincipalName eq 'ann@contoso.test'",
            "startswith(mail,'a')",
            "",
        ] {
            assert_eq!(asked(bad, "&$top=2"), Err(Violation::Option), "{bad}");
        }
        for top in ["", "&$top=3", "&$top=2&$top=2", "&$top=2&$skip=2", "&$top=2&$count=true"] {
            let asked = asked("mail eq 'ann@contoso.test'", top);
            assert_eq!(asked, Err(Violation::Option), "{top}");
        }
        let ids = format!("/users?{}&{SELECT}=id", fields::mail_filter("ann@contoso.test"));
        assert_eq!(get(&ids), Err(Violation::Field));
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "/me".to_owned(),
            "/groups".to_owned(),
            "/places".to_owned(),
            "/places/microsoft.graph.roomList".to_owned(),
            "/directoryRoles".to_owned(),
            format!("/groups/{ANN}"),
            format!("/groups/{ANN}/members/{USER_TYPE}"),
            format!("/groups/{ANN}/transitiveMembers"),
            format!("/groups/everybody/transitiveMembers/{USER_TYPE}"),
            format!("/groups/{ANN}/transitiveMembers/microsoft.graph.group"),
            format!("/users/{ANN}/manager"),
            format!("/users/{ANN}/messages"),
            format!("/users/{ANN}/calendar/calendarPermissions/1"),
            "/users/ann%40contoso.test/calendar/calendarPermissions".to_owned(),
            format!("/users('{ANN}')/memberOf"),
            "/users/delta".to_owned(),
            "/users/$count".to_owned(),
        ] {
            for fields in [fields::USER_IDS, fields::USER, fields::CALENDAR_PERMISSION] {
                let target = format!("{path}?{SELECT}={}", fields.join(","));
                assert_eq!(get(&target), Err(Violation::Unknown), "{target}");
            }
        }
        let check = json!({ "groupIds": [ANN] });
        for path in ["getMemberGroups", "getMemberObjects", "checkMemberObjects", "sendMail/x"] {
            let target = format!("/users/{ANN}/{path}");
            assert_eq!(post(&target, &check), Err(Violation::Unknown), "{target}");
            assert_eq!(post(&target, &message()), Err(Violation::Unknown), "{target}");
        }
        let delete = allow_list().check(&Method::DELETE, &format!("/users/{ANN}"), None);
        assert_eq!(delete, Err(Violation::Unknown));
    }

    #[test]
    fn no_name_leads_to_another_path() {
        let chosen = format!("{SELECT}={}", fields::USER.join(","));
        for hostile in [
            "ann",
            "$count",
            "ann@",
            "@contoso.test",
            "a@b@c",
            "a%40b%2F..",
            "..%2Fgroups",
            "a b@c.d",
            "a%00@b.c",
            "a%0d%0a@b.c",
            "%24filter@x.y",
            "a@b.c;x",
            "a@b.c,d@e.f",
            "%C3%A9@b.c",
            "x(1)@b.c",
            "a%25%32%46@b.c",
            "*@b.c",
        ] {
            assert!(get(&format!("/users/{hostile}?{chosen}")).is_err(), "{hostile}");
        }
        let long = format!("/users/{}%40b.c?{chosen}", "a".repeat(ADDRESS_MAX));
        assert_eq!(get(&long), Err(Violation::Unknown));
        assert_eq!(get(&format!("/users/../users/{ANN}?{chosen}")), Ok(()), "it is judged as sent");
    }

    #[test]
    fn membership_is_asked_of_one_group() {
        let target = format!("/users/{ANN}/checkMemberGroups");
        assert_eq!(post(&target, &json!({ "groupIds": [ANN] })), Ok(()));
        for bad in [
            json!({ "groupIds": [] }),
            json!({ "groupIds": [ANN, ANN] }),
            json!({ "groupIds": ANN }),
            json!({ "groupIds": ["everybody"] }),
            json!({ "groupIds": [7] }),
            json!({ "groupIds": [ANN], "securityEnabledOnly": true }),
            json!({}),
            json!([]),
        ] {
            assert_eq!(post(&target, &bad), Err(Violation::Body), "{bad}");
        }
        let optional = post(&format!("{target}?$top=1"), &json!({ "groupIds": [ANN] }));
        assert_eq!(optional, Err(Violation::Option));
    }

    #[test]
    fn the_forbidden_word_passes_in_our_own_mail_and_nowhere_else() {
        let target = format!("/users/{ANN}/sendMail");
        assert_eq!(post(&target, &message()), Ok(()));
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut mail = message();
            change(&mut mail);
            assert_eq!(post(&target, &mail), Err(Violation::Body), "{mail}");
        };
        changed(&|mail| mail["saveToSentItems"] = json!(true));
        changed(&|mail| mail["more"] = json!(1));
        changed(&|mail| mail["message"][fields::MAIL_TEXT]["contentType"] = json!("HTML"));
        changed(&|mail| mail["message"][fields::MAIL_TEXT]["content"] = json!({}));
        changed(&|mail| mail["message"][fields::MAIL_TEXT] = json!("It is booked."));
        changed(&|mail| mail["message"]["subject"] = json!(null));
        changed(&|mail| mail["message"]["attachments"] = json!([]));
        changed(&|mail| mail["message"]["from"] = json!({}));
        changed(&|mail| mail["message"]["ccRecipients"] = mail["message"]["toRecipients"].clone());
        changed(&|mail| mail["message"]["toRecipients"] = json!([]));
        changed(&|mail| {
            let to = mail["message"]["toRecipients"][0].clone();
            mail["message"]["toRecipients"] = json!([to, to]);
        });
        changed(&|mail| {
            mail["message"]["toRecipients"][0]["emailAddress"]["name"] = json!("Ann");
        });
        for to in ["ann", "ann@contoso.test,bob@contoso.test", "ann@contoso.test\r\nBcc: x@y.z"] {
            changed(&|mail| {
                mail["message"]["toRecipients"][0]["emailAddress"]["address"] = json!(to);
            });
        }
        for other in ["/users/ann%40contoso.test/sendMail", "/me/sendMail"] {
            assert_eq!(post(other, &message()), Err(Violation::Unknown), "{other}");
        }
        let event = format!("/users/{ANN}/events/AAMk");
        let inner = message()["message"].clone();
        let patched = allow_list().check(&Method::PATCH, &event, Some(&inner));
        assert_eq!(patched, Err(Violation::Body), "not into an event");
        assert_eq!(post(&format!("{event}/accept"), &message()), Err(Violation::Body));
    }

    #[test]
    fn a_batch_holds_none_of_them() {
        let batch = |inner: Value| post("/$batch", &json!({ "requests": [inner] }));
        for url in ours() {
            let inner = json!({ "id": "0", "method": "GET", "url": url });
            assert!(batch(inner).is_err(), "{url}");
        }
        let url = format!("/users/{ANN}/sendMail");
        let mail = json!({ "id": "0", "method": "POST", "url": url, "body": message() });
        assert_eq!(batch(mail), Err(Violation::Unknown));
    }

    #[test]
    fn only_what_is_read_in_a_calendar_counts_as_one() {
        let allow_list = allow_list();
        for target in ours() {
            allow_list.check(&Method::GET, &target, None).unwrap();
        }
        assert_eq!(allow_list.counts().calendar_reads, 1);
    }
}
