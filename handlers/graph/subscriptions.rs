//! Subscriptions: Graph's promise to tell us of changes in one mailbox.

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    client::{Ask, TenantGraph},
    error::{Cause, GraphError},
    fields::{self, encoded},
    renewals::renewal,
    subscription_words::{id_within, is_handshake, is_over_quota},
    wire::{Page, Reply},
};
use crate::domain::ids::MailboxId;

pub use super::{rich_content::RichContent, subscription_id::SubscriptionId};

/// The one spelling of the change types: with another one Graph would take a second subscription
/// for the same mailbox (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
const CHANGES: &str = "created,updated,deleted";

/// Pages of the list that are read before it is called unreadable.
const PAGES_MAX: usize = 1_000;

/// What to subscribe to, and how it is to prove itself.
#[derive(Clone)]
pub struct SubscriptionOrder {
    /// Whose default calendar.
    pub mailbox: MailboxId,
    /// Where change notifications go.
    pub notification_url: Url,
    /// Where lifecycle notifications go; cannot be added later.
    pub lifecycle_url: Url,
    /// The self-proving client state; a secret, cannot be changed later.
    pub client_state: String,
    /// The wanted end: below 10,080 minutes from now, with content below 1,440
    /// (learn.microsoft.com/graph/change-notifications-overview, 2025-03-05).
    pub expires: Timestamp,
    /// Whether notifications are to bring the content of events, and sealed for whom.
    pub content: Option<RichContent>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscribed {
    /// It exists now.
    Created {
        /// Its id.
        id: SubscriptionId,
        /// When it ends, as Graph says.
        expires: Timestamp,
    },
    /// There is one already for this mailbox: adopt or remove it.
    AlreadyThere {
        /// Its id, if Graph's message named it; otherwise see [`TenantGraph::subscriptions`].
        id: Option<SubscriptionId>,
    },
    /// The mailbox has as many subscriptions, of all applications, as it may (1,000:
    /// learn.microsoft.com/graph/change-notifications-overview, 2025-03-05).
    OverQuota,
    /// The end was too far away: order a shorter life (4,200 minutes were always taken).
    ShorterLife,
}

/// A subscription that exists, as far as it is ours to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionListed {
    /// Its id.
    pub id: SubscriptionId,
    /// The mailbox it watches; `None` when it watches something else.
    pub mailbox: Option<MailboxId>,
    /// When it ends.
    pub expires: Timestamp,
    /// Where its change notifications go.
    pub notification_url: Option<Url>,
    /// Whether its notifications bring the content of events.
    pub rich: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionWire {
    id: String,
    expiration_date_time: String,
    resource: Option<String>,
    notification_url: Option<String>,
    include_resource_data: Option<bool>,
}

impl TenantGraph {
    /// Orders a subscription to the changes of a mailbox's default calendar, with immutable ids.
    /// Graph validates both addresses before it answers.
    ///
    /// # Errors
    /// [`GraphError`]; `Wait` with [`Cause::Handshake`] when our own webhook did not answer in time.
    pub async fn subscribe(&self, order: &SubscriptionOrder) -> Result<Subscribed, GraphError> {
        let (resource, asked) = match &order.content {
            None => (fields::resource(order.mailbox), fields::SUBSCRIPTION.join(",")),
            Some(content) => {
                let lists = [fields::SUBSCRIPTION, fields::SEALED, fields::EVENT];
                let resource = fields::rich_resource(order.mailbox, content.add_in.as_ref());
                (resource, lists.concat().join(","))
            }
        };
        let mut body = json!({
            "changeType": CHANGES,
            "notificationUrl": order.notification_url.as_str(),
            "lifecycleNotificationUrl": order.lifecycle_url.as_str(),
            "resource": resource,
            "expirationDateTime": fields::instant(order.expires),
            "clientState": order.client_state,
            "latestSupportedTlsVersion": "v1_2",
        });
        if let Some(content) = &order.content {
            body[fields::INCLUDE] = json!(true);
            content.seal(&mut body);
        }
        let ask = Ask {
            fields: asked,
            body: Some(body),
            ..Ask::new(Method::POST, "/subscriptions", "/subscriptions".to_owned())
        };
        let reply = self.call(&ask).await?;
        match reply.status {
            409 => Ok(Subscribed::AlreadyThere { id: id_within(&reply.error().message) }),
            400 => bad_order(&reply),
            403 if is_over_quota(&reply) => Ok(Subscribed::OverQuota),
            _ => {
                reply.check()?;
                let wire: SubscriptionWire = reply.json()?;
                Ok(Subscribed::Created { id: id_of(&wire.id)?, expires: wire.expires()? })
            }
        }
    }

