//! People in the tenant's directory: whether it answers us at all, who is in a group, who is who.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::{
    domain::{
        ids::{GroupId, MailboxId},
        personal::Personal,
    },
    graph::{
        allow_list::{
            directory_rules::{USER_TYPE, is_address},
            fields,
            violation::Violation,
        },
        client::{
            error::GraphError,
            request::{GraphRequest, get_request},
            response::{NextLink, Page},
            send::TenantGraph,
        },
    },
};

/// People a page, the most that Graph gives (learn.microsoft.com/graph/api/user-list and
/// /graph/api/group-list-transitivemembers).
const PAGE_SIZE: usize = 999;

/// Whether `link` continues the list of `group`, or of everybody.
fn continues_list_of(link: &NextLink, group: Option<GroupId>) -> bool {
    let url = Url::parse(&link.0);
    // Links may be written with more percent signs than they need.
    let decoded = |url: Url| {
        let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy();
        path.to_lowercase()
    };
    let path = url.map(decoded).unwrap_or_default();
    match group {
        Some(group) => path.contains(&group.to_string()),
        None => path.ends_with("/users"),
    }
}

/// One person, or a room's mailbox, as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: MailboxId,
    /// What the directory shows; empty when it shows nothing.
    pub name: Personal,
    /// The mail address and the sign-in name, in lower case, each once. Other addresses of the
    /// mailbox are not among them.
    pub addresses: Vec<Personal>,
    /// The mail address, which alone is sure to be one that mail reaches.
    pub mail: Option<Personal>,
}

impl TenantGraph {
    /// Whether Graph shows us the people of the directory: it asks for anybody's id and does not look at
    /// the answer. Microsoft's documents contradict each other on whether `User.ReadBasic.All` is enough
    /// (learn.microsoft.com/graph/api/user-list, /graph/permissions-reference, 2026-11), so this proves
    /// nothing about the tenant's access as a whole (see [`TenantGraph::access_loss`]).
    ///
    /// # Errors
    /// [`GraphError`]: `AccessDenied` when Graph wants `User.Read.All`.
    pub async fn check_directory(&self) -> Result<(), GraphError> {
        let ask = get_request("/users", "/users?$top=1".to_owned(), fields::USER_IDS);
        self.call(&ask).await?.check_answer()
    }

    /// Drops the cached token, so that the next call has one that knows what was granted by now: a
    /// token names the grants of the moment when it was made, and lives for an hour.
    ///
    /// # Errors
    /// [`GraphError`]: no token is to be had.
    pub async fn discard_cached_token(&self) -> Result<(), GraphError> {
        let token = self.access_token().await?;
        self.invalidate_token(&token);
        Ok(())
    }

    /// Whether `person` is in `group`, directly or through other groups. Nobody whom Graph does not
    /// know is, and nobody is in a group that does not exist. Once it was refused, the refusal counts for
    /// an hour.
    pub async fn is_member(&self, person: MailboxId, group: GroupId) -> Result<bool, GraphError> {
        let (refusals, tenant) = (&self.shared.refused_memberships, self.invocation.tenant);
        if refusals.get(&tenant).is_some() {
            return Err(GraphError::AccessDenied);
        }
        let ask = GraphRequest {
            fields: fields::MEMBERSHIP.join(","),
            body: Some(json!({ "groupIds": [group.to_string()] })),
            ..GraphRequest::new(
                Method::POST,
                "/users/{id}/checkMemberGroups",
                format!("/users/{person}/checkMemberGroups"),
            )
        };
        let reply = self.call(&ask).await?;
        if reply.is_unknown_object() {
            return Ok(false);
        }
        reply.check().inspect_err(|error| {
            if *error == GraphError::AccessDenied {
                tracing::warn!("Graph refuses to say who is in the scope group");
                refusals.insert(tenant, ());
            }
        })?;
        let groups: Page<String> = reply.json()?;
        // Graph was asked about one group; another one in its answer says nothing.
        Ok(groups.value.iter().any(|found| found.parse() == Ok(group)))
    }

