//! What happens behind our back: notifications vanish, subscriptions end, keys are turned or lost,
//! permissions are taken away and given again.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use roombridge::base::rng::SeededRng;
use roombridge::identity::client_state::{Key, Keys};
use roombridge::identity::content_keys::{
    ContentKeySource as _, FreshContentKey, MemoryContentKeys,
};
use roombridge::identity::key_ring::{KeySource, KeysUnavailable};
use tokio::sync::OnceCell;
use world::exchange::Mailbox;
use world::graph::Lifecycle;
use world::microsoft::DAEMON_APP;

use super::operations::Op;
use super::run::Run;
use crate::{Failure, Outcome};

/// Client-state keys that change while everything runs. Clones share them.
#[derive(Clone)]
pub(super) struct TurningKeys(Arc<Mutex<Vec<Key>>>);

impl TurningKeys {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self(Arc::new(Mutex::new(vec![key(1)?]))))
    }

    /// Another key for new client states; the old ones are lost, or still prove.
    fn turn(&self, lost: bool) -> Result<(), Failure> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = keys.last().and_then(|key| key.id().as_str().get(1..)?.parse().ok());
        let next = key(number.unwrap_or(0_u8) + 1)?;
        if lost {
            keys.clear();
        }
        keys.push(next);
        Ok(())
    }
}

/// Keys that content is sealed for, made once for all seeds: each takes a while.
static SPARE: OnceCell<Vec<FreshContentKey>> = OnceCell::const_new();
/// How many there are, round and round.
const SPARES: u64 = 4;

/// Puts a spare key that is not there yet into the vault, the `nth` if it may be.
pub(super) async fn keep(vault: &MemoryContentKeys, nth: usize) -> Outcome {
    let spare = SPARE
        .get_or_try_init(|| async {
            let mut keys = Vec::new();
            for seed in 0..SPARES {
                let made_at = jiff::Timestamp::UNIX_EPOCH;
                keys.push(FreshContentKey::make(made_at, &SeededRng::new(seed)).await?);
            }
            Ok::<_, Failure>(keys)
        })
        .await?;
    let known = vault.ids();
    let mut others = spare.iter().cycle().skip(nth).take(spare.len());
    if let Some(key) = others.find(|key| !known.contains(key.id())) {
        vault.add(key).await?;
    }
    Ok(())
}

fn key(number: u8) -> Result<Key, Failure> {
    Ok(Key::new(format!("k{number}").parse()?, &[number; 32]))
}

#[async_trait]
impl KeySource for TurningKeys {
    async fn load(&self) -> Result<Keys, KeysUnavailable> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (current, others) = keys.split_last().ok_or(KeysUnavailable)?;
        Ok(Keys::new(current.clone(), others.iter().cloned()))
    }
}

impl Run {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    pub(super) async fn behind_our_back(&mut self, op: Op) -> Result<(), Failure> {
        let graph = &self.office.microsoft.graph;
        match op {
            Op::Losing(on) => graph.drop_next(if on { u32::MAX } else { 0 }),
            Op::LoseSubscription { mailbox, told } => {
                for id in self.subscriptions_of(mailbox) {
                    if told {
                        graph.raise(&id, Lifecycle::SubscriptionRemoved);
                    } else {
                        graph.drop_subscription(&id);
                    }
                }
            }
            Op::Lifecycle { mailbox, missed } => {
                let event =
                    if missed { Lifecycle::Missed } else { Lifecycle::ReauthorizationRequired };
                for id in self.subscriptions_of(mailbox) {
                    graph.raise(&id, event);
                }
            }
            Op::TurnKeys { lost } => self.keys.turn(lost)?,
            Op::TurnContentKey { lost } => {
                let known = self.office.content_keys.ids();
                keep(&self.office.content_keys, known.len()).await?;
                for id in known.iter().filter(|_| lost) {
                    self.office.content_keys.destroy(id).await?;
                }
            }
            Op::Revoke => {
                self.revoked = true;
                self.office.microsoft.entra.revoke(self.tenant.id(), DAEMON_APP);
            }
            Op::Regain => self.regain().await?,
            _ => {}
        }
        Ok(())
    }

    /// The administrator gives the permissions again and connects, if they were taken away.
    pub(super) async fn regain(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.revoked) {
            self.office.microsoft.entra.consent_to_all(self.tenant.id(), DAEMON_APP);
            self.office.seeding().reconnect(&self.tenant).await?;
        }
        Ok(())
    }

    fn subscriptions_of(&self, mailbox: u8) -> Vec<String> {
        let all: Vec<&Mailbox> = self.people.iter().chain(&self.rooms).collect();
        let mailbox = all[usize::from(mailbox) % all.len()].id();
        let living = self.office.microsoft.graph.subscriptions();
        living.into_iter().filter(|one| one.mailbox == mailbox).map(|one| one.id).collect()
    }
}
