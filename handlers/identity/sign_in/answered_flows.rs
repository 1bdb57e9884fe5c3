//! Which pending sign-ins were answered: each is good for one answer, although a browser can keep its cookie.

use std::{convert::Infallible, sync::Arc};

use quick_cache::sync::Cache;

/// How many are remembered, the ones answered last. A sign-in lives ten minutes, so that this is more
/// than a hundred a second in one process.
const MAX_ANSWERED: usize = 100_000;

/// The sign-ins that this process has seen an answer to. Another process has not: what is left is one
/// token request for each of them.
#[derive(Clone)]
pub(crate) struct AnsweredFlows(Arc<Cache<String, ()>>);

impl AnsweredFlows {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Cache::new(MAX_ANSWERED)))
    }

    /// Whether this is the first answer to the flow with this `state`.
    pub(super) fn insert(&self, state: &str) -> bool {
        let mut is_first = false;
        let inserted = self.0.get_or_insert_with(state, || {
            is_first = true;
            Ok::<_, Infallible>(())
        });
        inserted.is_ok() && is_first
    }
}
