//! Subscriptions: Graph's promise to tell us of changes in one mailbox.

use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::types::{CreateResult, NewSubscription, Subscription};
use crate::{
    domain::ids::SubscriptionId,
    graph::{
        allow_list::fields::{self, percent_encode},
        client::{
            error::{GraphError, RetryCause},
            request::GraphRequest,
            response::{GraphResponse, Page},
            send::TenantGraph,
        },
    },
};

/// The one spelling of the change types: with another one Graph would take a second subscription
/// for the same mailbox (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
const CHANGE_TYPES: &str = "created,updated,deleted";

/// Pages of the list that are read before it is called unreadable.
const PAGES_MAX: usize = 1_000;

impl TenantGraph {
    /// Orders a subscription to the changes of a mailbox's default calendar, with immutable ids.
    /// Graph validates both addresses before it answers.
    ///
    /// # Errors
    /// [`GraphError`]; `Retry` with [`RetryCause::WebhookValidation`] when our own webhook did not answer in time.
    pub async fn subscribe(
        &self,
        subscription: &NewSubscription,
    ) -> Result<CreateResult, GraphError> {
        let (resource, asked) = match &subscription.resource_data {
            None => (fields::events_resource(subscription.mailbox), fields::SUBSCRIPTION.join(",")),
            Some(content) => {
                let lists = [fields::SUBSCRIPTION, fields::RICH_SUBSCRIPTION, fields::EVENT];
                let resource = fields::events_resource_with_data(
                    subscription.mailbox,
                    content.add_in_property.as_ref(),
                );
                (resource, lists.concat().join(","))
            }
        };
        let mut body = json!({
            "changeType": CHANGE_TYPES,
            "notificationUrl": subscription.notification_url.as_str(),
            // It cannot be added later, and without it nothing would say that one was removed.
            "lifecycleNotificationUrl": subscription.lifecycle_notification_url.as_str(),
            "resource": resource,
            "expirationDateTime": fields::format_instant(subscription.expires_at),
            "clientState": subscription.client_state,
            "latestSupportedTlsVersion": "v1_2",
        });
        if let Some(content) = &subscription.resource_data {
            body[fields::INCLUDE_RESOURCE_DATA] = json!(true);
            content.add_certificate_to(&mut body);
        }
        let ask = GraphRequest {
            fields: asked,
            body: Some(body),
            ..GraphRequest::new(Method::POST, "/subscriptions", "/subscriptions".to_owned())
        };
        let reply = self.call(&ask).await?;
        // Graph documents hardly any codes for these refusals, so its words have to do.
        match reply.status {
            409 => Ok(CreateResult::AlreadyExists {
                id: existing_subscription_id(&reply.error_text("message")),
            }),
            400 => classify_bad_request(&reply),
            403 if is_over_quota(&reply) => Ok(CreateResult::OverQuota),
            _ => {
                reply.check()?;
                let Subscription { id, expires_at, .. } = parse_answer(&reply)?;
                Ok(CreateResult::Created { id, expires_at })
            }
        }
    }

    /// One of our subscriptions; `Ok(None)` when there is no such subscription (any more).
    pub async fn find_subscription(
        &self,
        id: &SubscriptionId,
    ) -> Result<Option<Subscription>, GraphError> {
        let reply = self.call(&subscription_request(Method::GET, id)).await?;
        if reply.is_not_found() {
            return Ok(None);
        }
        reply.check()?;
        parse_answer(&reply).map(Some)
    }

    /// Removes a subscription; one that is not there any more is removed.
    pub async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), GraphError> {
        // Not there any more is what was wanted, whatever code says so.
        let reply = self.call(&subscription_request(Method::DELETE, id)).await?;
        if reply.is_not_found() { Ok(()) } else { reply.check_answer() }
    }

    /// All our subscriptions in this tenant. Rarely: Graph allows 25 of these calls in 20 s
    /// (learn.microsoft.com/graph/throttling-limits, 2026-02-06).
    ///
    /// # Errors
    /// [`GraphError`]; an entry without id or end is left out.
    pub async fn list_subscriptions(&self) -> Result<Vec<Subscription>, GraphError> {
        let mut all = Vec::new();
        let mut target = "/subscriptions".to_owned();
        for _ in 0..PAGES_MAX {
            let ask = GraphRequest::new(Method::GET, "/subscriptions", target);
            let page: Page<Value> = self.read(&ask).await?;
            // One that makes no sense is none of ours, and spoils no other.
            all.extend(page.value.iter().filter_map(parse_subscription));
            match page.next {
                Some(next) => target = next,
                None => return Ok(all),
            }
        }
        Err(GraphError::Unreadable)
    }
}

