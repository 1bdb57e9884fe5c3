//! The host's queues in Azure Storage, or in Azurite, through Microsoft's own client.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{ClientOptions, StatusCode, Transport, Url};
use azure_core::time::OffsetDateTime;
use azure_storage_queue::models::{
    QueueClientReceiveMessagesOptions, QueueMessage, ReceivedMessage,
};
use azure_storage_queue::{QueueClient, QueueServiceClient, QueueServiceClientOptions};
use jiff::Timestamp;

use super::queues::{HostMessage, HostQueueError, HostQueues};

/// Queues of one storage account.
pub struct AzureQueues {
    service: QueueServiceClient,
}

impl AzureQueues {
    /// Queues at `service` (https, without a trailing slash), opened with tokens of `credential`;
    /// `transport` is the HTTP client to share.
    ///
    /// # Errors
    /// When the address is not one for tokens.
    pub fn new(
        service: Url,
        credential: Arc<dyn TokenCredential>,
        transport: Transport,
    ) -> Result<Self, HostQueueError> {
        let client_options = ClientOptions { transport: Some(transport), ..Default::default() };
        let options = QueueServiceClientOptions { client_options, ..Default::default() };
        let service = QueueServiceClient::new(service, Some(credential), Some(options))
            .map_err(|e| queue_error(&e))?;
        Ok(Self { service })
    }

    fn queue(&self, name: &str) -> Result<QueueClient, HostQueueError> {
        self.service.queue_client(name).map_err(|e| queue_error(&e))
    }
}

#[async_trait]
impl HostQueues for AzureQueues {
    async fn receive(
        &self,
        queue: &str,
        limit: u8,
        hidden: Duration,
    ) -> Result<Vec<HostMessage>, HostQueueError> {
        let options = QueueClientReceiveMessagesOptions {
            number_of_messages: Some(i32::from(limit)),
            visibility_timeout: Some(seconds(hidden)),
            ..Default::default()
        };
        let answer = self
            .queue(queue)?
            .receive_messages(Some(options))
            .await
            .map_err(|e| queue_error(&e))?;
        let messages = answer.into_model().map_err(|e| queue_error(&e))?.items.unwrap_or_default();
        Ok(messages.into_iter().filter_map(host_message).collect())
    }

    async fn update(
        &self,
        queue: &str,
        message: &HostMessage,
        hidden: Duration,
    ) -> Result<String, HostQueueError> {
        let queue = self.queue(queue)?;
        let answer = queue
            .update_message(&message.id, &message.pop_receipt, seconds(hidden), None)
            .await
            .map_err(|e| queue_error(&e))?;
        let receipt = HeaderName::from_static("x-ms-popreceipt");
        answer
            .headers()
            .get_optional_string(&receipt)
            .ok_or_else(|| HostQueueError::Other("no new receipt came".to_owned()))
    }

    async fn delete(&self, queue: &str, message: &HostMessage) -> Result<(), HostQueueError> {
        let queue = self.queue(queue)?;
        let deleted = queue.delete_message(&message.id, &message.pop_receipt, None).await;
        deleted.map(drop).map_err(|e| queue_error(&e))
    }

    async fn move_to_poison(
        &self,
        queue: &str,
        message: &HostMessage,
    ) -> Result<(), HostQueueError> {
        let poison = self.queue(&format!("{queue}-poison"))?;
        match poison.create(None).await {
            Ok(_) => {}
            Err(e) if e.http_status() == Some(StatusCode::Conflict) => {}
            Err(e) => return Err(queue_error(&e)),
        }
        let copy = QueueMessage { message_text: Some(message.text.clone()) };
        let copy = copy.try_into().map_err(|e: azure_core::Error| queue_error(&e))?;
        poison.send_message(copy, None).await.map_err(|e| queue_error(&e))?;
        self.delete(queue, message).await
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

fn queue_error(error: &azure_core::Error) -> HostQueueError {
    let ErrorKind::HttpResponse { error_code: Some(code), .. } = error.kind() else {
        return HostQueueError::Other(error.to_string());
    };
    match code.as_str() {
        "PopReceiptMismatch" | "MessageNotFound" | "QueueNotFound" => HostQueueError::Gone,
        _ => HostQueueError::Other(error.to_string()),
    }
}

fn host_message(message: ReceivedMessage) -> Option<HostMessage> {
    let inserted = instant(message.insertion_time?)?;
    Some(HostMessage {
        id: message.message_id?,
        pop_receipt: message.pop_receipt?,
        text: message.message_text.unwrap_or_default(),
        dequeue_count: u32::try_from(message.dequeue_count?).ok()?,
        inserted,
        expires: message.expiration_time.and_then(instant),
        next_visible: message.time_next_visible.and_then(instant).unwrap_or(inserted),
    })
}

/// `None` for the year 9999, which means "never" and is beyond jiff's range.
fn instant(time: OffsetDateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.unix_timestamp()).ok()
}
