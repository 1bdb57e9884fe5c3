//! Grants that come and go: mail by one sender, calendars by Exchange alone, permissions taken away.

use super::*;
use crate::microsoft::DAEMON_APP;

#[tokio::test]
async fn mail_leaves_from_the_granted_mailbox_alone() {
    let story = graph_fixture();
    let ben = story.tenant.person("Ben");
    let send = async |from: &Mailbox| {
        let body = json!({ "saveToSentItems": false, "message": {
            "subject": "Declined", "body": { "contentType": "Text", "content": "Sorry" },
            "toRecipients": [{ "emailAddress": { "address": story.anna.address() } }],
        } });
        story.call("POST", &format!("/users/{}/sendMail", from.id()), body).await.0
    };
    assert_eq!(send(&ben).await, StatusCode::FORBIDDEN);
    story.ms.graph.grant_mail_in_exchange(story.tenant.id(), DAEMON_APP, &[&ben]);
    assert_eq!(send(&ben).await, StatusCode::ACCEPTED);
    assert_eq!(send(&story.anna).await, StatusCode::FORBIDDEN);
    let mails = story.ms.graph.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!((mails[0].from.as_str(), mails[0].subject.as_str()), (ben.id(), "Declined"));
    assert!(mails[0].to == [story.anna.address()] && mails[0].body == "Sorry" && !mails[0].saved);
}

#[tokio::test]
async fn a_tenant_may_refuse_to_subscribe_what_exchange_alone_grants() {
    let story = graph_fixture();
    let (graph, tenant) = (&story.ms.graph, story.tenant.id());
    story.ms.entra.remove_roles(tenant, DAEMON_APP);
    graph.grant_in_exchange(tenant, DAEMON_APP, true, true, &[&story.aurora]);
    graph.refuse_scoped_subscriptions(tenant, true);
    assert_eq!(story.subscribe(&story.aurora).await.0, StatusCode::FORBIDDEN);
    let read = format!("{}?$select=id", story.path(&story.aurora));
    assert_eq!(story.get(&read).await.0, StatusCode::OK);
    graph.refuse_scoped_subscriptions(tenant, false);
    assert_eq!(story.subscribe(&story.aurora).await.0, StatusCode::CREATED);
    graph.revoke_in_exchange(tenant, DAEMON_APP);
    assert_eq!(graph.deliver_due().await.delivered, 1);
    assert_eq!(story.receiver.take()[0]["lifecycleEvent"], "reauthorizationRequired");
}

#[tokio::test]
async fn without_permissions_delivery_pauses_and_renewing_fails_until_they_return() {
    let story = graph_fixture();
    let (_, made) = story.subscribe(&story.anna).await;
    let path = format!("/subscriptions/{}", made["id"].as_str().unwrap());
    let renew = async || {
        let until = (at(0) + SignedDuration::from_hours(24)).to_string();
        story.call("PATCH", &path, json!({ "expirationDateTime": until })).await.0
    };
    let tenant = story.tenant.id();
    story.ms.entra.remove_roles(tenant, DAEMON_APP);
    assert_eq!(story.ms.graph.deliver_due().await.delivered, 1);
    let items = story.receiver.take();
    assert_eq!(items[0]["lifecycleEvent"], "reauthorizationRequired");
    assert_eq!(items[0]["clientState"], "proof");
    story.meeting.rename("Unheard").unwrap();
    assert_eq!(story.ms.graph.pending_notifications(), 0);
    let denied = story.get(&format!("{}?$select=id", story.path(&story.anna))).await;
    assert_eq!((denied.0, renew().await), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));
    story.ms.entra.consent_to_all(tenant, DAEMON_APP);
    assert_eq!(renew().await, StatusCode::OK);
    story.meeting.rename("Delivered").unwrap();
    assert_eq!(story.ms.graph.pending_notifications(), 3);
}
