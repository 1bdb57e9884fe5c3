//! How time passes under disturbance: messages delivered twice, workers cut off half way.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use jiff::SignedDuration;
use roombridge::host::{FUNCTIONS, Trigger};
use world::host::DequeuedMessage;
use world::test_world::TestWorld;

/// Rounds after which something must be going round in circles.
const MAX_ROUNDS: usize = 10_000;

/// How messages and timer ticks are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// Each once.
    Undisturbed,
    /// Each twice in a row, timers too.
    DuplicatedAtOnce,
    /// Each once, and when all is done every message a second time, oldest first.
    DuplicatedAtEnd,
    /// Each once, but the work at this await point (counted from 1 over all of them) is dropped
    /// there, as when its process is killed. Where nothing was written since the point before, it is
    /// not counted: a process that is killed at either leaves the same behind.
    DroppedAt(usize),
}

/// Lets time pass in a world, under one disturbance.
pub(crate) struct Driver<'a> {
    world: &'a TestWorld,
    disturbance: Cell<Disturbance>,
    await_points: Cell<usize>,
    /// How many writes there had been at the last of them.
    writes: Cell<Option<usize>>,
    has_dropped: Cell<bool>,
    copies: RefCell<Vec<DequeuedMessage>>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(world: &'a TestWorld, manner: Disturbance) -> Self {
        let (manner, points, cut) = (Cell::new(manner), Cell::new(0), Cell::new(false));
        Self {
            world,
            disturbance: manner,
            await_points: points,
            writes: Cell::new(None),
            has_dropped: cut,
            copies: RefCell::default(),
        }
    }

    /// How many await points were passed so far.
    pub(crate) fn await_points(&self) -> usize {
        self.await_points.get()
    }

    /// Whether a worker was cut off.
    pub(crate) fn has_dropped(&self) -> bool {
        self.has_dropped.get()
    }

    /// Ends the disturbance; what was to come a second time comes now.
    pub(crate) async fn end(&self) {
        self.disturbance.set(Disturbance::Undisturbed);
        for copy in self.copies.take() {
            self.world.host.process_message(copy).await;
        }
        self.run_until_idle().await;
    }

    /// Lets `duration` pass, with everything that happens in it.
    pub(crate) async fn run_for(&self, duration: SignedDuration) {
        let until = self.world.now() + duration;
        self.run_due().await;
        for _ in 0..MAX_ROUNDS {
            let next = self.world.next_event().filter(|next| *next <= until);
            let Some(next) = next else { break };
            self.world.clock.set(next.max(self.world.now()));
            self.run_due().await;
        }
        self.world.clock.set(until);
    }

    async fn run_due(&self) {
        self.run_timers().await;
        self.run_until_idle().await;
    }

    async fn run_timers(&self) {
        let host = &self.world.host;
        let now = self.world.now();
        let due = FUNCTIONS.iter().filter(|function| match function.trigger {
            Trigger::Timer { .. } => host.next_run(function.name).is_some_and(|at| at <= now),
            Trigger::Http { .. } | Trigger::Queue { .. } => false,
        });
        let due: Vec<&str> = due.map(|function| function.name).collect();
        // A run that was cut off is still due, and is run again by a host that has restarted.
        while self.unless_dropped(host.run_due_timers()).await.is_none() {}
        if self.disturbance.get() == Disturbance::DuplicatedAtOnce {
            for name in due {
                let again = host.run_timer(name).await;
                assert!(again.is_ok(), "{again:?}");
            }
        }
    }

    async fn run_until_idle(&self) {
        for _ in 0..MAX_ROUNDS {
            let travelled = self.world.microsoft.exchange.deliver_due();
            let delivered = self.world.microsoft.graph.deliver_due().await.posts.len();
            let taken = self.world.host.dequeue_all().await;
            let idle = travelled + delivered + taken.len() == 0;
            for taken in taken {
                self.process(taken).await;
            }
            if idle {
                break;
            }
        }
    }

    async fn process(&self, taken: DequeuedMessage) {
        let host = &self.world.host;
        match self.disturbance.get() {
            Disturbance::Undisturbed => drop(host.process_message(taken).await),
            Disturbance::DuplicatedAtOnce => {
                host.process_message(taken.clone()).await;
                host.process_message(taken).await;
            }
            Disturbance::DuplicatedAtEnd => {
                self.copies.borrow_mut().push(taken.clone());
                host.process_message(taken).await;
            }
            Disturbance::DroppedAt(_) => {
                drop(self.unless_dropped(host.process_message(taken)).await)
            }
        }
    }

    /// Runs `work`, unless its await point is the one to be cut at: `None` then.
    async fn unless_dropped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        self.writes.set(None);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => {
                let writes = Some(self.count_writes());
                if self.writes.replace(writes) == writes {
                    return Poll::Pending;
                }
                self.await_points.set(self.await_points.get() + 1);
                if self.disturbance.get() == Disturbance::DroppedAt(self.await_points.get()) {
                    self.has_dropped.set(true);
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// To tables, queues and Graph.
    fn count_writes(&self) -> usize {
        let TestWorld { table_faults, queue_faults, microsoft, .. } = self.world;
        table_faults.count_writes() + queue_faults.count() + microsoft.graph.count_writes()
    }
}
