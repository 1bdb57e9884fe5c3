//! The operator that we are at TOPdesk: HTTP Basic with an application password, and what each status means.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode, header};

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
        success(response.ok_or(BookingSystemError::Unauthorised)?)
    }

    /// Changes something.
    ///
    /// # Errors
    /// As [`Operator::read`], and [`BookingSystemError::Rejected`] where a rule of TOPdesk is against it.
    pub(super) async fn write(
        &self,
        invocation: &Invocation,
        request: SystemRequest,
    ) -> Result<SystemResponse, BookingSystemError> {
        let response = self.try_send(invocation, request).await?;
        let response = response.ok_or(BookingSystemError::Unauthorised)?;
        match response.status {
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(BookingSystemError::Rejected { words: wire::words(&response) })
            }
            _ => success(response),
        }
    }
}

fn success(response: SystemResponse) -> Result<SystemResponse, BookingSystemError> {
    match response.status {
        StatusCode::NOT_FOUND => Err(BookingSystemError::NotFound),
        status if status.is_success() => Ok(response),
        _ => Err(response.nonsense()),
    }
}
