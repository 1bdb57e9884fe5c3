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
pub struct Gate(Arc<Mutex<Option<Trap>>>);

struct Trap {
    path_ends_with: String,
    arrived: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// An answer that is being waited for, or held. It goes on when this is dropped.
pub struct Caught {
    arrived: oneshot::Receiver<()>,
    #[expect(dead_code, reason = "held for its drop, which lets the answer go on")]
    release: oneshot::Sender<()>,
}

impl Caught {
    /// Waits until there is such an answer: the request took effect, its caller does not know yet.
    pub async fn arrived(&mut self) {
        if (&mut self.arrived).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Gate {
    /// Catches the answer to the next request whose path ends like this.
    pub fn catch(&self, path_ends_with: &str) -> Caught {
        let (arrived, arrival) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let trap = Trap { path_ends_with: path_ends_with.to_owned(), arrived, released };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap);
        Caught { arrived: arrival, release }
    }

    /// Puts the gate before `router`.
    pub(super) fn before(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), pass))
    }

    fn trap(&self, path: &str) -> Option<Trap> {
        let mut trap = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trap.take_if(|trap| path.ends_with(&trap.path_ends_with))
    }
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let trap = gate.trap(request.uri().path());
    let answer = next.run(request).await;
    if let Some(Trap { arrived, released, .. }) = trap
        && arrived.send(()).is_ok()
    {
        // An error is the release: the other end was dropped.
        drop(released.await);
    }
    answer
}
