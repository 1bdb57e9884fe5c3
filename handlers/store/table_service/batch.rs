//! Writes, alone or many in one transaction: OData's `multipart/mixed` out and in.

use azure_core::http::headers::{HeaderName, HeaderValue, IF_MATCH, PREFER};
use azure_core::http::{Method, Url};
use bytes::Bytes;
use serde_json::Value;

use super::address::ServiceUrl;
use super::{entity::Entity, error::TableServiceError};

/// Parts the batch from its one change set, and the change set's operations from each other. Keys
/// are percent-encoded and bodies are one line of JSON, so neither can stand at a line's start.
const BATCH: &str = "batch_7d1fd0a9";
const CHANGES: &str = "changeset_7d1fd0a9";

/// One write of one entity.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Add an entity that must not be there yet.
    Insert(Entity),
    /// Replace the entity if it still has this ETag (`*` for any version).
    Replace(Entity, String),
    /// Put the entity, whatever stood there.
    Upsert(Entity),
    /// Remove the entity with this partition key and row key if it still has this ETag (`*` for
    /// any version).
    Delete(String, String, String),
}

impl Operation {
    pub(super) fn method(&self) -> Method {
        match self {
            Self::Insert(_) => Method::Post,
            Self::Replace(..) | Self::Upsert(_) => Method::Put,
            Self::Delete(..) => Method::Delete,
        }
    }

    pub(super) fn url(&self, address: &ServiceUrl, table: &str) -> Result<Url, TableServiceError> {
        match self {
            Self::Insert(_) => address.table(table),
            Self::Replace(entity, _) | Self::Upsert(entity) => {
                address.entity(table, &entity.partition, &entity.row)
            }
            Self::Delete(partition, row, _) => address.entity(table, partition, row),
        }
    }

    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::Insert(_) => vec![(PREFER, HeaderValue::from_static("return-no-content"))],
            Self::Replace(_, etag) | Self::Delete(_, _, etag) => {
                vec![(IF_MATCH, HeaderValue::from(etag.clone()))]
            }
            Self::Upsert(_) => Vec::new(),
        }
    }

    pub(super) fn body(&self) -> Option<Value> {
        match self {
            Self::Insert(entity) | Self::Replace(entity, _) | Self::Upsert(entity) => {
                Some(entity.to_json())
            }
            Self::Delete(..) => None,
        }
    }

    pub(super) fn returns_etag(&self) -> bool {
        !matches!(self, Self::Delete(..))
    }
}

/// The content type and body of a transaction.
pub(super) fn encode(
    address: &ServiceUrl,
    table: &str,
    operations: &[Operation],
) -> Result<(String, Bytes), TableServiceError> {
    let mut body =
        format!("--{BATCH}\r\nContent-Type: multipart/mixed; boundary={CHANGES}\r\n\r\n");
    for operation in operations {
        let (method, url) = (operation.method(), operation.url(address, table)?);
        body.push_str(&format!(
            "--{CHANGES}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             {method} {url} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n\
             DataServiceVersion: 3.0\r\n"
        ));
        for (name, value) in operation.headers() {
            let name = if name == PREFER { "Prefer" } else { "If-Match" };
            body.push_str(&format!("{name}: {}\r\n", value.as_str()));
        }
        match operation.body() {
            Some(json) => {
                body.push_str(&format!("Content-Type: application/json\r\n\r\n{json}\r\n"));
            }
            None => body.push_str("\r\n\r\n"),
        }
    }
    body.push_str(&format!("--{CHANGES}--\r\n--{BATCH}--\r\n"));
    Ok((format!("multipart/mixed; boundary={BATCH}"), Bytes::from(body)))
}

/// Reads the response to a transaction: one part for each operation, or a single one with the error.
pub(super) fn decode(
    answer: &[u8],
    operations: &[Operation],
) -> Result<Vec<String>, TableServiceError> {
    let answer = std::str::from_utf8(answer)
        .map_err(|_| TableServiceError::Unreadable("a transaction's response is not text"))?;
    let parts: Vec<_> = answer.split("HTTP/1.1 ").skip(1).filter_map(parse_part).collect();
    if let Some((status, _, body)) = parts.iter().find(|part| !(200..300).contains(&part.0)) {
        return Err(TableServiceError::from_batch_part(*status, body));
    }
    if parts.len() != operations.len() {
        return Err(TableServiceError::Unreadable("a transaction's response has too few parts"));
    }
    let etags = parts.iter().zip(operations).map(|((_, etag, _), operation)| match etag {
        Some(etag) => Ok((*etag).to_owned()),
        None if operation.returns_etag() => {
            Err(TableServiceError::Unreadable("a part of a transaction's response has no ETag"))
        }
        None => Ok(String::new()),
    });
    etags.collect()
}

/// The status, ETag and body of one part, from after the protocol's name to the next boundary.
fn parse_part(text: &str) -> Option<(u16, Option<&str>, &str)> {
    let status = text.get(..3)?.parse().ok()?;
    let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let etag = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("etag").then(|| value.trim())
    });
    Some((status, etag, rest.split("\r\n--").next().unwrap_or_default().trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n\
        --changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        HTTP/1.1 412 Precondition Failed\r\nContent-ID: 2\r\nContent-Type: application/json\r\n\r\n\
        {\"odata.error\":{\"code\":\"UpdateConditionNotSatisfied\",\"message\":{\"lang\":\"en-US\",\"value\":\"1:The update condition\"}}}\r\n\
        --changesetresponse_1--\r\n--batchresponse_1--\r\n";

    #[test]
    fn the_one_part_of_a_failure_tells_which_and_why() {
        let operations =
            [Operation::Upsert(Entity::new("p", "1")), Operation::Upsert(Entity::new("p", "2"))];
        let error = decode(FAILED.as_bytes(), &operations).unwrap_err();
        let TableServiceError::ErrorResponse { status, code, failed_operation: failed } = error
        else {
            panic!("{error}")
        };
        assert_eq!((status, code.as_str(), failed), (412, "UpdateConditionNotSatisfied", Some(1)));
    }

    #[test]
    fn an_answer_that_lacks_parts_is_no_success() {
        let operations = [Operation::Upsert(Entity::new("p", "1"))];
        assert!(decode(b"--batchresponse_1--\r\n", &operations).is_err());
    }
}