    /// Prolongs a subscription (which also authorises it anew) and returns the end that Graph
    /// answers, whatever was asked; `Ok(None)` when there is no such subscription any more. One that
    /// brings content is given the certificate of `content` from now on.
    ///
    /// # Errors
    /// [`GraphError`]; `Refused` with 400 also when the end is too far away.
    pub async fn renew(
        &self,
        id: &SubscriptionId,
        expires: Timestamp,
        content: Option<&RichContent>,
    ) -> Result<Option<Timestamp>, GraphError> {
        renewed(&self.call(&renewal(id, expires, content)).await?)
    }

    /// One of our subscriptions; `Ok(None)` when there is no such subscription (any more).
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn subscription(
        &self,
        id: &SubscriptionId,
    ) -> Result<Option<SubscriptionListed>, GraphError> {
        let reply = self.call(&of(Method::GET, id)).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        reply.check()?;
        let listed = reply.json::<SubscriptionWire>()?.listed();
        listed.map(Some).ok_or(GraphError::Unreadable)
    }

    /// Removes a subscription; one that is not there any more is removed.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), GraphError> {
        let reply = self.call(&of(Method::DELETE, id)).await?;
        if reply.status == 404 { Ok(()) } else { reply.check() }
    }

    /// All our subscriptions in this tenant. Rarely: Graph allows 25 of these calls in 20 s
    /// (learn.microsoft.com/graph/throttling-limits, 2026-02-06).
    ///
    /// # Errors
    /// [`GraphError`]; an entry without id or end is left out.
    pub async fn subscriptions(&self) -> Result<Vec<SubscriptionListed>, GraphError> {
        let mut all = Vec::new();
        let mut target = "/subscriptions".to_owned();
        for _ in 0..PAGES_MAX {
            let ask = Ask::new(Method::GET, "/subscriptions", target);
            let reply = self.call(&ask).await?;
            reply.check()?;
            let page: Page<Value> = reply.json()?;
            let entries = page.value.into_iter().filter_map(|v| serde_json::from_value(v).ok());
            all.extend(entries.filter_map(SubscriptionWire::listed));
            match page.next {
                Some(next) => target = next,
                None => return Ok(all),
            }
        }
        Err(GraphError::Unreadable)
    }
}

/// What became of a renewal.
pub(super) fn renewed(reply: &Reply) -> Result<Option<Timestamp>, GraphError> {
    match reply.status {
        404 => Ok(None),
        400 if is_handshake(reply) => Err(handshake(reply)),
        _ => {
            reply.check()?;
            reply.json::<SubscriptionWire>()?.expires().map(Some)
        }
    }
}

pub(super) fn of(method: Method, id: &SubscriptionId) -> Ask {
    Ask::new(method, "/subscriptions/{id}", format!("/subscriptions/{}", encoded(id.as_str())))
}

impl SubscriptionWire {
    fn expires(&self) -> Result<Timestamp, GraphError> {
        self.expiration_date_time.parse().map_err(|_| GraphError::Unreadable)
    }

    fn listed(self) -> Option<SubscriptionListed> {
        let resource = self.resource.as_deref().unwrap_or_default().trim_start_matches('/');
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
        Some(SubscriptionListed {
            id: self.id.parse().ok()?,
            mailbox,
            expires: self.expires().ok()?,
            notification_url: self.notification_url.as_deref().and_then(|url| url.parse().ok()),
            rich: self.include_resource_data == Some(true),
        })
    }
}

