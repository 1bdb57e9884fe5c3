//! The one kind of mail we send: plain text, to one person, from the tenant's own sender mailbox.

use std::fmt;

use http::Method;

use crate::{
    domain::{ids::MailboxId, personal::Personal},
    graph::{
        allow_list::fields,
        client::{error::GraphError, request::GraphRequest, send::TenantGraph},
    },
};

/// What a mail says.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    pub subject: String,
    /// Its content, plain text.
    pub text: String,
}

impl fmt::Debug for Mail {
    /// It may name people and meetings: nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail(..)")
    }
}

impl TenantGraph {
    /// Sends a mail from `sender` to one address. No copy stays with the sender.
    ///
    /// # Errors
    /// [`GraphError`]: `AccessDenied` when the mailbox is not one that we may send from, `Blocked` when
    /// `to` is no address. After `Retry` without an answer it may have been sent.
    pub async fn send_mail(
        &self,
        sender: MailboxId,
        to: &Personal,
        mail: &Mail,
    ) -> Result<(), GraphError> {
        let target = format!("/users/{sender}/sendMail");
        let ask = GraphRequest {
            mailboxes: vec![sender],
            fields: fields::MAIL.join(","),
            body: Some(fields::mail_message(&mail.subject, &mail.text, to.reveal().trim())),
            ..GraphRequest::new(Method::POST, "/users/{id}/sendMail", target)
        };
        self.call(&ask).await?.check_answer()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::graph::{
        allow_list::violation::Violation,
        test_support::{ANN, GraphFixture},
    };

    fn mail() -> Mail {
        Mail { subject: "Merger".into(), text: "Room 1 is yours.\n".into() }
    }

    #[tokio::test]
    async fn a_mail_is_plain_text_to_one_address_and_leaves_no_copy() {
        let trial = GraphFixture::new();
        trial.http.respond(202, &json!({}));
        let to = Personal::new("bob@contoso.test");
        assert_eq!(trial.tenant.send_mail(ANN, &to, &mail()).await, Ok(()));
        assert_eq!(trial.sent_requests(), [format!("POST /users/{ANN}/sendMail")]);
        let sent = json!({
            "message": {
                "subject": "Merger",
                "body": { "contentType": "Text", "content": "Room 1 is yours.\n" },
                "toRecipients": [{ "emailAddress": { "address": "bob@contoso.test" } }],
            },
            "saveToSentItems": false,
        });
        assert_eq!(trial.last_body(), sent);
        let recorded = trial.take_calls();
        assert_eq!((&*recorded[0].method, &*recorded[0].path), ("POST", "/users/{id}/sendMail"));
        let shown = format!("{recorded:?} {:?}", mail());
        assert!(!["Merger", "bob", "Room 1"].iter().any(|word| shown.contains(word)), "{shown}");
    }

    #[tokio::test]
    async fn a_sender_that_is_not_ours_and_an_address_that_is_none_are_distinguished() {
        let trial = GraphFixture::new();
        trial.http.respond(403, &json!({ "error": { "code": "ErrorAccessDenied" } }));
        let send = async |to: &str| trial.tenant.send_mail(ANN, &Personal::new(to), &mail()).await;
        assert_eq!(send("bob@contoso.test").await, Err(GraphError::AccessDenied));
        let refused = Err(GraphError::Blocked(Violation::Body));
        assert_eq!(send("bob@contoso.test, eve@evil.test").await, refused);
        assert_eq!(send("").await, refused);
        assert_eq!(trial.sent_requests().len(), 1);
    }
}