pub(super) fn subscription_request(method: Method, id: &SubscriptionId) -> GraphRequest {
    GraphRequest::new(
        method,
        "/subscriptions/{id}",
        format!("/subscriptions/{}", percent_encode(id.as_str())),
    )
}

/// The subscription that an answer holds.
pub(super) fn parse_answer(reply: &GraphResponse) -> Result<Subscription, GraphError> {
    parse_subscription(&reply.json()?).ok_or(GraphError::Unreadable)
}

fn parse_subscription(json: &Value) -> Option<Subscription> {
    let resource = json["resource"].as_str().unwrap_or_default().trim_start_matches('/');
    // One that brings content names its fields after the path.
    let resource = resource.split_once('?').map_or(resource, |(path, _)| path);
    let mailbox = match resource.split('/').collect::<Vec<_>>().as_slice() {
        [users, id, events]
            if users.eq_ignore_ascii_case("users") && events.eq_ignore_ascii_case("events") =>
        {
            id.parse().ok()
        }
        _ => None,
    };
    Some(Subscription {
        id: json["id"].as_str()?.parse().ok()?,
        mailbox,
        expires_at: json["expirationDateTime"].as_str()?.parse().ok()?,
        notification_url: json["notificationUrl"].as_str().and_then(|url| url.parse().ok()),
        includes_resource_data: json["includeResourceData"] == true,
    })
}

fn classify_bad_request(reply: &GraphResponse) -> Result<CreateResult, GraphError> {
    if is_webhook_validation_failure(reply) {
        return Err(webhook_validation_error(reply));
    }
    let too_long = reply.error_text("code") == "ErrorInvalidParameter"
        || reply.error_text("message").to_ascii_lowercase().contains("expiration");
    if !too_long {
        reply.check()?;
    }
    Ok(CreateResult::ExpirationTooFar)
}

pub(super) fn webhook_validation_error(reply: &GraphResponse) -> GraphError {
    GraphError::Retry { after: reply.retry_after, cause: RetryCause::WebhookValidation }
}

