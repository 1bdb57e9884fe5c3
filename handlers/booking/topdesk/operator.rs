//! The operator that we are at TOPdesk: HTTP Basic with an application password, and what each status means.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::wire;
use crate::{
    base::invocation::Invocation,
    booking::{
        BookingSystemError,
        account::SystemAccount,
        client::{SystemClient, SystemRequest, SystemResponse},
    },
};

/// Sends as one operator.
#[derive(Clone)]
pub(super) struct Operator {
    client: SystemClient,
    account: SystemAccount,
}

/// A request for JSON; [`SystemRequest`] says what each part is.
pub(super) fn request(
    method: Method,
    path_template: &'static str,
    path: &[&str],
    fields: &'static str,
) -> SystemRequest {
    SystemRequest {
        method,
        path_template,
        path: path.iter().map(|&segment| segment.to_owned()).collect(),
        query: Vec::new(),
        fields,
        headers: Vec::new(),
        body: None,
    }
}

/// The same with a body.
pub(super) fn post(
    path_template: &'static str,
    path: &[&str],
    fields: &'static str,
    body: Value,
) -> SystemRequest {
    SystemRequest { body: Some(body), ..request(Method::POST, path_template, path, fields) }
}

impl Operator {
    pub(super) fn new(client: SystemClient, account: SystemAccount) -> Self {
        Self { client, account }
    }

    /// The login, which is all that the API says of who we are.
    pub(super) async fn login(&self) -> Result<String, BookingSystemError> {
        Ok(self.account.get().await?.login.reveal().to_owned())
    }

    /// Sends a request; `None` where the operator has no right to it.
    ///
    /// # Errors
    /// As [`SystemResponse::check`].
    pub(super) async fn try_send(
        &self,
        invocation: &Invocation,
        mut request: SystemRequest,
    ) -> Result<Option<SystemResponse>, BookingSystemError> {
        let account = self.account.get().await?;
        let (login, password) = (account.login.reveal(), account.password.reveal());
        let basic = format!("Basic {}", STANDARD.encode(format!("{login}:{password}")));
        // Base64 has no letter that a header may not have.
        let mut value =
            HeaderValue::try_from(basic).map_err(|_| BookingSystemError::Unauthorised)?;
        value.set_sensitive(true);
        request.headers.push((header::AUTHORIZATION, value));
        let response = self.client.send(invocation, request).await?;
        if response.status == StatusCode::UNAUTHORIZED {
            self.account.refuse();
        }
        if response.status == StatusCode::FORBIDDEN {
            return Ok(None);
        }
        response.check().map(Some)
    }

    /// Reads something. A refusal of ours to read says nothing of a booking, so it is no refusal of one.
    ///
    /// # Errors
    /// As [`SystemResponse::check`], and [`BookingSystemError::NotFound`].
    pub(super) async fn read(
        &self,
        invocation: &Invocation,
        request: SystemRequest,
    ) -> Result<SystemResponse, BookingSystemError> {
        let response = self.try_send(invocation, request).await?;
        let response = response.ok_or(BookingSystemError::Unauthorised)?;
        match response.status {
            StatusCode::NOT_FOUND => Err(BookingSystemError::NotFound),
            status if status.is_success() => Ok(response),
            _ => Err(response.nonsense()),
        }
    }

    /// Changes something.
    ///
    /// # Errors
    /// As [`SystemResponse::check`], [`BookingSystemError::NotFound`], and
    /// [`BookingSystemError::Rejected`] where a rule of TOPdesk is against it.
    pub(super) async fn write(
        &self,
        invocation: &Invocation,
        request: SystemRequest,
    ) -> Result<SystemResponse, BookingSystemError> {
        let response = self.try_send(invocation, request).await?;
        let response = response.ok_or(BookingSystemError::Unauthorised)?;
        match response.status {
            StatusCode::NOT_FOUND => Err(BookingSystemError::NotFound),
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(BookingSystemError::Rejected { words: wire::words(&response) })
            }
            status if status.is_success() => Ok(response),
            _ => Err(response.nonsense()),
        }
    }
}
