//! What every outbox must do, checked on the one in memory and of Azure's on the emulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, StatusCode, Transport, Url};
use azure_storage_queue::{QueueClient, QueueClientOptions};
use bytes::Bytes;
use roombridge::base::clock::SystemClock;
use roombridge::base::http::RetryPolicy;
use roombridge::queue::azure::AzureOutbox;
use roombridge::queue::{
    MAX_MESSAGE_BYTES, MESSAGE_TTL, MessageReceipt, Outbox, PoisonMessage, Queue, encoded_len,
};
use world::azurite::{Azurite, StorageConnection};
use world::memory::{MemoryOutbox, QueueKind};

use crate::{TestError, TestResult};

const QUEUE: Queue = Queue::FetchEvent;

/// An outbox from both ends: a test sends through the port and plays the host.
#[async_trait]
trait QueueEnds: Send + Sync {
    fn outbox(&self) -> &dyn Outbox;
    /// The texts that the host would get now.
    async fn receive_texts(&self, queue: Queue) -> Result<Vec<String>, TestError>;
    /// Makes the host give up on everything it would get now.
    async fn move_all_to_poison(&self, queue: Queue) -> Result<(), TestError>;
}

/// Checks each behaviour on each outbox.
macro_rules! both {
    ($($behaviour:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $behaviour() -> super::TestResult {
                super::$behaviour(&super::in_memory()).await
            })+
        }
        mod azurite {
            $(#[tokio::test]
            async fn $behaviour() -> super::TestResult {
                needs_azurite!();
                super::$behaviour(&super::in_azurite().await?).await
            })+
        }
    };
}

both!(
    a_message_arrives_as_it_was_sent,
    a_delayed_message_is_not_visible_yet,
    a_message_may_be_as_large_as_the_service_takes,
    poison_is_hidden_from_others_once_taken,
    discarding_twice_is_fine,
    what_the_service_would_refuse_is_refused,
);

fn in_memory() -> MemoryOutbox {
    MemoryOutbox::new(Arc::new(SystemClock))
}

struct AzuriteEnds {
    outbox: AzureOutbox,
    storage: StorageConnection,
}

async fn in_azurite() -> Result<AzuriteEnds, TestError> {
    let storage = Azurite::shared().await?.connect()?;
    let url = format!("{}/", storage.account.queue_url); // as Azure's portal gives it
    let outbox =
        AzureOutbox::new(&url, &storage.credential, &storage.transport, RetryPolicy::WORKER)?;
    outbox.create_all().await?;
    outbox.create_all().await?; // again is fine
    Ok(AzuriteEnds { outbox, storage })
}

impl AzuriteEnds {
    fn client(&self, queue: &str) -> Result<QueueClient, TestError> {
        let url = Url::parse(&format!("{}/{queue}", self.storage.account.queue_url))?;
        let options = QueueClientOptions {
            client_options: RetryPolicy::WORKER.client_options(self.storage.transport.clone()),
            ..QueueClientOptions::default()
        };
        let credential = Some(Arc::clone(&self.storage.credential));
        Ok(QueueClient::new(url, credential, Some(options))?)
    }
}

#[async_trait]
impl QueueEnds for AzuriteEnds {
    fn outbox(&self) -> &dyn Outbox {
        &self.outbox
    }

    async fn receive_texts(&self, queue: Queue) -> Result<Vec<String>, TestError> {
        let answer = self.client(queue.name())?.receive_messages(None).await?.into_model()?;
        let messages = answer.items.unwrap_or_default();
        Ok(messages.into_iter().filter_map(|message| message.message_text).collect())
    }

