//! Sessions: a login and password become a token, which ends half an hour after its last call.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Mutex;

use super::wire::{SignInAnswer, WireId};
use crate::{
    base::invocation::Invocation,
    booking::{
        BookingSystemError,
        account::SystemAccount,
        client::{SystemClient, SystemRequest, SystemResponse},
    },
};

const TOKEN: HeaderName = HeaderName::from_static("x-booked-sessiontoken");
const USER: HeaderName = HeaderName::from_static("x-booked-userid");

/// LibreBooking's web services, with one session for all calls.
pub(super) struct WebServices {
    client: SystemClient,
    account: SystemAccount,
    session: Mutex<Option<Arc<OpenSession>>>,
}

/// A session that was good when it began.
struct OpenSession {
    user: WireId,
    headers: [(HeaderName, HeaderValue); 2],
}

impl WebServices {
    pub(super) fn new(client: SystemClient, account: SystemAccount) -> Self {
        Self { client, account, session: Mutex::default() }
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.client.clock().now()
    }

    /// The account's own id.
    pub(super) async fn user(&self, invocation: &Invocation) -> Result<WireId, BookingSystemError> {
        Ok(self.session(invocation, None).await?.user.clone())
    }

    /// Sends a request. A session that has ended is answered with 401, and then nothing was done: the
    /// request is sent again with a new one.
    pub(super) async fn call(
        &self,
        invocation: &Invocation,
        request: SystemRequest,
    ) -> Result<SystemResponse, BookingSystemError> {
        let session = self.session(invocation, None).await?;
        let response = self.send(invocation, request.clone(), &session).await?;
        if response.status != StatusCode::UNAUTHORIZED {
            return response.check();
        }
        let session = self.session(invocation, Some(&session)).await?;
        let response = self.send(invocation, request, &session).await?.check();
        if matches!(response, Err(BookingSystemError::Unauthorised)) {
            self.account.refuse();
        }
        response
    }

    async fn send(
        &self,
        invocation: &Invocation,
        mut request: SystemRequest,
        session: &OpenSession,
    ) -> Result<SystemResponse, BookingSystemError> {
        request.headers.extend(session.headers.clone());
        self.client.send(invocation, request).await
    }

    /// The session that all share, or a new one in place of `ended`. Who comes second waits for the
    /// first one's.
    async fn session(
        &self,
        invocation: &Invocation,
        ended: Option<&Arc<OpenSession>>,
    ) -> Result<Arc<OpenSession>, BookingSystemError> {
        let mut shared = self.session.lock().await;
        let is_ended =
            |known: &Arc<OpenSession>| ended.is_some_and(|ended| Arc::ptr_eq(known, ended));
        if let Some(known) = shared.as_ref().filter(|known| !is_ended(known)) {
            return Ok(Arc::clone(known));
        }
        *shared = None;
        let begun = Arc::new(self.sign_in(invocation).await?);
        *shared = Some(Arc::clone(&begun));
        Ok(begun)
    }

    async fn sign_in(&self, invocation: &Invocation) -> Result<OpenSession, BookingSystemError> {
        let credential = self.account.get().await?;
        let (login, password) = (credential.login.reveal(), credential.password.reveal());
        let path = ["Authentication", "Authenticate"];
        let body = json!({ "username": login, "password": password });
        let template = "/Authentication/Authenticate";
        let request = SystemRequest::post(template, &path, "username,password", body);
        let answer = async { self.client.send(invocation, request).await?.check()?.json() };
        let answer: Result<SignInAnswer, _> = answer.await;
        if matches!(answer, Err(BookingSystemError::OutcomeUnknown(_))) {
            // Whether a session has begun that nobody uses does not matter.
            return Err(BookingSystemError::Unavailable { retry_after: None });
        }
        let SignInAnswer {
            is_authenticated: true,
            session_token: Some(token),
            user_id: Some(user),
        } = answer?
        else {
            self.account.refuse();
            return Err(BookingSystemError::Unauthorised);
        };
        let header = |text: &str| {
            let value = HeaderValue::from_str(text);
            value.map_err(|_| BookingSystemError::Unavailable { retry_after: None })
        };
        let mut secret = header(&token)?;
        secret.set_sensitive(true);
        let headers = [(TOKEN, secret), (USER, header(&user.0)?)];
        Ok(OpenSession { user, headers })
    }
}
