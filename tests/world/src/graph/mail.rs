//! Sending mail (learn.microsoft.com/graph/api/user-sendmail): accepted, kept, and read by tests.

use http::StatusCode;
use serde_json::Value;

use super::Graph;
use super::access::RequiredAccess;
use super::request::{Call, Reply};
use crate::entra::Caller;

/// A mail that was sent. It is not printed, because it is personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The tenant's id.
    pub tenant: String,
    /// Object id of the mailbox that sent it.
    pub from: String,
    /// The addresses it went to.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// `Text` or `HTML`, as sent.
    pub content_type: String,
    /// Whether a copy stays in Sent Items (true unless the request says otherwise).
    pub saved: bool,
}

impl Graph {
    /// Every mail sent so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.lock().mails.clone()
    }

    /// Needs `Mail.Send`, or `Application Mail.Send` in Exchange for this mailbox.
    pub(super) fn send_mail(
        &self,
        call: &Call,
        caller: &Caller,
        name: &str,
    ) -> Result<Reply, Reply> {
        let from = self.mailbox_for(caller, name, RequiredAccess::Send)?;
        let body = call.json()?;
        let message = &body["message"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let recipients = message["toRecipients"].as_array().into_iter().flatten();
        let to: Vec<String> =
            recipients.map(|line| text(&line["emailAddress"]["address"])).collect();
        if to.is_empty() || to.iter().any(|address| !address.contains('@')) {
            let text = "At least one recipient is not valid.";
            return Err(Reply::error(StatusCode::BAD_REQUEST, "ErrorInvalidRecipients", text));
        }
        let mail = Mail {
            tenant: caller.tenant.clone(),
            from,
            to,
            subject: text(&message["subject"]),
            body: text(&message["body"]["content"]),
            content_type: text(&message["body"]["contentType"]),
            saved: body["saveToSentItems"].as_bool().unwrap_or(true),
        };
        self.lock().mails.push(mail);
        Ok(Reply::empty(StatusCode::ACCEPTED))
    }
}
