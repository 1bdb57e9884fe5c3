//! One worker at one mailbox: what it works with, and what all its steps use.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{
    base::{clock::Clock, invocation::Invocation, rng::Rng},
    domain::{
        ids::{EventId, MailboxId, TenantId},
        tenant::policy::Registration,
    },
    graph::{Graph, GraphError, ResourceDataOptions, SubscriptionId, TenantGraph},
    identity::keys::{DigestKeys, KeyRing, content_keys::ContentKeys},
    jobs::runner::job::{Enqueue, JobError},
    messages::{EventChange, JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks, Origin, pack},
    settings::GraphSettings,
    store::{
        StoreError,
        appointments::Appointments,
        bookings::Bookings,
        due::{DueEntries, DueEntry, DuePurpose, DueSubject},
        failures::Failures,
        mailboxes::{Health, Mailbox, MailboxKind, MailboxSubscription, Mailboxes},
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    pub(crate) tenants: Tenants,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) rooms: RoomMap,
    pub(crate) appointments: Appointments,
    pub(crate) bookings: Bookings,
    pub(crate) failures: Failures,
    pub(crate) due: DueEntries,
    pub(crate) graph: Graph,
    pub(crate) client_state_keys: Arc<KeyRing>,
    pub(crate) content_keys: Arc<ContentKeys>,
    pub(crate) digest_keys: DigestKeys,
    pub(crate) settings: GraphSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
}

impl Deps {
    /// Removes the mailbox's due entry of that instant, if there is one.
    pub(super) async fn remove_due_entry(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
        at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        match at {
            Some(at) => self.due.remove(&renew_entry(tenant, mailbox, at)).await,
            None => Ok(()),
        }
    }
}

/// A row as it was read.
pub(super) type VersionedMailbox = (Mailbox, ETag);

/// One task for one mailbox.
pub(super) struct MailboxWorker<'a> {
    pub(super) deps: &'a Deps,
    pub(super) tenant: &'a Tenant,
    pub(super) task: &'a MailboxTask,
    pub(super) invocation: Invocation,
    /// Graph, with the consent that the tenant gave to its present registration.
    pub(super) graph: TenantGraph,
}

impl<'a> MailboxWorker<'a> {
    pub(super) fn new(
        deps: &'a Deps,
        tenant: &'a Tenant,
        task: &'a MailboxTask,
        invocation: &Invocation,
    ) -> Self {
        let invocation = invocation.with_correlation(task.meta.correlation);
        let graph = deps.graph.for_tenant(tenant.registration, &invocation);
        Self { deps, tenant, task, invocation, graph }
    }

    /// Graph, with the consent that the tenant gave to `registration`.
    pub(super) fn graph_as(&self, registration: Registration) -> TenantGraph {
        self.deps.graph.for_tenant(registration, &self.invocation)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }

    /// Whether the policy keeps the mailbox out, whatever its row says: the row may be newer than
    /// the pass that applied the policy to the others.
    pub(super) fn is_excluded_by_policy(&self, mailbox: &Mailbox) -> bool {
        let policy = &self.tenant.policy;
        let without_rooms = mailbox.kind == MailboxKind::Room && !policy.rooms_subscribed;
        without_rooms || policy.excluded_mailboxes.contains(&mailbox.id)
    }

    /// Whether the person is not a member of the scope group. Graph is asked each time, because it
    /// sends no notification when a group changes. Where it refuses to say, nobody is taken for one who
    /// left: a calendar that is followed stays so, and the page *Reach* names the permission.
    pub(super) async fn is_out_of_scope(&self, mailbox: &Mailbox) -> Result<bool, JobError> {
        match (mailbox.kind, self.tenant.policy.scope_group) {
            (MailboxKind::Room, _) | (MailboxKind::Person, None) => Ok(false),
            (MailboxKind::Person, Some(group)) => {
                match self.graph.is_member(mailbox.id, group).await {
                    Err(GraphError::AccessDenied) => Ok(false),
                    answer => Ok(!answer?),
                }
            }
        }
    }

    /// The row as it is now, if it is still there.
    pub(super) async fn read_again(&self) -> Result<Option<VersionedMailbox>, StoreError> {
        self.deps.mailboxes.get(self.tenant.id, self.task.mailbox).await
    }

    /// A task of its own for the same mailbox, so that it is retried alone.
    pub(super) fn follow_up(&self, kind: MailboxTaskKind, due: Option<Timestamp>) -> MailboxTasks {
        let task = MailboxTask::new(self.task.mailbox, kind, self.new_meta());
        MailboxTasks::one(self.tenant.id, MailboxTask { due, ..task })
    }

    /// A resync that settles the due entry of this task: the entry is removed only when it is done.
    pub(super) fn resync_with_due(&self) -> Vec<Enqueue> {
        vec![Enqueue::now(self.follow_up(MailboxTaskKind::Resync, self.task.due))]
    }

