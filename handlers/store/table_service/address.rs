//! Addresses of tables and entities, and filters: where keys are quoted and encoded.

use azure_core::http::Url;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::TableServiceError;

/// Everything but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The service's own address, without a trailing slash.
#[derive(Debug, Clone)]
pub(super) struct ServiceUrl(String);

impl ServiceUrl {
    pub(super) fn parse(url: &str) -> Result<Self, TableServiceError> {
        let parsed = Url::parse(url).map_err(|_| TableServiceError::InvalidUrl)?;
        let plain = parsed.query().is_none() && parsed.fragment().is_none();
        if parsed.scheme() == "https" && plain {
            Ok(Self(parsed.as_str().trim_end_matches('/').to_owned()))
        } else {
            Err(TableServiceError::InvalidUrl)
        }
    }

    pub(super) fn tables(&self) -> Result<Url, TableServiceError> {
        self.join("Tables")
    }

    pub(super) fn batch(&self) -> Result<Url, TableServiceError> {
        self.join("$batch")
    }

    pub(super) fn table(&self, table: &str) -> Result<Url, TableServiceError> {
        self.join(&encode(table))
    }

    pub(super) fn entity(
        &self,
        table: &str,
        partition: &str,
        row: &str,
    ) -> Result<Url, TableServiceError> {
        let (partition, row) = (encode(&quote(partition)), encode(&quote(row)));
        self.join(&format!("{}(PartitionKey={partition},RowKey={row})", encode(table)))
    }

    pub(super) fn query(
        &self,
        table: &str,
        filter: &Filter,
        top: u16,
        from: Option<&EntityContinuation>,
    ) -> Result<Url, TableServiceError> {
        let mut path = format!("{}()?$top={top}", encode(table));
        if let Some(text) = filter.text() {
            path.push_str(&format!("&$filter={}", encode(&text)));
        }
        if let Some(from) = from {
            path.push_str(&format!("&NextPartitionKey={}", encode(&from.partition)));
            if let Some(row) = &from.row {
                path.push_str(&format!("&NextRowKey={}", encode(row)));
            }
        }
        self.join(&path)
    }

    fn join(&self, path: &str) -> Result<Url, TableServiceError> {
        Url::parse(&format!("{}/{path}", self.0)).map_err(|_| TableServiceError::InvalidUrl)
    }
}

/// Where a listing continues: the service's two continuation headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityContinuation {
    /// The partition key to go on from.
    pub partition: String,
    /// The row key to go on from; the service may leave it out.
    pub row: Option<String>,
}

/// Conditions that must all hold. An empty filter passes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<String>);

impl Filter {
    /// This filter and one more condition: `property` compared with the text `value` (quoted here)
    /// by OData's `operator`: `eq`, `ge`, `le`, `lt`. Neither name nor operator is quoted.
    #[must_use]
    pub fn and(mut self, property: &str, operator: &str, value: &str) -> Self {
        self.0.push(format!("{property} {operator} {}", quote(value)));
        self
    }

    fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(" and "))
    }
}

/// A text as OData writes it: in single quotes, those within doubled.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_leave_its_quotes() {
        let address = ServiceUrl::parse("https://127.0.0.1/account/").unwrap();
        let url = address.entity("T", "a',RowKey='b", "50% ü").unwrap();
        assert_eq!(
            url.as_str(),
            "https://127.0.0.1/account/T(PartitionKey=%27a%27%27%2CRowKey%3D%27%27b%27,RowKey=%2750%25%20%C3%BC%27)"
        );
    }

    #[test]
    fn filters_quote_what_they_compare_with() {
        let filter =
            Filter::default().and("PartitionKey", "eq", "o'clock").and("RowKey", "lt", "z");
        assert_eq!(filter.text().unwrap(), "PartitionKey eq 'o''clock' and RowKey lt 'z'");
    }

    #[test]
    fn tokens_do_not_travel_in_clear() {
        assert!(ServiceUrl::parse("http://account.table.core.windows.net").is_err());
        assert!(ServiceUrl::parse("https://account.table.core.windows.net/?sig=x").is_err());
    }
}
