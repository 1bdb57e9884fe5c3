//! A gate before the simulated Graph's answers: a test catches one after it took effect and before
//! the caller has it, which is the moment to kill somebody.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};
use tokio::sync::oneshot;

/// Catches answers. Clones share what is to be caught.
#[derive(Clone, Default)]
pub struct ResponseGate(Arc<Mutex<Option<PendingCatch>>>);

struct PendingCatch {
    path_ends_with: String,
    arrived: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// An answer that is being waited for, or held. It is passed on when this is dropped.
pub struct CaughtResponse {
    arrived: oneshot::Receiver<()>,
    #[expect(dead_code, reason = "held for its drop, which passes the answer on")]
    release: oneshot::Sender<()>,
}

impl CaughtResponse {
    /// Waits until there is such an answer: the request took effect, its caller does not know yet.
    pub async fn wait(&mut self) {
        if (&mut self.arrived).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl ResponseGate {
    /// Catches the answer to the next request whose path ends like this.
    pub fn catch(&self, path_ends_with: &str) -> CaughtResponse {
        let (arrived, arrival) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let trap = PendingCatch { path_ends_with: path_ends_with.to_owned(), arrived, released };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap);
        CaughtResponse { arrived: arrival, release }
    }

    /// Puts the gate before `router`.
    pub(super) fn layer(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), hold_response))
    }

    fn take_matching(&self, path: &str) -> Option<PendingCatch> {
        let mut trap = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trap.take_if(|trap| path.ends_with(&trap.path_ends_with))
    }
}

async fn hold_response(State(gate): State<ResponseGate>, request: Request, next: Next) -> Response {
    let trap = gate.take_matching(request.uri().path());
    let answer = next.run(request).await;
    if let Some(PendingCatch { arrived, released, .. }) = trap
        && arrived.send(()).is_ok()
    {
        // An error is the release: the other end was dropped.
        drop(released.await);
    }
    answer
}
