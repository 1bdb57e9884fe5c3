//! A thin client for Azure Table storage on `azure_core`'s pipeline. It knows nothing of Roombridge.
//!
//! It is here because Microsoft has no table crate for Rust yet
//! (github.com/Azure/azure-sdk-for-rust, issue 4304) and no maintained one exists. It can be
//! replaced by that crate when it ships: entities, ETags and errors are types of its own. Retries,
//! `Retry-After`, bearer tokens and their cache, request ids and redacted logs are the pipeline's.
//!
//! **A retried write can meet its own first try.** The pipeline sends a request again when no
//! answer came, and the service may have done the first one all the same. Then the answer tells of
//! the second try alone: `EntityAlreadyExists` for an insert, `UpdateConditionNotSatisfied` for a
//! replace or delete with an ETag, `ResourceNotFound` for a delete, and any of these for a
//! transaction, though the caller's own write is what is stored. The client does not hide that:
//! after such an answer read, and compare with what was meant.

mod address;
mod batch;
mod entity;
mod error;

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::headers::{ACCEPT, CONTENT_TYPE, ETAG, HeaderName, PREFER};
use azure_core::http::policies::Policy;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{
    ClientOptions, Context, Method, Pipeline, PipelineSendOptions, RawResponse, Request, Url,
};
use bytes::Bytes;
use serde_json::{Value, json};

use self::address::ServiceUrl;
pub use self::address::{EntityContinuation, Filter};
pub use self::batch::Operation;
pub use self::entity::Entity;
pub use self::error::TableServiceError;

/// The oldest service version that takes Entra tokens for tables
/// (learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory).
const VERSION: &str = "2020-12-06";
/// What a token must be for.
const SCOPE: &str = "https://storage.azure.com/.default";
/// Names the ETag of every entity listed, and the types that JSON does not have.
const MINIMAL_METADATA: &str = "application/json;odata=minimalmetadata";

const NEXT_PARTITION: HeaderName = HeaderName::from_static("x-ms-continuation-nextpartitionkey");
const NEXT_ROW: HeaderName = HeaderName::from_static("x-ms-continuation-nextrowkey");

/// The table service of one storage account.
#[derive(Debug, Clone)]
pub struct TableService {
    address: ServiceUrl,
    pipeline: Pipeline,
}

/// Some entities of a listing in key order, each with its ETag. A page may be empty and still go on.
#[derive(Debug, Clone, Default)]
pub struct EntityPage {
    pub entities: Vec<(Entity, String)>,
    pub next: Option<EntityContinuation>,
}

