//! The outbox on Azure Storage Queues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::{StatusCode, Transport, Url};
use azure_storage_queue::models::{
    QueueClientReceiveMessagesOptions, QueueClientSendMessageOptions,
};
use azure_storage_queue::{QueueClient, QueueClientOptions};
use bytes::Bytes;

use super::{
    MAX_MESSAGES_PER_RECEIVE, MessageReceipt, Outbox, POISON_VISIBILITY_TIMEOUT, PoisonMessage,
    Queue, QueueError, encoded_len, validate,
};
use crate::base::{
    clock::ceil_seconds,
    http::{HttpError, RetryPolicy},
};

/// [`Outbox`] in a storage account, opened with a token. Messages are plain text: base64 is neither
/// added nor expected (host.json: `messageEncoding` is `none`).
pub struct AzureOutbox {
    /// By name, poison queues too.
    clients: BTreeMap<&'static str, QueueClient>,
    retry_policy: RetryPolicy,
}

impl AzureOutbox {
    /// The queues of the account whose queue service is at `url` (a trailing slash is ignored),
    /// with tokens of `credential`, over the shared `transport`. No call takes longer than
    /// `retry_policy`, retries included. A send that was retried may have put the message twice.
    ///
    /// # Errors
    /// [`QueueError`] when `url` is not an https address.
    pub fn new(
        url: &str,
        credential: &Arc<dyn TokenCredential>,
        transport: &Transport,
        retry_policy: RetryPolicy,
    ) -> Result<Self, QueueError> {
        let base = url.trim_end_matches('/'); // the crate would make `//queue` of a trailing slash
        let client = |name: &str| -> Result<QueueClient, QueueError> {
            let url = Url::parse(&format!("{base}/{name}"))
                .map_err(|_| QueueError("not an https address".to_owned()))?;
            let options = QueueClientOptions {
                client_options: retry_policy.client_options(transport.clone()),
                ..QueueClientOptions::default()
            };
            Ok(QueueClient::new(url, Some(Arc::clone(credential)), Some(options))?)
        };
        let names = Queue::ALL.into_iter().flat_map(|queue| [queue.name(), queue.poison_name()]);
        let clients =
            names.map(|name| Ok((name, client(name)?))).collect::<Result<_, QueueError>>()?;
        Ok(Self { clients, retry_policy })
    }

    /// Creates every queue that is missing, poison queues too: for a new local world and for
    /// tests. In Azure the deployment creates them.
    pub async fn create_all(&self) -> Result<(), QueueError> {
        for client in self.clients.values() {
            self.execute(client.create(None)).await?;
        }
        Ok(())
    }

    fn client(&self, name: &str) -> Result<&QueueClient, QueueError> {
        self.clients.get(name).ok_or_else(|| QueueError("no such queue".to_owned()))
    }

    async fn execute<T>(
        &self,
        call: impl Future<Output = azure_core::Result<T>>,
    ) -> Result<T, QueueError> {
        Ok(self.retry_policy.with_timeout(call).await??)
    }

    /// The same, or `None` when the queue or the message does not exist.
    async fn execute_if_found<T>(
        &self,
        call: impl Future<Output = azure_core::Result<T>>,
    ) -> Result<Option<T>, QueueError> {
        match self.retry_policy.with_timeout(call).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.http_status() == Some(StatusCode::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is said of an error: its kind and the service's code, no address and no content.
impl From<azure_core::Error> for QueueError {
    fn from(error: azure_core::Error) -> Self {
        Self(error.kind().to_string())
    }
}

impl From<HttpError> for QueueError {
    fn from(error: HttpError) -> Self {
        Self(error.to_string())
    }
}

#[async_trait]
impl Outbox for AzureOutbox {
    async fn send_with_ttl(
        &self,
        queue: Queue,
        text: String,
        delay: Duration,
        ttl: Duration,
    ) -> Result<(), QueueError> {
        validate(&text, delay, ttl)?;
        let message = to_xml(&text).into();
        let options = QueueClientSendMessageOptions {
            visibility_timeout: Some(whole_seconds(delay)),
            message_time_to_live: Some(whole_seconds(ttl)),
            ..QueueClientSendMessageOptions::default()
        };
        let call = self.client(queue.name())?.send_message(message, Some(options));
        self.execute(call).await.map(drop)
    }

    async fn receive_poisoned(
        &self,
        queue: Queue,
        limit: u8,
    ) -> Result<Vec<PoisonMessage>, QueueError> {
        let options = QueueClientReceiveMessagesOptions {
            number_of_messages: Some(i32::from(limit.clamp(1, MAX_MESSAGES_PER_RECEIVE))),
            visibility_timeout: Some(whole_seconds(POISON_VISIBILITY_TIMEOUT)),
            ..QueueClientReceiveMessagesOptions::default()
        };
        let call = self.client(queue.poison_name())?.receive_messages(Some(options));
        // The host makes a poison queue when it first needs one.
        let Some(answer) = self.execute_if_found(call).await? else { return Ok(Vec::new()) };
        let messages = answer.into_model()?.items;
        let taken = messages.unwrap_or_default().into_iter().filter_map(|message| {
            // Without its ids it could not be deleted; it comes back by itself.
            let receipt = MessageReceipt {
                message_id: message.message_id?,
                pop_receipt: message.pop_receipt?,
            };
            Some(PoisonMessage { text: message.message_text.unwrap_or_default(), receipt })
        });
        Ok(taken.collect())
    }

    async fn delete_poisoned(
        &self,
        queue: Queue,
        receipt: &MessageReceipt,
    ) -> Result<(), QueueError> {
        let poison = self.client(queue.poison_name())?;
        let call = poison.delete_message(&receipt.message_id, &receipt.pop_receipt, None);
        self.execute_if_found(call).await.map(drop)
    }
}

/// The body of a put: escaped in one pass, which costs a fraction of a serializer of XML.
fn to_xml(text: &str) -> Bytes {
    let (before, after) = ("<QueueMessage><MessageText>", "</MessageText></QueueMessage>");
    let mut xml = String::with_capacity(before.len() + encoded_len(text) + after.len());
    xml.push_str(before);
    let mut rest = text;
    while let Some(next) = rest.find(['<', '>', '&']) {
        let (plain, markup) = rest.split_at(next);
        xml.push_str(plain);
        xml.push_str(match markup.as_bytes().first() {
            Some(b'<') => "&lt;",
            Some(b'>') => "&gt;",
            _ => "&amp;",
        });
        rest = &markup[1..];
    }
    xml.push_str(rest);
    xml.push_str(after);
    Bytes::from(xml)
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(ceil_seconds(duration)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_escaped_as_it_was_counted() {
        let whole =
            |text: &str| format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        for text in ["", "plain é", "<a&b>\"'", "&", "x<", ">x"] {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            assert_eq!(to_xml(text), whole(&escaped));
            assert_eq!(escaped.len(), encoded_len(text));
        }
    }
}
