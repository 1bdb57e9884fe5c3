//! Adds rooms to the room map and removes them. Every write may be repeated.

use std::collections::BTreeSet;

use super::{super::deps::Deps, form::RoomFormRow};
use crate::{
    domain::{
        booking_system::SystemRoomIds,
        ids::RoomId,
        personal::Personal,
        tenant::{
            decision::{ConsentCapacity, DecisionKind},
            policy::{ResponseMode, Room},
        },
    },
    messages::MailboxTaskKind,
    store::{
        mailboxes::{BookingDisposition, Consent, Mailbox, MailboxKind, MailboxState},
        tenants::Tenant,
    },
    web::layout::{CurrentUser, FieldError, PageError, texts::fill},
};

/// Brings the rooms in line with `rows`; returns what could not be done, at its field.
pub(super) async fn apply(
    deps: &Deps,
    user: &CurrentUser,
    tenant: &Tenant,
    rows: &[RoomFormRow],
) -> Result<Vec<FieldError>, PageError> {
    let managed = deps.rooms.list_uncached(tenant.id).await?;
    let (t, mut errors) = (&deps.pages.texts().rooms, Vec::new());
    // One after the other: a failure leaves whole rooms done, and saving again does the rest.
    for (at, row) in rows.iter().enumerate() {
        let room = managed.iter().find(|room| room.has_address(&row.address));
        match (room, row.answering()) {
            (None, None) => {}
            (Some(room), None) => unmanage_room(deps, user, tenant, room).await?,
            (Some(room), Some(answering)) => {
                let time_zone = row.zone.trim().to_owned();
                let changed = Room { response_mode: answering, time_zone, ..room.clone() };
                manage_room(deps, user, tenant, &changed, changed != *room).await?;
            }
            (None, Some(answering)) => match find_room(deps, user, tenant, row, answering).await? {
                Some(room) if may_be_room(deps, tenant, &room).await? => {
                    manage_room(deps, user, tenant, &room, true).await?;
                }
                Some(_) => errors.push(row_error(at, row, t.a_person)),
                None => errors.push(row_error(at, row, t.no_mailbox)),
            },
        }
    }
    Ok(errors)
}

fn row_error(at: usize, row: &RoomFormRow, text: &str) -> FieldError {
    FieldError::new(format!("mode-{at}"), fill(text, &[("room", &row.name)]))
}

/// The room of `row`, with its mailbox's id and all addresses that the directory knows.
async fn find_room(
    deps: &Deps,
    user: &CurrentUser,
    tenant: &Tenant,
    row: &RoomFormRow,
    response_mode: ResponseMode,
) -> Result<Option<Room>, PageError> {
    let graph = deps.graph.for_tenant(tenant.registration, &user.invocation);
    let found = graph.find_user(&Personal::new(row.address.clone())).await?;
    Ok(found.map(|mailbox| {
        let known = mailbox.addresses.iter().map(|address| address.reveal().to_ascii_lowercase());
        // Exchange may list a room under an address that the directory does not know it by.
        let addresses: BTreeSet<String> = known.chain([row.address.to_ascii_lowercase()]).collect();
        Room {
            id: RoomId(mailbox.id.0),
            addresses: addresses.into_iter().collect(),
            response_mode,
            time_zone: row.zone.trim().to_owned(),
            system_rooms: SystemRoomIds::new(),
            previous_system_room: None,
        }
    }))
}

/// Whether the mailbox does not belong to a person who has agreed.
async fn may_be_room(deps: &Deps, tenant: &Tenant, room: &Room) -> Result<bool, PageError> {
    let found = deps.mailboxes.get(tenant.id, room.id.mailbox()).await?;
    Ok(found.is_none_or(|(mailbox, _)| mailbox.kind == MailboxKind::Room))
}

/// Writes the mailbox first and the map after it: while the map lacks the room, saving again adds it.
async fn manage_room(
    deps: &Deps,
    user: &CurrentUser,
    tenant: &Tenant,
    room: &Room,
    changed: bool,
) -> Result<(), PageError> {
    let id = room.id.mailbox();
    let found = deps.mailboxes.get(tenant.id, id).await?;
    let policy = &tenant.policy;
    let followed = policy.rooms_subscribed && !policy.excluded_mailboxes.contains(&id);
    let state = if followed { MailboxState::Active } else { MailboxState::Paused };
    let managed = found.as_ref().is_some_and(|(mailbox, _)| {
        matches!(mailbox.state, MailboxState::Active | MailboxState::Paused)
    });
    if !managed {
        let (capacity, text_version) = (ConsentCapacity::Organisation, deps.text_version());
        let decision =
            DecisionKind::ConsentGranted { capacity, text_version: text_version.clone() };
        // The evidence first: a crash leaves an entry too many, never a mailbox without one.
        deps.record_decision(user, Some(id), decision).await?;
        let (given_by, given_at) = (user.person(), deps.clock.now());
        let consent = Some(Consent { given_by, capacity, given_at, text_version });
        match found.clone() {
            Some((mailbox, etag)) => {
                let consent_epoch = mailbox.consent_epoch.saturating_add(1);
                let mailbox = Mailbox { state, consent_epoch, consent, ..mailbox };
                deps.mailboxes.replace(&mailbox, &etag).await?;
            }
            None => {
                let new = Mailbox::new(tenant.id, id, MailboxKind::Room, state);
                deps.mailboxes.insert(&Mailbox { consent, ..new }).await?;
            }
        }
    }
    // After the mailbox, because events of the room are booked as soon as the map has it.
    if changed {
        deps.rooms.upsert(tenant.id, room).await?;
    }
    // Also for a room that was added before and is not followed yet: its task may have been lost.
    let followed = found
        .is_some_and(|(mailbox, _)| mailbox.subscription.is_some() || mailbox.polling.is_some());
    if state.is_active() && (changed || !followed) {
        deps.enqueue_mailbox_task(user, id, MailboxTaskKind::Subscribe).await?;
    }
    Ok(())
}

/// Changes the mailbox first, so that nothing from it is accepted any more; then the map, then the
/// subscription.
async fn unmanage_room(
    deps: &Deps,
    user: &CurrentUser,
    tenant: &Tenant,
    room: &Room,
) -> Result<(), PageError> {
    let id = room.id.mailbox();
    if let Some((mailbox, etag)) = deps.mailboxes.get(tenant.id, id).await?
        && mailbox.kind == MailboxKind::Room
    {
        // Booked appointments keep their rooms, without names: others rely on them.
        deps.record_decision(user, Some(id), DecisionKind::ConsentWithdrawn { released: false })
            .await?;
        let state = MailboxState::Withdrawn(BookingDisposition::KeepAnonymous);
        deps.mailboxes.replace(&Mailbox { state, ..mailbox }, &etag).await?;
        deps.enqueue_mailbox_task(user, id, MailboxTaskKind::Unsubscribe).await?;
    }
    Ok(deps.rooms.remove(tenant.id, room.id).await?)
}