impl TableService {
    /// A client of the service at `url` (such as `https://account.table.core.windows.net`; a
    /// trailing slash is ignored) with tokens of `credential`. Retries, transport and logging are
    /// those of `options`; its default retries go on for a minute.
    ///
    /// # Errors
    /// [`TableServiceError::InvalidUrl`] when `url` is not an https address: a token must not travel
    /// in clear.
    pub fn new(
        url: &str,
        credential: Arc<dyn TokenCredential>,
        options: ClientOptions,
    ) -> Result<Self, TableServiceError> {
        let address = ServiceUrl::parse(url)?;
        let authorize: Arc<dyn Policy> =
            Arc::new(BearerTokenAuthorizationPolicy::new(credential, [SCOPE]));
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options,
            Vec::new(),
            vec![authorize],
            None,
        );
        Ok(Self { address, pipeline })
    }

    /// Creates a table; one that is there already is fine.
    pub async fn create_table(&self, table: &str) -> Result<(), TableServiceError> {
        let mut request = self.request(self.address.tables()?, Method::Post);
        request.insert_header(PREFER, "return-no-content");
        set_json(&mut request, &json!({ "TableName": table }));
        match self.send(request).await {
            Err(TableServiceError::ErrorResponse { code, .. }) if code == "TableAlreadyExists" => {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Does one operation by itself; answers the entity's new ETag, empty for a delete. See the
    /// module's warning about retries.
    ///
    /// # Errors
    /// [`TableServiceError::ErrorResponse`] with `EntityAlreadyExists`, `UpdateConditionNotSatisfied`,
    /// `ResourceNotFound`, and others.
    pub async fn write(
        &self,
        table: &str,
        operation: &Operation,
    ) -> Result<String, TableServiceError> {
        let mut request = self.request(operation.url(&self.address, table)?, operation.method());
        for (name, value) in operation.headers() {
            request.insert_header(name, value);
        }
        if let Some(body) = operation.body() {
            set_json(&mut request, &body);
        }
        let answer = self.send(request).await?;
        match answer.headers().get_optional_string(&ETAG) {
            Some(etag) => Ok(etag),
            None if operation.returns_etag() => {
                Err(TableServiceError::Unreadable("the response to a write has no ETag"))
            }
            None => Ok(String::new()),
        }
    }

    /// Reads one entity and its ETag; `None` when it is not there.
    ///
    /// # Errors
    /// [`TableServiceError`]; a missing table is an [`TableServiceError::ErrorResponse`] too.
    pub async fn get(
        &self,
        table: &str,
        partition: &str,
        row: &str,
    ) -> Result<Option<(Entity, String)>, TableServiceError> {
        let request = self.request(self.address.entity(table, partition, row)?, Method::Get);
        match self.send(request).await {
            Ok(answer) => entity::entity_from_response(&answer).map(Some),
            Err(TableServiceError::ErrorResponse { code, .. }) if code == "ResourceNotFound" => {
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Lists entities that pass `filter`, in key order, at most `top` (up to 1,000) a page.
    pub async fn query(
        &self,
        table: &str,
        filter: &Filter,
        top: u16,
        from: Option<&EntityContinuation>,
    ) -> Result<EntityPage, TableServiceError> {
        let url = self.address.query(table, filter, top, from)?;
        let answer = self.send(self.request(url, Method::Get)).await?;
        let next = answer.headers().get_optional_string(&NEXT_PARTITION).map(|partition| {
            let row = answer.headers().get_optional_string(&NEXT_ROW);
            EntityContinuation { partition, row }
        });
        Ok(EntityPage { entities: entity::entities_from_listing(&answer)?, next })
    }

    /// Does all operations or none, as an entity group transaction: 1 to 100 operations on
    /// different entities of one partition, 4 MiB in all
    /// (learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions).
    /// Answers the new ETag of each, empty for a delete.
    ///
    /// # Errors
    /// [`TableServiceError::ErrorResponse`] whose `failed` is the index of the operation at fault, when
    /// the service said.
    pub async fn transact(
        &self,
        table: &str,
        operations: &[Operation],
    ) -> Result<Vec<String>, TableServiceError> {
        let mut request = self.request(self.address.batch()?, Method::Post);
        let (content_type, body) = batch::encode(&self.address, table, operations)?;
        request.insert_header(CONTENT_TYPE, content_type);
        request.set_body(body);
        let answer = self.send(request).await?;
        batch::decode(answer.body(), operations)
    }

    fn request(&self, url: Url, method: Method) -> Request {
        let mut request = Request::new(url, method);
        request.insert_header("x-ms-version", VERSION);
        request.insert_header("dataserviceversion", "3.0");
        request.insert_header(ACCEPT, MINIMAL_METADATA);
        request
    }

    async fn send(&self, mut request: Request) -> Result<RawResponse, TableServiceError> {
        // The service's errors are read here: they come in OData's form, not in the pipeline's.
        let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        let answer = self.pipeline.send(&Context::new(), &mut request, Some(options)).await?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(TableServiceError::from_response(&answer))
        }
    }
}

fn set_json(request: &mut Request, body: &Value) {
    request.insert_header(CONTENT_TYPE, "application/json");
    request.set_body(Bytes::from(body.to_string()));
}
