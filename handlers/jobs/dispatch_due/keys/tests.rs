//! A year of keys, without a vault.

use std::sync::Arc;

use super::*;
use crate::{
    base::test_support::{ManualClock, SeededRng},
    domain::ids::ContentKeyId,
    identity::{keys::content_keys::MemoryContentKeys, scripted_http::MemoryKeys},
};

/// For ages just short of a whole number of days.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

fn start() -> Timestamp {
    "2026-11-22T09:00:00Z".parse().unwrap()
}

fn content(name: &str, age: SignedDuration) -> ContentKeyInfo {
    let id: ContentKeyId = name.parse().unwrap();
    ContentKeyInfo { id, created_at: start() - age }
}

#[test]
fn a_content_key_is_followed_on_schedule_and_removed_two_days_later() {
    let due = |keys: &[ContentKeyInfo]| {
        let due = due_changes(keys.to_vec(), start(), days(30)).unwrap_or_default();
        (due.0, due.1.into_iter().map(|key| key.id.to_string()).collect::<Vec<_>>())
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(due(&[]), (true, none.clone()), "the first");
    assert_eq!(due(&[content("a", days(29))]), (false, none.clone()));
    assert_eq!(due(&[content("a", days(30))]), (true, none.clone()), "but it stays");
    let pair = |age| [content("a", days(40)), content("b", age)];
    assert_eq!(due(&pair(days(2) - HOUR)), (false, none), "somebody may still name it");
    assert_eq!(due(&pair(days(2))), (false, vec!["a".to_owned()]));
    let many = [content("c", HOUR), content("a", days(80)), content("b", days(40))];
    assert_eq!(due(&many), (false, vec!["a".to_owned()]), "b was superseded an hour ago");
}

#[tokio::test]
async fn two_runs_at_once_make_at_worst_one_key_too_many() {
    let clock = ManualClock::new(start());
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let source = MemoryContentKeys::new(Arc::clone(&shared));
    let keys = ContentKeys::new(Box::new(source.clone()), shared);
    let due = async || due_changes(keys.source().list().await.unwrap(), clock.now(), days(30));
    let rng = SeededRng::new(1);
    let apply = async |due: Option<(bool, Vec<ContentKeyInfo>)>| {
        let (create, destroy) = due.unwrap();
        apply_changes(&keys, create, &destroy, clock.now(), &rng).await
    };
    let (one, other) = (due().await, due().await);
    apply(one).await.unwrap();
    apply(other).await.unwrap();
    assert_eq!(source.ids().len(), 2);
    assert_eq!(due().await, None);
    // Both are of the same second, and one of them counts as the newer for everybody.
    clock.advance(days(2));
    apply(due().await).await.unwrap();
    assert_eq!(source.ids().len(), 1);
    source.set_read_only(true);
    clock.advance(days(30));
    let refused = apply(due().await).await;
    assert_eq!(refused, Err(RotationError::NotWritten(VaultWriteError::Forbidden)));
    assert!(keys.current().await.unwrap().is_some(), "the old one serves on");
}

#[tokio::test]
async fn a_key_that_nobody_can_read_supersedes_none() {
    let clock = ManualClock::new(start());
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let source = MemoryContentKeys::new(Arc::clone(&shared));
    let keys = ContentKeys::new(Box::new(source.clone()), shared);
    let rng = SeededRng::new(1);
    rotate_if_due(&keys, days(30), clock.now(), &rng).await.unwrap();
    let first = source.ids().remove(0);
    clock.advance(days(28));
    source.put_unreadable("odd".parse().unwrap());
    clock.advance(days(2));
    keys.reload_all().await.unwrap();
    rotate_if_due(&keys, days(30), clock.now(), &rng).await.unwrap();
    let ids = source.ids();
    assert!(ids.contains(&first), "subscriptions still name it");
    assert_ne!(keys.current().await.unwrap().unwrap().id(), &first, "and it is followed in time");
}

struct KeyRingFixture {
    clock: ManualClock,
    rng: SeededRng,
    source: MemoryKeys,
    ring: KeyRing,
}

impl KeyRingFixture {
    fn new() -> Self {
        let clock = ManualClock::new(start());
        let source = MemoryKeys::default();
        let ring = KeyRing::new(Box::new(source.clone()), Arc::new(clock.clone()));
        Self { clock, rng: SeededRng::new(1), source, ring }
    }

    async fn run_after(&self, time: SignedDuration) -> KeySet {
        self.clock.advance(time);
        // What is held may be an hour old, as in every other process.
        self.ring.reload_keys().await.ok();
        rotate_key_ring(&self.ring, &self.clock, &self.rng).await.unwrap();
        self.source.keys().unwrap()
    }
}

#[tokio::test]
async fn proving_keys_follow_each_other_yearly_and_are_known_before_they_are_used() {
    let proofs = KeyRingFixture::new();
    let first = proofs.run_after(SignedDuration::ZERO).await.current().id().clone();
    let ids = |keys: &KeySet| keys.others().map(|key| key.id().clone()).collect::<Vec<_>>();
    let still = proofs.run_after(days(365) - HOUR).await;
    assert_eq!((still.current().id(), ids(&still).len()), (&first, 0));
    let both = proofs.run_after(HOUR).await;
    assert_eq!(both.current().id(), &first, "the new one is only there to be known");
    let second = ids(&both).remove(0);
    let waiting = proofs.run_after(HOUR - SignedDuration::from_secs(1)).await;
    assert_eq!(waiting.current().id(), &first);
    let used = proofs.run_after(SignedDuration::from_secs(1)).await;
    assert_eq!((used.current().id(), ids(&used)), (&second, vec![first.clone()]));
    let proving = proofs.run_after(days(14) - SignedDuration::from_secs(1)).await;
    assert!(proving.get(&first).is_some(), "subscriptions still carry it");
    let alone = proofs.run_after(SignedDuration::from_secs(1)).await;
    assert_eq!((alone.current().id(), ids(&alone).len()), (&second, 0));
}

#[tokio::test]
async fn a_key_whose_turn_came_late_leaves_the_one_before_its_whole_time() {
    let proofs = KeyRingFixture::new();
    let first = proofs.run_after(SignedDuration::ZERO).await.current().id().clone();
    assert_eq!(proofs.run_after(days(365)).await.others().count(), 1);
    // Nothing ran, or nothing could be written, for three weeks.
    let used = proofs.run_after(days(21)).await;
    assert_ne!(used.current().id(), &first);
    let soon = proofs.run_after(HOUR).await;
    assert!(soon.get(&first).is_some(), "every subscription carries it");
    assert!(proofs.run_after(days(14) - HOUR).await.get(&first).is_none());
}

#[tokio::test]
async fn keys_that_are_there_and_cannot_be_had_are_not_replaced() {
    struct Away;
    #[async_trait::async_trait]
    impl crate::identity::keys::KeySource for Away {
        async fn load(&self) -> Result<KeySet, KeysUnavailable> {
            Err(KeysUnavailable)
        }
    }
    let clock = ManualClock::new(start());
    let ring = KeyRing::new(Box::new(Away), Arc::new(clock.clone()));
    let outcome = rotate_key_ring(&ring, &clock, &SeededRng::new(1)).await;
    assert_eq!(outcome, Err(RotationError::KeysUnavailable(KeysUnavailable)));
}

#[tokio::test]
async fn keys_without_an_age_are_left_to_those_who_made_them() {
    let proofs = KeyRingFixture::new();
    let by_hand = SecretKey::new("k1".parse().unwrap(), &[1; 32]);
    proofs.source.put(Some(KeySet::new(by_hand.clone(), [])));
    let kept = proofs.run_after(days(4_000)).await;
    assert_eq!((kept.current().id(), kept.others().count()), (by_hand.id(), 0));
    // A vault tells how old the secret is, and then it is as old as that.
    proofs.source.put(Some(KeySet::new(by_hand, []).with_default_created_at(start())));
    assert_eq!(proofs.run_after(HOUR).await.others().count(), 1);
}