    /// Has `fetch-event` read these events again.
    pub(super) fn refetch(
        &self,
        events: impl IntoIterator<Item = (EventId, Origin)>,
    ) -> Vec<Enqueue> {
        let (tenant, mailbox) = (self.tenant.id, self.task.mailbox);
        let meta = self.new_meta();
        let item =
            |(event, origin)| EventChange { origin, ..EventChange::refetch(mailbox, event, meta) };
        let items = events.into_iter().map(item);
        let messages = pack(tenant, items.collect());
        messages.into_iter().map(Enqueue::now).collect()
    }

    fn new_meta(&self) -> JobMeta {
        JobMeta::new(self.invocation.correlation, self.now())
    }

    pub(super) async fn write_due_entry(&self, at: Timestamp) -> Result<(), StoreError> {
        self.deps.due.upsert(&renew_entry(self.tenant.id, self.task.mailbox, at)).await
    }

    pub(super) async fn remove_due_entry(&self, at: Option<Timestamp>) -> Result<(), StoreError> {
        self.deps.remove_due_entry(self.tenant.id, self.task.mailbox, at).await
    }

    /// What notifications should hold now.
    pub(super) async fn content_mode(&self) -> ContentMode {
        let policy = &self.tenant.policy;
        if !policy.rich_notifications {
            return ContentMode::IdsOnly;
        }
        match self.deps.content_keys.current().await {
            Ok(Some(key)) => ContentMode::Encrypted(ResourceDataOptions {
                certificate: key.certificate().to_owned(),
                certificate_id: key.id().clone(),
                add_in_property: policy
                    .add_in_property
                    .as_deref()
                    .and_then(|text| text.parse().ok()),
            }),
            Ok(None) => ContentMode::IdsOnly,
            Err(_) => ContentMode::KeyUnknown,
        }
    }

    /// The lifetime to ask Graph for: a subscription with content lives for less than a day.
    pub(super) fn lifetime(&self, with_content: bool) -> SignedDuration {
        let settings = &self.deps.settings;
        if with_content {
            settings.rich_subscription_lifetime
        } else {
            settings.subscription_lifetime
        }
    }
}

/// What the notifications of a mailbox should hold.
pub(super) enum ContentMode {
    /// Ids alone: the tenant wants no content, or there is no key to encrypt it with.
    IdsOnly,
    /// The tenant wants content, and the vault does not say which keys there are.
    KeyUnknown,
    Encrypted(ResourceDataOptions),
}

impl ContentMode {
    /// What a subscription is created or renewed with.
    pub(super) fn into_resource_data(self) -> Option<ResourceDataOptions> {
        match self {
            Self::Encrypted(options) => Some(options),
            Self::IdsOnly | Self::KeyUnknown => None,
        }
    }

    /// Whether the subscription must be replaced: no renewal can switch content on or off.
    pub(super) fn differs_from(&self, subscription: &MailboxSubscription) -> bool {
        match self {
            Self::IdsOnly => subscription.content_key.is_some(),
            Self::Encrypted(_) => subscription.content_key.is_none(),
            Self::KeyUnknown => false,
        }
    }

    /// Whether content is encrypted with another key than the present one. A renewal changes that.
    pub(super) fn has_newer_key_than(&self, subscription: &MailboxSubscription) -> bool {
        match self {
            Self::Encrypted(options) => {
                subscription.content_key.as_ref() != Some(&options.certificate_id)
            }
            Self::IdsOnly | Self::KeyUnknown => false,
        }
    }
}

/// What some tenants still allow at most: 4,230 minutes, less a margin
/// (seen in practice in 2026-08 although 10,080 are documented).
const REDUCED_LIFETIME: SignedDuration = SignedDuration::from_mins(4_200);

/// The lifetime to ask for where Graph has refused `lifetime`.
pub(super) fn reduced(lifetime: SignedDuration) -> SignedDuration {
    // A subscription with content lives for less already, so half of that is tried.
    if lifetime > REDUCED_LIFETIME { REDUCED_LIFETIME } else { lifetime / 2 }
}

fn renew_entry(tenant: TenantId, mailbox: MailboxId, at: Timestamp) -> DueEntry {
    DueEntry::new(DuePurpose::Renew, at, DueSubject::Mailbox { tenant, mailbox })
}

pub(super) fn subscription_id(
    subscription: &MailboxSubscription,
) -> Result<SubscriptionId, JobError> {
    let unreadable = |_| JobError::fail("the stored subscription id cannot be parsed");
    subscription.id.parse().map_err(unreadable)
}

/// The mailbox without a subscription, without the nonces that would prove its notifications, and
/// without what they and the comparisons said about it.
pub(super) fn without_subscription(mailbox: &Mailbox) -> Mailbox {
    Mailbox {
        subscription: None,
        polling: None,
        nonce: None,
        previous_nonce: None,
        health: Health::default(),
        ..mailbox.clone()
    }
}