/// The first GUID in Graph's message: `Subscription Id <..> already exists for the requested
/// combination`.
fn existing_subscription_id(message: &str) -> Option<SubscriptionId> {
    // By its form, since the words around it are not documented.
    let mut words = message.split(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    let guid = words.find(|word| word.len() == 36 && Uuid::try_parse(word).is_ok())?;
    guid.parse().ok()
}

/// "Subscription validation request timed out" and "... failed"
/// (learn.microsoft.com/graph/api/subscription-post-subscriptions).
pub(super) fn is_webhook_validation_failure(reply: &GraphResponse) -> bool {
    reply.error_text("message").to_ascii_lowercase().contains("validation request")
}

/// Graph's message says which number was reached
/// (learn.microsoft.com/graph/change-notifications-overview, 2025-03-05); its words are not documented.
fn is_over_quota(reply: &GraphResponse) -> bool {
    let message = reply.error_text("message").to_ascii_lowercase();
    ["quota", "maximum number", "limit"].iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::graph::{
        allow_list::{property_id::PropertyId, violation::Violation},
        subscriptions::types::ResourceDataOptions,
        test_support::{ANN, BASE, GraphFixture},
    };

    const ID: &str = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07";

    fn id() -> SubscriptionId {
        ID.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn order() -> NewSubscription {
        NewSubscription {
            mailbox: ANN,
            notification_url: "https://rooms.test/api/notifications".parse().unwrap(),
            lifecycle_notification_url: "https://rooms.test/api/notifications?kind=lifecycle"
                .parse()
                .unwrap(),
            client_state: "proof".into(),
            expires_at: at("2026-11-30T09:00:00.5Z"),
            resource_data: None,
        }
    }

    /// A certificate of the outer form; nobody opens anything with it here.
    fn content() -> ResourceDataOptions {
        let id = "c20261122-0a1b2c3d".parse().unwrap();
        ResourceDataOptions {
            certificate: "MAQwAgUA".into(),
            certificate_id: id,
            add_in_property: None,
        }
    }

    fn subscription(id: &str, resource: &str) -> Value {
        json!({
            "id": id,
            "resource": resource,
            "changeType": CHANGE_TYPES,
            "clientState": null,
            "notificationUrl": "https://rooms.test/api/notifications",
            "expirationDateTime": "2026-11-29T09:00:00.9356913Z",
        })
    }

    fn error(code: &str, message: &str) -> Value {
        json!({ "error": { "code": code, "message": message } })
    }

    #[tokio::test]
    async fn an_order_names_the_mailbox_and_its_proof_and_graphs_word_on_the_end_counts() {
        let trial = GraphFixture::new();
        trial.http.respond(201, &subscription(ID, "users/x/events"));
        let made = trial.tenant.subscribe(&order()).await;
        let expires = at("2026-11-29T09:00:00.9356913Z");
        assert_eq!(made, Ok(CreateResult::Created { id: id(), expires_at: expires }));
        let body = trial.last_body();
        assert_eq!(body["resource"], format!("users/{ANN}/events"));
        assert_eq!(body["changeType"], "created,updated,deleted");
        assert_eq!(body["expirationDateTime"], "2026-11-30T09:00:00Z");
        assert_eq!(body["clientState"], "proof");
        assert_eq!(body["lifecycleNotificationUrl"], order().lifecycle_notification_url.as_str());
        assert!(trial.last_header("prefer").contains("ImmutableId"));
        assert!(!trial.take_calls()[0].fields.contains("proof"));
    }

    #[tokio::test]
    async fn each_refusal_of_an_order_is_distinguished() {
        let trial = GraphFixture::new();
        let there = format!("Subscription Id <{ID}> already exists for the requested combination");
        let wait = |cause| Err(GraphError::Retry { after: None, cause });
        let cases = [
            (409, error("Conflict", &there), Ok(CreateResult::AlreadyExists { id: Some(id()) })),
            (409, error("Conflict", "exists"), Ok(CreateResult::AlreadyExists { id: None })),
            (400, error("ErrorInvalidParameter", ""), Ok(CreateResult::ExpirationTooFar)),
            (
                400,
                error("InvalidRequest", "Subscription expiration can only be 4230 minutes"),
                Ok(CreateResult::ExpirationTooFar),
            ),
            (
                400,
                error("InvalidRequest", "Subscription validation request timed out."),
                wait(RetryCause::WebhookValidation),
            ),
            (
                400,
                error("InvalidRequest", "No"),
                Err(GraphError::Refused { status: 400, code: "InvalidRequest".into() }),
            ),
            (
                403,
                error("Forbidden", "The maximum number of 1000 active"),
                Ok(CreateResult::OverQuota),
            ),
            (403, error("Forbidden", "quota exceeded"), Ok(CreateResult::OverQuota)),
            (
                403,
                error("ExtensionError", "Operation: Create; Exception: []"),
                Err(GraphError::AccessDenied),
            ),
            (404, error("ErrorInvalidUser", ""), Err(GraphError::MailboxNotFound)),
            (429, json!({}), wait(RetryCause::Throttled)),
        ];
        for (status, body, outcome) in cases {
            trial.http.respond(status, &body);
            assert_eq!(trial.tenant.subscribe(&order()).await, outcome, "{status} {body}");
        }
    }

    #[tokio::test]
    async fn a_renewal_believes_the_answer_and_knows_when_there_is_nothing_to_renew() {
        let trial = GraphFixture::new();
        trial.http.respond(200, &subscription(ID, "users/x/events"));
        trial.http.respond(404, &error("ResourceNotFound", "The object was not found."));
        trial
            .http
            .respond(400, &error("InvalidRequest", "Subscription validation request failed."));
        let wanted = at("2026-12-05T09:00:00Z");
        let renewed = trial.tenant.renew(&id(), wanted, None).await;
        assert_eq!(renewed, Ok(Some(at("2026-11-29T09:00:00.9356913Z"))));
        assert_eq!(trial.last_body(), json!({ "expirationDateTime": "2026-12-05T09:00:00Z" }));
        assert_eq!(trial.sent_requests()[0], format!("PATCH /subscriptions/{ID}"));
        assert_eq!(trial.tenant.renew(&id(), wanted, None).await, Ok(None));
        let failed = trial.tenant.renew(&id(), wanted, None).await;
        assert_eq!(
            failed,
            Err(GraphError::Retry { after: None, cause: RetryCause::WebhookValidation })
        );
    }

    #[tokio::test]
    async fn an_order_of_content_names_the_allowed_fields_and_who_can_open_it() {
        let trial = GraphFixture::new();
        trial.http.respond(201, &subscription(ID, "users/x/events"));
        let add_in: PropertyId =
            "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name Choice".parse().unwrap();
        let rich = ResourceDataOptions { add_in_property: Some(add_in.clone()), ..content() };
        let order = NewSubscription { resource_data: Some(rich), ..order() };
        trial.tenant.subscribe(&order).await.unwrap();
        let body = trial.last_body();
        let fields = fields::EVENT.join(",");
        let expansion = format!("singleValueExtendedProperties($filter=id eq '{add_in}')");
        let resource = format!("users/{ANN}/events?{}={fields}", fields::SELECT);
        assert_eq!(body["resource"], format!("{resource}&{}={expansion}", fields::EXPAND));
        assert!(!resource.contains("subject"));
        assert_eq!(body["includeResourceData"], true);
        assert_eq!(body["encryptionCertificate"], "MAQwAgUA");
        assert_eq!(body["encryptionCertificateId"], "c20261122-0a1b2c3d");
        assert!(
            trial.take_calls()[0].fields.contains("attendees"),
            "the audit names what is brought"
        );
    }

    #[tokio::test]
    async fn a_renewal_brings_the_newest_certificate() {
        let trial = GraphFixture::new();
        trial.http.respond(200, &subscription(ID, "users/x/events"));
        let wanted = at("2026-12-05T09:00:00Z");
        trial.tenant.renew(&id(), wanted, Some(&content())).await.unwrap();
        assert_eq!(
            trial.last_body(),
            json!({
                "expirationDateTime": "2026-12-05T09:00:00Z",
                "encryptionCertificate": "MAQwAgUA",
                "encryptionCertificateId": "c20261122-0a1b2c3d",
            })
        );
    }

    #[tokio::test]
    async fn removing_what_is_not_there_is_fine() {
        let trial = GraphFixture::new();
        let gone = json!({ "error": { "code": "ResourceNotFound" } });
        trial.http.respond(204, &json!(null)).respond(404, &gone);
        assert_eq!(trial.tenant.unsubscribe(&id()).await, Ok(()));
        assert_eq!(trial.tenant.unsubscribe(&id()).await, Ok(()));
        // Something in between says nothing of it.
        trial.http.respond(404, &json!({})).respond(200, &json!("<html>")).respond(500, &json!({}));
        for _ in 0..3 {
            assert!(trial.tenant.unsubscribe(&id()).await.is_err());
        }
        assert_eq!(trial.take_calls()[0].path, "/subscriptions/{id}");
    }

    #[tokio::test]
    async fn the_list_has_pages_and_tells_whose_subscription_each_is() {
        let trial = GraphFixture::new();
        let other = "8f105c7d-2dc5-4530-97cd-4e7ae6534c07";
        let first = [subscription(ID, &format!("/Users/{ANN}/Events")), json!({ "id": 7 })];
        trial.http.respond(
            200,
            &json!({
                "value": first,
                "@odata.nextLink": format!("{BASE}/subscriptions?$skiptoken=x"),
            }),
        );
        trial.http.respond(
            200,
            &json!({ "value": [
            subscription(other, "me/messages"),
            subscription(other, &fields::events_resource_with_data(ANN, None)),
        ] }),
        );
        let listed = trial.tenant.list_subscriptions().await.unwrap();
        let mailboxes: Vec<_> = listed.iter().map(|listed| listed.mailbox).collect();
        assert_eq!(mailboxes, [Some(ANN), None, Some(ANN)]);
        assert_eq!(listed[0].notification_url, Some(order().notification_url));

        let evil =
            json!({ "value": [], "@odata.nextLink": "https://evil.test/v1.0/subscriptions" });
        trial.http.respond(200, &evil);
        let stopped = trial.tenant.list_subscriptions().await;
        assert_eq!(stopped, Err(GraphError::Blocked(Violation::Address)));
    }

    #[test]
    fn an_id_cannot_leave_its_path_segment() {
        for bad in ["", "a/b", "..", "a?b", "a b"] {
            assert!(bad.parse::<SubscriptionId>().is_err(), "{bad}");
        }
    }
}