    async fn move_all_to_poison(&self, queue: Queue) -> Result<(), TestError> {
        let poison = self.client(queue.poison_name())?;
        for text in self.receive_texts(queue).await? {
            let message = azure_storage_queue::models::QueueMessage { message_text: Some(text) };
            poison.send_message(message.try_into()?, None).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl QueueEnds for MemoryOutbox {
    fn outbox(&self) -> &dyn Outbox {
        self
    }

    async fn receive_texts(&self, queue: Queue) -> Result<Vec<String>, TestError> {
        let deliveries = self.receive(QueueKind::Main(queue), 1, Duration::from_secs(30));
        Ok(deliveries.into_iter().map(|delivery| delivery.text).collect())
    }

    async fn move_all_to_poison(&self, queue: Queue) -> Result<(), TestError> {
        for delivery in self.receive(QueueKind::Main(queue), 1, Duration::from_secs(30)) {
            MemoryOutbox::move_to_poison(self, queue, &delivery.receipt);
        }
        Ok(())
    }
}

async fn a_message_arrives_as_it_was_sent(ends: &dyn QueueEnds) -> TestResult {
    let texts = [
        r#"{"v1":{"items":[{"id":"AAMk<>&'\"","n":1}]}}"#,
        "Besprechung – größer 🏢",
        "]]> &amp; <![CDATA[x]]>",
        "two  spaces, a tab\tand a\nline",
    ];
    for text in texts {
        ends.outbox().send(QUEUE, text.to_owned(), Duration::ZERO).await?;
        assert_eq!(ends.receive_texts(QUEUE).await?, [text]);
    }
    assert_eq!(ends.receive_texts(Queue::WriteBack).await?, [""; 0], "nothing elsewhere");
    Ok(())
}

async fn a_delayed_message_is_not_visible_yet(ends: &dyn QueueEnds) -> TestResult {
    let hour = Duration::from_secs(3600);
    ends.outbox().send(QUEUE, "later".into(), hour).await?;
    ends.outbox().send(QUEUE, "much later".into(), MESSAGE_TTL - Duration::from_secs(1)).await?;
    assert_eq!(ends.receive_texts(QUEUE).await?, [""; 0]);
    ends.outbox().send(QUEUE, "now".into(), Duration::ZERO).await?;
    assert_eq!(ends.receive_texts(QUEUE).await?, ["now"]);
    Ok(())
}

async fn a_message_may_be_as_large_as_the_service_takes(ends: &dyn QueueEnds) -> TestResult {
    for text in [
        "x".repeat(MAX_MESSAGE_BYTES),
        "\"".repeat(MAX_MESSAGE_BYTES),
        "&".repeat(MAX_MESSAGE_BYTES / 5),
    ] {
        ends.outbox().send(QUEUE, text.clone(), Duration::ZERO).await?;
        assert!(ends.receive_texts(QUEUE).await? == [text], "it arrives whole");
    }
    Ok(())
}

/// A network that only remembers how long the last message was on the wire.
#[derive(Debug, Default)]
struct MeasuringClient(AtomicUsize);

#[async_trait]
impl HttpClient for MeasuringClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body = Bytes::from(request.body());
        let body = String::from_utf8_lossy(&body);
        let start = body.find("<MessageText>").map(|at| at + "<MessageText>".len());
        let text = start.zip(body.find("</MessageText>")).map(|(start, end)| end - start);
        self.0.store(text.unwrap_or_default(), Ordering::Relaxed);
        Ok(AsyncRawResponse::from_bytes(StatusCode::Created, Headers::new(), ""))
    }
}

#[tokio::test]
async fn a_message_takes_as_many_bytes_as_are_counted() -> TestResult {
    needs_azurite!();
    let storage = Azurite::shared().await?.connect()?;
    let measures = Arc::new(MeasuringClient::default());
    let transport = Transport::new(Arc::clone(&measures) as Arc<dyn HttpClient>);
    let url = &storage.account.queue_url;
    let outbox = AzureOutbox::new(url, &storage.credential, &transport, RetryPolicy::WORKER)?;
    let text = "<a b='c' d=\"e\">&amp; ü 🏢 \\ \t ]]></a>";
    outbox.send(QUEUE, text.to_owned(), Duration::ZERO).await?;
    assert_eq!(measures.0.load(Ordering::Relaxed), encoded_len(text));
    Ok(())
}

async fn poisoned(ends: &dyn QueueEnds) -> Result<PoisonMessage, TestError> {
    ends.outbox().send(QUEUE, "bad".into(), Duration::ZERO).await?;
    ends.move_all_to_poison(QUEUE).await?;
    Ok(ends.outbox().receive_poisoned(QUEUE, 32).await?.pop().ok_or("there is one")?)
}

async fn poison_is_hidden_from_others_once_taken(ends: &dyn QueueEnds) -> TestResult {
    assert!(ends.outbox().receive_poisoned(QUEUE, 32).await?.is_empty());
    let taken = poisoned(ends).await?;
    assert_eq!(taken.text, "bad");
    assert!(ends.outbox().receive_poisoned(QUEUE, 32).await?.is_empty());
    Ok(())
}

async fn discarding_twice_is_fine(ends: &dyn QueueEnds) -> TestResult {
    let taken = poisoned(ends).await?;
    ends.outbox().delete_poisoned(QUEUE, &taken.receipt).await?;
    ends.outbox().delete_poisoned(QUEUE, &taken.receipt).await?;
    let never = MessageReceipt { message_id: "0".repeat(36), pop_receipt: "none".into() };
    ends.outbox().delete_poisoned(QUEUE, &never).await?;
    Ok(())
}

async fn what_the_service_would_refuse_is_refused(ends: &dyn QueueEnds) -> TestResult {
    let refused = [
        ("x".repeat(MAX_MESSAGE_BYTES + 1), Duration::ZERO),
        ("&".repeat(MAX_MESSAGE_BYTES / 5 + 1), Duration::ZERO),
        ("\u{1}".to_owned(), Duration::ZERO),
        ("late".to_owned(), MESSAGE_TTL),
    ];
    for (text, delay) in refused {
        assert!(ends.outbox().send(QUEUE, text, delay).await.is_err());
    }
    assert_eq!(ends.receive_texts(QUEUE).await?, [""; 0]);
    Ok(())
}
