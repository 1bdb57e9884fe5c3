//! The person cards of a meeting's people, found by their e-mail addresses.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderValue, Method, StatusCode, header};
use jiff::SignedDuration;

use super::{operator::Operator, wire::PersonList};
use crate::{
    base::{cache::Cache, clock::Clock, invocation::Invocation},
    booking::{
        BookingSystemError,
        client::{SystemRequest, SystemResponse},
    },
    domain::{booking_system::BookingRequest, personal::Personal},
};

/// How long a card is believed to be there, or not to be.
const TTL: SignedDuration = SignedDuration::from_mins(10);
/// The most addresses in one request, so that its URL stays below the 8 KB that proxies take.
const CHUNK: usize = 50;
/// The version of the list that can search.
const COLLECTION_TYPE: &str = "application/x.topdesk-collection-person-v2+json";

/// Finds persons.
#[derive(Clone)]
pub(super) struct People {
    operator: Operator,
    /// Whom a booking is for whose organizer is not named, or has no card.
    fallback: String,
    /// Ids by address in lower case; `None` where nobody has it, or several do.
    known: Cache<String, Option<String>>,
}

/// Ids of person cards.
pub(super) struct FoundPeople {
    pub(super) requester: String,
    /// Those of the attendees who have a card.
    pub(super) attendees: Vec<String>,
}

impl People {
    pub(super) fn new(operator: Operator, clock: Arc<dyn Clock>, fallback: String) -> Self {
        Self { operator, fallback, known: Cache::with_ttl(clock, TTL) }
    }

    /// The cards of those whom a booking names.
    ///
    /// # Errors
    /// [`BookingSystemError::RequesterUnknown`] where neither the organizer nor the fallback has one.
    pub(super) async fn of(
        &self,
        invocation: &Invocation,
        request: &BookingRequest,
    ) -> Result<FoundPeople, BookingSystemError> {
        let organizer = request.organizer.as_ref().map(Personal::reveal);
        let attendees = request.attendees.iter().map(Personal::reveal);
        let all = attendees.clone().chain(organizer).chain([self.fallback.as_str()]);
        let found = self.find(invocation, all).await?;
        let card = |address: &str| found.get(&address.to_lowercase()).cloned();
        let requester = organizer.and_then(card).or_else(|| card(&self.fallback));
        let mut attendees: Vec<String> = attendees.filter_map(card).collect();
        attendees.sort_unstable();
        attendees.dedup();
        let requester = requester.ok_or(BookingSystemError::RequesterUnknown)?;
        Ok(FoundPeople { requester, attendees })
    }

    /// Forgets the cards of those whom a booking names: TOPdesk has refused something about it.
    pub(super) fn forget(&self, request: &BookingRequest) {
        for address in request.attendees.iter().chain(&request.organizer) {
            self.known.invalidate(&address.reveal().to_lowercase());
        }
    }

    /// Whether the fallback has a card, and whether we may read cards at all.
    pub(super) async fn check(
        &self,
        invocation: &Invocation,
    ) -> Result<Option<bool>, BookingSystemError> {
        let fallback = self.fallback.to_lowercase();
        let asked = search(std::slice::from_ref(&fallback));
        let Some(response) = self.operator.try_send(invocation, asked).await? else {
            return Ok(None);
        };
        Ok(Some(read(&response, &[fallback])?.iter().all(|(_, card)| card.is_some())))
    }

    async fn find(
        &self,
        invocation: &Invocation,
        addresses: impl Iterator<Item = &str>,
    ) -> Result<HashMap<String, String>, BookingSystemError> {
        let mut unknown = Vec::new();
        let mut found = HashMap::new();
        for address in addresses.map(str::to_lowercase).filter(|address| is_searchable(address)) {
            match self.known.get(&address) {
                Some(Some(id)) => drop(found.insert(address, id)),
                Some(None) => {}
                None => unknown.push(address),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        for chunk in unknown.chunks(CHUNK) {
            let response = self.operator.read(invocation, search(chunk)).await?;
            for (address, id) in read(&response, chunk)? {
                self.known.insert(address.clone(), id.clone());
                found.extend(id.map(|id| (address, id)));
            }
        }
        Ok(found)
    }
}

/// Whether an address can be written into a query between quotes as it is.
fn is_searchable(address: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '\\');
    address.contains('@') && address.chars().all(is_plain)
}

fn search(addresses: &[String]) -> SystemRequest {
    let quoted: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    let query = format!("archived==false;email=in=({})", quoted.join(","));
    let asked = SystemRequest::new(Method::GET, "/persons", &["persons"], "id,email");
    SystemRequest {
        query: vec![
            ("query", query),
            ("fields", "id,email".to_owned()),
            ("pageSize", "1000".to_owned()),
        ],
        headers: vec![(header::ACCEPT, HeaderValue::from_static(COLLECTION_TYPE))],
        ..asked
    }
}

/// Which of the addresses has whose card. Where several cards have one address, nobody is guessed.
fn read(
    response: &SystemResponse,
    addresses: &[String],
) -> Result<Vec<(String, Option<String>)>, BookingSystemError> {
    let people = match response.status {
        StatusCode::NO_CONTENT => Vec::new(),
        status if status.is_success() => response.json::<PersonList>()?.item,
        _ => return Err(response.nonsense()),
    };
    let of = |address: &String| {
        let has_it = |email: &String| email.to_lowercase() == *address;
        let mut cards = people.iter().filter(|person| person.email.as_ref().is_some_and(has_it));
        cards.next().filter(|_| cards.next().is_none()).map(|person| person.id.clone())
    };
    Ok(addresses.iter().map(|address| (address.clone(), of(address))).collect())
}
