//! How time passes under disturbance: messages delivered twice, workers cut off half way.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use jiff::SignedDuration;
use roombridge::host::{FUNCTIONS, Trigger};
use world::host::Taken;
use world::office::Office;

/// Rounds after which something must be going round in circles.
const TOO_MANY: usize = 10_000;

/// How messages and timer ticks are worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Each once.
    Once,
    /// Each twice in a row, timers too.
    TwiceInTurn,
    /// Each once, and when all is done every message a second time, oldest first.
    TwiceAfterwards,
    /// Each once, but whoever is at work at this await point (counted from 1 over all of them) is
    /// dropped there, as when its process is killed.
    Cut(usize),
}

/// Lets time pass in an office, in one manner.
pub(crate) struct Driver<'a> {
    office: &'a Office,
    manner: Cell<Manner>,
    points: Cell<usize>,
    cut: Cell<bool>,
    copies: RefCell<Vec<Taken>>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(office: &'a Office, manner: Manner) -> Self {
        let (manner, points, cut) = (Cell::new(manner), Cell::new(0), Cell::new(false));
        Self { office, manner, points, cut, copies: RefCell::default() }
    }

    /// How many await points were passed so far.
    pub(crate) fn points(&self) -> usize {
        self.points.get()
    }

    /// Whether a worker was cut off.
    pub(crate) fn has_cut(&self) -> bool {
        self.cut.get()
    }

    /// Ends the disturbance; what was to come a second time comes now.
    pub(crate) async fn end(&self) {
        self.manner.set(Manner::Once);
        for copy in self.copies.take() {
            self.office.host.process_message(copy).await;
        }
        self.settle().await;
    }

    /// Lets `duration` pass, with everything that happens in it.
    pub(crate) async fn pass(&self, duration: SignedDuration) {
        let until = self.office.now() + duration;
        self.tick().await;
        for _ in 0..TOO_MANY {
            let next = self.office.next_event().filter(|next| *next <= until);
            let Some(next) = next else { break };
            self.office.clock.set(next.max(self.office.now()));
            self.tick().await;
        }
        self.office.clock.set(until);
    }

    async fn tick(&self) {
        self.timers().await;
        self.settle().await;
    }

    async fn timers(&self) {
        let host = &self.office.host;
        let now = self.office.now();
        let due = FUNCTIONS.iter().filter(|function| match function.trigger {
            Trigger::Timer { .. } => host.next_run(function.name).is_some_and(|at| at <= now),
            Trigger::Http { .. } | Trigger::Queue { .. } => false,
        });
        let due: Vec<&str> = due.map(|function| function.name).collect();
        // A run that was cut off is still due, and is run again by a host that has restarted.
        while self.unless_cut(host.run_due_timers()).await.is_none() {}
        if self.manner.get() == Manner::TwiceInTurn {
            for name in due {
                let again = host.run_timer(name).await;
                assert!(again.is_ok(), "{again:?}");
            }
        }
    }

    async fn settle(&self) {
        for _ in 0..TOO_MANY {
            let travelled = self.office.microsoft.exchange.step();
            let delivered = self.office.microsoft.graph.deliver_due().await.posts.len();
            let taken = self.office.host.take_all().await;
            let idle = travelled + delivered + taken.len() == 0;
            for taken in taken {
                self.work(taken).await;
            }
            if idle {
                break;
            }
        }
    }

    async fn work(&self, taken: Taken) {
        let host = &self.office.host;
        match self.manner.get() {
            Manner::Once => drop(host.process_message(taken).await),
            Manner::TwiceInTurn => {
                host.process_message(taken.clone()).await;
                host.process_message(taken).await;
            }
            Manner::TwiceAfterwards => {
                self.copies.borrow_mut().push(taken.clone());
                host.process_message(taken).await;
            }
            Manner::Cut(_) => drop(self.unless_cut(host.process_message(taken)).await),
        }
    }

    /// Runs `work`, unless its await point is the one to be cut at: `None` then.
    async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => {
                self.points.set(self.points.get() + 1);
                if self.manner.get() == Manner::Cut(self.points.get()) {
                    self.cut.set(true);
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            }
        })
        .await
    }
}