    /// An administrator looks at what is refused: the next question about a group is asked again.
    pub fn forget_refused_memberships(&self) {
        self.shared.refused_memberships.invalidate(&self.invocation.tenant);
    }

    /// A page of the people in `group` (through other groups too), or of everybody in the tenant:
    /// the first, or the one that `next` leads to. `Ok(None)`: there is no such group. A group with
    /// hidden membership looks empty to us (Graph would want `Member.Read.Hidden`).
    ///
    /// # Errors
    /// [`GraphError`]; `Blocked` when `next` leaves Graph or belongs to another list.
    /// `Unreadable` when a page makes no sense: a missing person must not be taken for one who left.
    pub async fn list_users(
        &self,
        group: Option<GroupId>,
        next: Option<NextLink>,
    ) -> Result<Option<(Vec<MailboxId>, Option<NextLink>)>, GraphError> {
        let mut ask = match group {
            Some(group) => GraphRequest {
                // A list of one type of member comes from the directory's index only, and counted.
                eventual_consistency: true,
                ..get_request(
                    "/groups/{id}/transitiveMembers/microsoft.graph.user",
                    format!(
                        "/groups/{group}/transitiveMembers/{USER_TYPE}?$top={PAGE_SIZE}&{}=true",
                        fields::COUNT
                    ),
                    fields::USER_IDS,
                )
            },
            None => get_request("/users", format!("/users?$top={PAGE_SIZE}"), fields::USER_IDS),
        };
        if let Some(next) = next {
            // A link of another list would put other people into scope.
            if !continues_list_of(&next, group) {
                return Err(GraphError::Blocked(Violation::Address));
            }
            ask.target = next.0;
        }
        let reply = self.call(&ask).await?;
        if group.is_some() && reply.is_unknown_object() {
            return Ok(None);
        }
        reply.check()?;
        let page: Page<Value> = reply.json()?;
        let people: Option<_> = page.value.iter().map(parse_id).collect();
        Ok(Some((people.ok_or(GraphError::Unreadable)?, page.next_link()?)))
    }

    /// Looks a person (or a room) up by object id or by address: the sign-in name, or else the mail
    /// address, which may be another one. `Ok(None)`: there is nobody of that name, or not only one
    /// of that mail address, or it is no name at all, and then nothing is asked. Guests, who have no
    /// mailbox in the tenant, are nobody by their address.
    pub async fn find_user(&self, name: &Personal) -> Result<Option<User>, GraphError> {
        let text = name.reveal().trim();
        let id = text.parse::<MailboxId>().ok();
        let segment = match id {
            Some(id) => id.to_string(),
            None if is_address(text) => fields::percent_encode(text).into_owned(),
            None => return Ok(None),
        };
        let ask = get_request("/users/{id}", format!("/users/{segment}"), fields::USER);
        let reply = self.call(&ask).await?;
        if reply.is_unknown_object() {
            return if id.is_some() { Ok(None) } else { self.find_user_by_mail(text).await };
        }
        reply.check()?;
        let person = parse_user(&reply.json()?).ok_or(GraphError::Unreadable)?;
        // Somebody else's mailbox must not be taken for this one.
        if id.is_some_and(|id| id != person.id) {
            return Err(GraphError::Unreadable);
        }
        Ok(Some(person))
    }

