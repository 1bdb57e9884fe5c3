//! What happens without notice: notifications vanish, subscriptions end, keys are turned or lost,
//! permissions are taken away and given again.

use roombridge::base::test_support::SeededRng;
use roombridge::identity::keys::client_state::{KeySet, SecretKey};
use roombridge::identity::keys::content_keys::{
    ContentKeySource as _, MemoryContentKeys, NewContentKey,
};
use tokio::sync::OnceCell;
use world::exchange::Mailbox;
use world::graph::LifecycleKind;
use world::memory::MemoryKeys;
use world::microsoft::DAEMON_APP;

use super::operations::Op;
use super::run::SimulationRun;
use crate::{TestError, TestResult};

/// Client-state keys that change while everything runs.
pub(super) struct RotatingKeys {
    /// The newest key is the last one.
    keys: Vec<SecretKey>,
    pub(super) vault: MemoryKeys,
}

impl RotatingKeys {
    pub(super) fn new() -> Result<Self, TestError> {
        let first = key(1)?;
        let vault = MemoryKeys::read_only(KeySet::new(first.clone(), []));
        Ok(Self { keys: vec![first], vault })
    }

    /// Another key for new client states; the old ones are lost, or still prove.
    fn rotate(&mut self, lost: bool) -> Result<(), TestError> {
        let number = self.keys.last().and_then(|key| key.id().as_str().get(1..)?.parse().ok());
        let next = key(number.unwrap_or(0_u8) + 1)?;
        if lost {
            self.keys.clear();
        }
        self.vault.put(Some(KeySet::new(next.clone(), self.keys.iter().cloned())));
        self.keys.push(next);
        Ok(())
    }
}

/// Keys that content is sealed for, made once for all seeds: each takes a while.
static CONTENT_KEYS: OnceCell<Vec<NewContentKey>> = OnceCell::const_new();
/// How many there are, round and round.
const CONTENT_KEY_COUNT: u64 = 4;

/// Puts a spare key that is not there yet into the vault, the `nth` if it may be.
pub(super) async fn add_content_key(vault: &MemoryContentKeys, nth: usize) -> TestResult {
    let spare = CONTENT_KEYS
        .get_or_try_init(|| async {
            let mut keys = Vec::new();
            for seed in 0..CONTENT_KEY_COUNT {
                let made_at = jiff::Timestamp::UNIX_EPOCH;
                let key = NewContentKey::generate(made_at, &SeededRng::new(seed)).await;
                keys.push(key.ok_or("a key is made")?);
            }
            Ok::<_, TestError>(keys)
        })
        .await?;
    let known = vault.ids();
    let mut others = spare.iter().cycle().skip(nth).take(spare.len());
    if let Some(key) = others.find(|key| !known.contains(key.id())) {
        vault.add(key).await?;
    }
    Ok(())
}

fn key(number: u8) -> Result<SecretKey, TestError> {
    Ok(SecretKey::new(format!("k{number}").parse()?, &[number; 32]))
}

impl SimulationRun {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    pub(super) async fn apply_silent_fault(&mut self, op: Op) -> Result<(), TestError> {
        let graph = &self.world.microsoft.graph;
        match op {
            Op::DropAllNotifications(on) => graph.drop_next(if on { u32::MAX } else { 0 }),
            Op::LoseSubscription { mailbox, announced } => {
                for id in self.subscriptions_of(mailbox) {
                    if announced {
                        graph.send_lifecycle(&id, LifecycleKind::SubscriptionRemoved);
                    } else {
                        graph.end_silently(&id);
                    }
                }
            }
            Op::Lifecycle { mailbox, missed } => {
                let event = if missed {
                    LifecycleKind::Missed
                } else {
                    LifecycleKind::ReauthorizationRequired
                };
                for id in self.subscriptions_of(mailbox) {
                    graph.send_lifecycle(&id, event);
                }
            }
            Op::RotateKeys { lost } => self.keys.rotate(lost)?,
            Op::RotateContentKey { lost } => {
                let known = self.world.content_keys.ids();
                add_content_key(&self.world.content_keys, known.len()).await?;
                for id in known.iter().filter(|_| lost) {
                    self.world.content_keys.destroy(id).await?;
                }
            }
            Op::RevokeAccess => {
                self.revoked = true;
                self.world.microsoft.entra.revoke(self.tenant.id(), DAEMON_APP);
            }
            Op::RestoreAccess => self.restore_access().await?,
            _ => {}
        }
        Ok(())
    }

    /// The administrator gives the permissions again and connects, if they were taken away.
    pub(super) async fn restore_access(&mut self) -> Result<(), TestError> {
        if std::mem::take(&mut self.revoked) {
            self.world.microsoft.entra.consent_to_all(self.tenant.id(), DAEMON_APP);
            self.world.fixtures().reconnect(&self.tenant).await?;
        }
        Ok(())
    }

    fn subscriptions_of(&self, mailbox: u8) -> Vec<String> {
        let all: Vec<&Mailbox> = self.people.iter().chain(&self.rooms).collect();
        let mailbox = all[usize::from(mailbox) % all.len()].id();
        let living = self.world.microsoft.graph.subscriptions();
        living.into_iter().filter(|one| one.mailbox == mailbox).map(|one| one.id).collect()
    }
}