fn id_of(text: &str) -> Result<SubscriptionId, GraphError> {
    text.parse().map_err(|_| GraphError::Unreadable)
}

fn bad_order(reply: &Reply) -> Result<Subscribed, GraphError> {
    if is_handshake(reply) {
        return Err(handshake(reply));
    }
    let error = reply.error();
    let too_long = error.code == "ErrorInvalidParameter"
        || error.message.to_ascii_lowercase().contains("expiration");
    if too_long {
        Ok(Subscribed::ShorterLife)
    } else {
        reply.check().map(|()| Subscribed::ShorterLife)
    }
}

fn handshake(reply: &Reply) -> GraphError {
    GraphError::Wait { after: reply.retry_after, cause: Cause::Handshake }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{
        property_id::PropertyId,
        refusal::{Refusal, Rule},
        trial::{ANN, BASE, Trial},
    };

    const ID: &str = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07";

    fn id() -> SubscriptionId {
        ID.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn order() -> SubscriptionOrder {
        SubscriptionOrder {
            mailbox: ANN,
            notification_url: "https://rooms.test/api/notifications".parse().unwrap(),
            lifecycle_url: "https://rooms.test/api/notifications?kind=lifecycle".parse().unwrap(),
            client_state: "proof".into(),
            expires: at("2026-11-30T09:00:00.5Z"),
            content: None,
        }
    }

    /// A certificate of the outer form; nobody opens anything with it here.
    fn content() -> RichContent {
        let id = "c20261122-0a1b2c3d".parse().unwrap();
        RichContent { certificate: "MAQwAgUA".into(), id, add_in: None }
    }

    fn subscription(id: &str, resource: &str) -> Value {
        json!({
            "id": id,
            "resource": resource,
            "changeType": CHANGES,
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
        let trial = Trial::new();
        trial.far.then(201, &subscription(ID, "users/x/events"));
        let made = trial.tenant.subscribe(&order()).await;
        let expires = at("2026-11-29T09:00:00.9356913Z");
        assert_eq!(made, Ok(Subscribed::Created { id: id(), expires }));
        let body = trial.last_body();
        assert_eq!(body["resource"], format!("users/{ANN}/events"));
        assert_eq!(body["changeType"], "created,updated,deleted");
        assert_eq!(body["expirationDateTime"], "2026-11-30T09:00:00Z");
        assert_eq!(body["clientState"], "proof");
        assert_eq!(body["lifecycleNotificationUrl"], order().lifecycle_url.as_str());
        assert!(trial.last_header("prefer").contains("ImmutableId"));
        assert!(!trial.trail()[0].fields.contains("proof"));
    }

    #[tokio::test]
    async fn each_refusal_of_an_order_is_told_apart() {
        let trial = Trial::new();
        let there = format!("Subscription Id <{ID}> already exists for the requested combination");
        let wait = |cause| Err(GraphError::Wait { after: None, cause });
        let cases = [
            (409, error("Conflict", &there), Ok(Subscribed::AlreadyThere { id: Some(id()) })),
            (409, error("Conflict", "exists"), Ok(Subscribed::AlreadyThere { id: None })),
            (400, error("ErrorInvalidParameter", ""), Ok(Subscribed::ShorterLife)),
            (
                400,
                error("InvalidRequest", "Subscription expiration can only be 4230 minutes"),
                Ok(Subscribed::ShorterLife),
            ),
            (
                400,
                error("InvalidRequest", "Subscription validation request timed out."),
                wait(Cause::Handshake),
            ),
            (
                400,
                error("InvalidRequest", "No"),
                Err(GraphError::Refused { status: 400, code: "InvalidRequest".into() }),
            ),
            (
                403,
                error("Forbidden", "The maximum number of 1000 active"),
                Ok(Subscribed::OverQuota),
            ),
            (403, error("Forbidden", "quota exceeded"), Ok(Subscribed::OverQuota)),
            (
                403,
                error("ExtensionError", "Operation: Create; Exception: []"),
                Err(GraphError::Denied),
            ),
            (404, error("ErrorInvalidUser", ""), Err(GraphError::MailboxGone)),
            (429, json!({}), wait(Cause::Throttled)),
        ];
        for (status, body, outcome) in cases {
            trial.far.then(status, &body);
            assert_eq!(trial.tenant.subscribe(&order()).await, outcome, "{status} {body}");
        }
    }

    #[tokio::test]
    async fn a_renewal_believes_the_answer_and_knows_when_there_is_nothing_to_renew() {
        let trial = Trial::new();
        trial.far.then(200, &subscription(ID, "users/x/events"));
        trial.far.then(404, &error("ResourceNotFound", "The object was not found."));
        trial.far.then(400, &error("InvalidRequest", "Subscription validation request failed."));
        let wanted = at("2026-12-05T09:00:00Z");
        let renewed = trial.tenant.renew(&id(), wanted, None).await;
        assert_eq!(renewed, Ok(Some(at("2026-11-29T09:00:00.9356913Z"))));
        assert_eq!(trial.last_body(), json!({ "expirationDateTime": "2026-12-05T09:00:00Z" }));
        assert_eq!(trial.asked()[0], format!("PATCH /subscriptions/{ID}"));
        assert_eq!(trial.tenant.renew(&id(), wanted, None).await, Ok(None));
        let failed = trial.tenant.renew(&id(), wanted, None).await;
        assert_eq!(failed, Err(GraphError::Wait { after: None, cause: Cause::Handshake }));
    }

    #[tokio::test]
    async fn an_order_of_content_names_the_allowed_fields_and_who_can_open_it() {
        let trial = Trial::new();
        trial.far.then(201, &subscription(ID, "users/x/events"));
        let add_in: PropertyId =
            "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name Wish".parse().unwrap();
        let rich = RichContent { add_in: Some(add_in.clone()), ..content() };
        let order = SubscriptionOrder { content: Some(rich), ..order() };
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
        assert!(trial.trail()[0].fields.contains("attendees"), "the audit names what is brought");
    }

    #[tokio::test]
    async fn a_renewal_brings_the_newest_certificate() {
        let trial = Trial::new();
        trial.far.then(200, &subscription(ID, "users/x/events"));
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
        let trial = Trial::new();
        trial.far.then(204, &json!(null)).then(404, &json!({})).then(500, &json!({}));
        assert_eq!(trial.tenant.unsubscribe(&id()).await, Ok(()));
        assert_eq!(trial.tenant.unsubscribe(&id()).await, Ok(()));
        assert!(trial.tenant.unsubscribe(&id()).await.is_err());
        assert_eq!(trial.trail()[0].path, "/subscriptions/{id}");
    }

    #[tokio::test]
    async fn the_list_has_pages_and_tells_whose_subscription_each_is() {
        let trial = Trial::new();
        let other = "8f105c7d-2dc5-4530-97cd-4e7ae6534c07";
        let first = [subscription(ID, &format!("/Users/{ANN}/Events")), json!({ "id": 7 })];
        trial.far.then(
            200,
            &json!({
                "value": first,
                "@odata.nextLink": format!("{BASE}/subscriptions?$skiptoken=x"),
            }),
        );
        trial.far.then(
            200,
            &json!({ "value": [
            subscription(other, "me/messages"),
            subscription(other, &fields::rich_resource(ANN, None)),
        ] }),
        );
        let listed = trial.tenant.subscriptions().await.unwrap();
        let mailboxes: Vec<_> = listed.iter().map(|listed| listed.mailbox).collect();
        assert_eq!(mailboxes, [Some(ANN), None, Some(ANN)]);
        assert_eq!(listed[0].notification_url, Some(order().notification_url));

        let evil =
            json!({ "value": [], "@odata.nextLink": "https://evil.test/v1.0/subscriptions" });
        trial.far.then(200, &evil);
        let stopped = trial.tenant.subscriptions().await;
        assert_eq!(stopped, Err(GraphError::Forbidden(Refusal(Rule::Address))));
    }

    #[test]
    fn an_id_cannot_leave_its_path_segment() {
        for bad in ["", "a/b", "..", "a?b", "a b"] {
            assert!(bad.parse::<SubscriptionId>().is_err(), "{bad}");
        }
    }
}