    async fn find_user_by_mail(&self, address: &str) -> Result<Option<User>, GraphError> {
        let target = format!("/users?{}", fields::mail_filter(address));
        let page: Page<Value> = self.read(&get_request("/users", target, fields::USER)).await?;
        // Which of several is meant is not for us to guess.
        let [found] = page.value.as_slice() else { return Ok(None) };
        let person = parse_user(found).ok_or(GraphError::Unreadable)?;
        // The filter is Graph's word; the comparison is ours.
        if !person.mail.as_ref().is_some_and(|mail| mail.reveal().eq_ignore_ascii_case(address)) {
            return Err(GraphError::Unreadable);
        }
        // What Entra makes of a guest's address at home
        // (learn.microsoft.com/entra/external-id/user-properties).
        let is_guest = person.addresses.iter().any(|address| address.reveal().contains("#ext#"));
        Ok((!is_guest).then_some(person))
    }
}

fn parse_id(person: &Value) -> Option<MailboxId> {
    person["id"].as_str()?.parse().ok()
}

fn parse_user(person: &Value) -> Option<User> {
    let text = |name: &str| person[name].as_str().unwrap_or_default().trim();
    let address =
        |name: &str| Some(text(name).to_ascii_lowercase()).filter(|text| !text.is_empty());
    let mail = address("mail");
    let addresses: BTreeSet<String> =
        mail.clone().into_iter().chain(address("userPrincipalName")).collect();
    Some(User {
        id: parse_id(person)?,
        name: Personal::new(person["displayName"].as_str().unwrap_or_default()),
        addresses: addresses.into_iter().map(Personal::new).collect(),
        mail: mail.map(Personal::new),
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::ids::InvalidId,
        graph::{
            allow_list::requests::AllowListCounts,
            client::error::RetryCause,
            test_support::{ANN, BASE, GraphFixture},
        },
    };

    const STAFF: GroupId = GroupId(Uuid::from_u128(0x57AF));

    fn error(code: &str) -> Value {
        json!({ "error": { "code": code, "message": "Dinner with Ann" } })
    }

    fn nobody() -> Value {
        error("Request_ResourceNotFound")
    }

    #[tokio::test]
    async fn the_directory_is_shown_refused_or_out_of_reach() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(200, &json!({ "value": [] }))
            .respond(403, &error("Authorization_RequestDenied"));
        assert_eq!(trial.tenant.check_directory().await, Ok(()));
        assert_eq!(trial.tenant.check_directory().await, Err(GraphError::AccessDenied));
        trial.http.respond(401, &json!({})).respond(401, &json!({}));
        assert_eq!(trial.tenant.check_directory().await, Err(GraphError::TokenRejected));
        trial.tenant.discard_cached_token().await.unwrap();
        trial.http.respond_to_token_request(
            400,
            &[],
            &json!({ "error": "unauthorized_client", "error_codes": [700_016] }),
        );
        assert_eq!(trial.tenant.check_directory().await, Err(GraphError::Disconnected));
        assert!(
            trial.sent_requests()[0].starts_with("GET /users?$top=1&"),
            "{:?}",
            trial.sent_requests()
        );
        assert!(trial.sent_requests()[0].ends_with("=id"));
        let recorded = trial.take_calls();
        assert_eq!((&*recorded[0].path, recorded[0].fields.as_str()), ("/users", "id"));
        assert_eq!(trial.graph.counts(), AllowListCounts { calendar_reads: 0, blocked: 0 });
    }

    #[tokio::test]
    async fn a_renewed_token_is_a_new_one() {
        let trial = GraphFixture::new();
        trial.http.respond(200, &json!({})).respond(200, &json!({}));
        trial.tenant.check_directory().await.unwrap();
        trial.tenant.discard_cached_token().await.unwrap();
        trial.tenant.check_directory().await.unwrap();
        assert_eq!(trial.last_header("authorization"), "Bearer token-2");
    }

    #[tokio::test]
    async fn membership_is_graphs_word_about_this_very_group() {
        let trial = GraphFixture::new();
        let other = GroupId(Uuid::from_u128(0xBAD));
        trial.http.respond(200, &json!({ "value": [STAFF.to_string().to_uppercase()] }));
        trial
            .http
            .respond(200, &json!({ "value": [other.to_string()] }))
            .respond(200, &json!({ "value": [] }));
        trial
            .http
            .respond(404, &nobody())
            .respond(404, &error("Surprise"))
            .respond(403, &json!({}));
        let is_member = async || trial.tenant.is_member(ANN, STAFF).await;
        assert_eq!(is_member().await, Ok(true));
        assert_eq!(trial.last_body(), json!({ "groupIds": [STAFF.to_string()] }));
        assert_eq!(trial.sent_requests()[0], format!("POST /users/{ANN}/checkMemberGroups"));
        assert_eq!(is_member().await, Ok(false));
        assert_eq!(is_member().await, Ok(false));
        assert_eq!(is_member().await, Ok(false), "unknown people are in no group");
        let surprise = GraphError::Refused { status: 404, code: "Surprise".into() };
        assert_eq!(is_member().await, Err(surprise), "a 404 of another kind says nothing");
        assert_eq!(is_member().await, Err(GraphError::AccessDenied));
        let asked = trial.sent_requests().len();
        assert_eq!(is_member().await, Err(GraphError::AccessDenied));
        assert_eq!(trial.sent_requests().len(), asked, "the refusal counts for an hour");
        trial.tenant.forget_refused_memberships();
        trial.http.respond(200, &json!({ "value": [] }));
        assert_eq!(is_member().await, Ok(false));
        assert_eq!(trial.take_calls()[0].path, "/users/{id}/checkMemberGroups");
    }

    fn page(ids: &[u128], next: Option<String>) -> Value {
        let people = ids.iter().map(|id| json!({ "id": Uuid::from_u128(*id).to_string() }));
        json!({ "value": people.collect::<Vec<_>>(), "@odata.nextLink": next })
    }

    #[tokio::test]
    async fn the_people_of_a_group_come_page_by_page_and_the_link_survives_as_text() {
        let trial = GraphFixture::new();
        let list = format!("{BASE}/groups('{STAFF}')/transitiveMembers/{USER_TYPE}");
        let link = format!("{list}?{}&$skiptoken=RFNwd", fields::select_option(fields::USER_IDS));
        trial.http.respond(200, &page(&[1, 2], Some(link.clone()))).respond(200, &page(&[3], None));
        let first = trial.tenant.list_users(Some(STAFF), None).await.unwrap().unwrap();
        assert_eq!(first.0.len(), 2);
        let asked = &trial.sent_requests()[0];
        let members = format!("GET /groups/{STAFF}/transitiveMembers/{USER_TYPE}");
        assert!(asked.starts_with(&format!("{members}?$top=999&$count=true&")), "{asked}");
        assert_eq!(trial.last_header("consistencylevel"), "eventual");
        let text = first.1.as_ref().unwrap().0.clone();
        assert_eq!(format!("{:?}", first.1), "Some(NextLink(..))");
        let second = trial.tenant.list_users(Some(STAFF), Some(text.parse().unwrap())).await;
        let last = vec![MailboxId(Uuid::from_u128(3))];
        assert_eq!(second, Ok(Some((last, None))));
        assert_eq!(trial.last_header("consistencylevel"), "eventual");
        assert_eq!(
            trial.take_calls()[1].path,
            "/groups/{id}/transitiveMembers/microsoft.graph.user"
        );
    }

    #[tokio::test]
    async fn everybody_is_a_list_too() {
        let trial = GraphFixture::new();
        trial.http.respond(200, &page(&[1], None)).respond(404, &nobody());
        assert!(trial.tenant.list_users(None, None).await.unwrap().is_some());
        assert!(trial.sent_requests()[0].starts_with("GET /users?$top=999&"));
        assert!(trial.http.requests()[0].headers().get("consistencylevel").is_none());
        assert_eq!(trial.tenant.list_users(None, None).await, Err(GraphError::MailboxNotFound));
    }

    #[tokio::test]
    async fn a_group_that_does_not_exist_is_distinguished_from_an_empty_one() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(404, &nobody())
            .respond(200, &page(&[], None))
            .respond(404, &error("Surprise"));
        assert_eq!(trial.tenant.list_users(Some(STAFF), None).await, Ok(None));
        assert_eq!(trial.tenant.list_users(Some(STAFF), None).await, Ok(Some((vec![], None))));
        assert!(trial.tenant.list_users(Some(STAFF), None).await.is_err());
    }

    #[tokio::test]
    async fn a_link_to_anywhere_else_is_not_followed() {
        let trial = GraphFixture::new();
        let select = fields::select_option(fields::USER_IDS);
        let other = Uuid::from_u128(9);
        for link in [
            format!("https://evil.test/v1.0/groups/{STAFF}/transitiveMembers/{USER_TYPE}?{select}"),
            format!("{BASE}/groups/{other}/transitiveMembers/{USER_TYPE}?{select}"),
            format!("{BASE}/groups/{STAFF}/transitiveMembers?{select}"),
            format!("{BASE}/groups/{STAFF}/transitiveMembers/{USER_TYPE}?$skiptoken=x"),
            format!("{BASE}/groups/{STAFF}/transitiveMembers/{USER_TYPE}?{select},mail"),
            format!("{BASE}/users?{select}"),
        ] {
            let followed = trial.tenant.list_users(Some(STAFF), Some(link.parse().unwrap())).await;
            assert!(matches!(followed, Err(GraphError::Blocked(_))), "{link}");
        }
        let members = format!("{BASE}/groups/{STAFF}/transitiveMembers/{USER_TYPE}?{select}");
        let followed = trial.tenant.list_users(None, Some(members.parse().unwrap())).await;
        assert!(matches!(followed, Err(GraphError::Blocked(_))));
        assert!(trial.sent_requests().is_empty());
        for bad in ["", "users", "/users?x", "file:///etc/passwd", &"https://x.test/".repeat(999)] {
            assert_eq!(bad.parse::<NextLink>(), Err(InvalidId), "{bad}");
        }
    }

    #[tokio::test]
    async fn one_strange_id_spoils_the_page() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(200, &json!({ "value": [{ "id": "ann" }] }))
            .respond(200, &json!({ "value": [{}] }));
        trial.http.respond(200, &page(&[1], Some("not a link".into())));
        for _ in 0..3 {
            assert_eq!(trial.tenant.list_users(None, None).await, Err(GraphError::Unreadable));
        }
    }

    fn ann() -> Value {
        json!({
            "id": ANN.to_string(),
            "displayName": "Ann Example",
            "mail": "Ann@contoso.test",
            "userPrincipalName": "ann@CONTOSO.test",
        })
    }

    #[tokio::test]
    async fn a_person_is_found_by_id_and_by_address() {
        let trial = GraphFixture::new();
        let mut two = ann();
        two["mail"] = json!("ann.example@contoso.test");
        two["displayName"] = json!(null);
        trial.http.respond(200, &ann()).respond(200, &two).respond(404, &nobody());
        trial.http.respond(200, &json!({ "value": [] }));
        let person = async |name: &str| trial.tenant.find_user(&Personal::new(name)).await;
        let found = person(&ANN.to_string().to_uppercase()).await.unwrap().unwrap();
        assert_eq!((found.id, found.name.reveal()), (ANN, "Ann Example"));
        assert_eq!(found.addresses, [Personal::new("ann@contoso.test")]);
        assert!(!format!("{found:?}").contains("Ann Example"));
        assert!(!format!("{found:?}").contains("contoso"));
        let found = person(" o'neil+x@contoso.test ").await.unwrap().unwrap();
        assert_eq!(found.addresses.len(), 2);
        assert_eq!(found.name, Personal::default());
        assert_eq!(person("bob@contoso.test").await, Ok(None));
        let asked = trial.sent_requests();
        assert!(asked[0].starts_with(&format!("GET /users/{ANN}?")), "{asked:?}");
        assert!(asked[1].starts_with("GET /users/o%27neil%2Bx%40contoso.test?"), "{asked:?}");
        let recorded = trial.take_calls();
        let paths: Vec<&str> = recorded.iter().map(|call| &*call.path).collect();
        assert_eq!(paths, ["/users/{id}", "/users/{id}", "/users/{id}", "/users"]);
        assert!(!format!("{recorded:?}").contains("contoso"), "no address in the call log");
    }

    #[tokio::test]
    async fn a_mailbox_whose_mail_address_is_not_its_sign_in_name_is_found_all_the_same() {
        let trial = GraphFixture::new();
        let person = async |name: &str| trial.tenant.find_user(&Personal::new(name)).await;
        let answers = |people: &[Value]| {
            trial.http.respond(404, &nobody()).respond(200, &json!({ "value": people }));
        };
        let mut room = ann();
        room["mail"] = json!("O'Neil+Room@contoso.test");
        answers(&[room.clone()]);
        let found = person("o'neil+room@contoso.test").await.unwrap().unwrap();
        assert_eq!((found.id, found.addresses.len()), (ANN, 2));
        let person_fields = fields::select_option(fields::USER);
        assert_eq!(
            trial.sent_requests()[1],
            format!(
                "GET /users?$filter=mail%20eq%20%27o%27%27neil%2Broom%40contoso.test%27&$top=2\
                 &{person_fields}"
            )
        );
        answers(&[room.clone(), ann()]);
        assert_eq!(person("o'neil+room@contoso.test").await, Ok(None), "which of them?");
        answers(&[ann()]);
        assert_eq!(person("bob@contoso.test").await, Err(GraphError::Unreadable));
        let mut guest = ann();
        guest["userPrincipalName"] = json!("ann_contoso.test#EXT#@fabrikam.test");
        answers(&[guest]);
        assert_eq!(person("ann@contoso.test").await, Ok(None));
        trial.http.respond(404, &nobody());
        assert_eq!(person(&ANN.to_string()).await, Ok(None), "an id is no mail address");
        trial.http.respond(404, &nobody()).respond(503, &json!({}));
        assert!(person("bob@contoso.test").await.is_err());
        assert_eq!(trial.graph.counts(), AllowListCounts::default());
    }

    #[tokio::test]
    async fn what_is_no_name_is_nobody_and_nothing_is_asked() {
        let trial = GraphFixture::new();
        for hostile in [
            "",
            "ann",
            "../groups",
            "a@b/../../me",
            "a@b.c?x=y",
            "a@b.c#x",
            "a@b.c%2F",
            "$count",
            "a@b@c",
            "a b@c.d",
            "x')/messages('@c.d",
            "a\n@b.c",
            "é@b.c",
            "ann_x.test#EXT#@b.c",
            "@",
        ] {
            assert_eq!(
                trial.tenant.find_user(&Personal::new(hostile)).await,
                Ok(None),
                "{hostile}"
            );
        }
        assert!(trial.sent_requests().is_empty());
        assert_eq!(trial.graph.counts(), AllowListCounts::default());
    }

    #[tokio::test]
    async fn an_answer_about_somebody_else_is_not_believed() {
        let trial = GraphFixture::new();
        let other = Personal::new(Uuid::from_u128(9).to_string());
        trial
            .http
            .respond(200, &ann())
            .respond(200, &json!({ "id": "ann" }))
            .respond(503, &json!({}));
        assert_eq!(trial.tenant.find_user(&other).await, Err(GraphError::Unreadable));
        assert_eq!(trial.tenant.find_user(&other).await, Err(GraphError::Unreadable));
        let later = GraphError::Retry { after: None, cause: RetryCause::Unavailable(503) };
        assert_eq!(trial.tenant.find_user(&other).await, Err(later));
    }
}
