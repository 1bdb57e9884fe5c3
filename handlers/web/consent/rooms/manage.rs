//! Taking rooms into the room map and out of it. Every write may be repeated.

use std::collections::BTreeSet;

use super::{
    super::{Deps, TEXT_VERSION},
    Row,
};
use crate::{
    base::call_log::Trail,
    domain::{
        decision::{How, What},
        ids::RoomId,
        personal::Personal,
        policy::{Answering, Room},
    },
    messages::Task,
    store::{
        mailboxes::{Consent, Farewell, Mailbox, MailboxKind, MailboxState},
        tenants::Tenant,
    },
    web::layout::{FieldError, Problem, Visitor, texts::fill},
};

/// Makes the rooms of `rows` what they say; answers what could not be done, at its field.
pub(super) async fn all(
    deps: &Deps,
    trail: &Trail,
    visitor: &Visitor,
    tenant: &Tenant,
    rows: &[Row],
) -> Result<Vec<FieldError>, Problem> {
    let managed = deps.rooms.all_uncached(tenant.id).await?;
    let mut errors = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let room = managed.iter().find(|room| room.has_address(&row.address));
        match (room, row.answering()) {
            (None, None) => {}
            (Some(room), None) => release(deps, visitor, tenant, room).await?,
            (Some(room), Some(answering)) => {
                let time_zone = row.zone.trim().to_owned();
                let changed = Room { answering, time_zone, ..room.clone() };
                take(deps, visitor, tenant, &changed, changed != *room).await?;
            }
            (None, Some(answering)) => match found(deps, trail, tenant, row, answering).await? {
                Some(room) if is_free(deps, tenant, &room).await? => {
                    take(deps, visitor, tenant, &room, true).await?;
                }
                Some(_) => errors.push(said(at, row, deps.desk.texts().rooms.a_person)),
                None => errors.push(said(at, row, deps.desk.texts().rooms.no_mailbox)),
            },
        }
    }
    Ok(errors)
}

fn said(at: usize, row: &Row, text: &str) -> FieldError {
    FieldError::new(format!("mode-{at}"), fill(text, &[("room", &row.name)]))
}

/// The room of `row` with its mailbox's id and all addresses that the directory knows.
async fn found(
    deps: &Deps,
    trail: &Trail,
    tenant: &Tenant,
    row: &Row,
    answering: Answering,
) -> Result<Option<Room>, Problem> {
    let graph = deps.graph(tenant.id, tenant.registration, trail);
    let person = graph.person(&Personal::new(row.address.clone())).await;
    Ok(person?.map(|person| {
        let known = person.addresses.iter().map(|address| address.reveal().to_lowercase());
        let addresses: BTreeSet<String> = known.chain([row.address.to_lowercase()]).collect();
        Room {
            id: RoomId(person.id.0),
            addresses: addresses.into_iter().collect(),
            answering,
            time_zone: row.zone.trim().to_owned(),
        }
    }))
}

/// Whether the mailbox is not a person's who has agreed.
async fn is_free(deps: &Deps, tenant: &Tenant, room: &Room) -> Result<bool, Problem> {
    let found = deps.mailboxes.get(tenant.id, room.id.mailbox()).await?;
    Ok(found.is_none_or(|(mailbox, _)| mailbox.kind == MailboxKind::Room))
}

/// The mailbox first, the map after it: as long as the map lacks the room, saving again takes it.
async fn take(
    deps: &Deps,
    visitor: &Visitor,
    tenant: &Tenant,
    room: &Room,
    changed: bool,
) -> Result<(), Problem> {
    let id = room.id.mailbox();
    let found = deps.mailboxes.get(tenant.id, id).await?;
    let followed = tenant.policy.rooms_subscribed && !tenant.policy.excluded.contains(&id);
    let state = if followed { MailboxState::Active } else { MailboxState::Paused };
    let stands = found.as_ref().is_some_and(|(mailbox, _)| {
        matches!(mailbox.state, MailboxState::Active | MailboxState::Paused)
    });
    if !stands {
        let text_version = TEXT_VERSION.to_owned();
        let how = How::Organisation;
        deps.decided(visitor, Some(id), What::Agreed { how, text_version: text_version.clone() })
            .await?;
        let at = deps.clock.now();
        let consent = Some(Consent { by: visitor.person(), how, at, text_version });
        match found.clone() {
            Some((mailbox, etag)) => {
                let epoch = mailbox.epoch.saturating_add(1);
                let anew = Mailbox { state, epoch, consent, ..mailbox };
                deps.mailboxes.replace(&anew, &etag).await?;
            }
            None => {
                let mailbox =
                    Mailbox { consent, ..Mailbox::new(tenant.id, id, MailboxKind::Room, state) };
                deps.mailboxes.insert(&mailbox).await?;
            }
        }
    }
    if changed {
        deps.rooms.put(tenant.id, room).await?;
    }
    // Also for one that was taken before and is not followed yet: that task may have been lost.
    let followed = found
        .is_some_and(|(mailbox, _)| mailbox.subscription.is_some() || mailbox.polled.is_some());
    if state.is_active() && (changed || !followed) {
        deps.tell_mailbox(tenant.id, id, Task::Subscribe).await?;
    }
    Ok(())
}

/// The mailbox first, so that nothing of it is taken any more; then the map, then the subscription.
async fn release(
    deps: &Deps,
    visitor: &Visitor,
    tenant: &Tenant,
    room: &Room,
) -> Result<(), Problem> {
    let id = room.id.mailbox();
    if let Some((mailbox, etag)) = deps.mailboxes.get(tenant.id, id).await?
        && mailbox.kind == MailboxKind::Room
    {
        deps.decided(visitor, Some(id), What::Withdrew { released: false }).await?;
        let state = MailboxState::Withdrawn(Farewell::Anonymous);
        deps.mailboxes.replace(&Mailbox { state, ..mailbox }, &etag).await?;
        deps.tell_mailbox(tenant.id, id, Task::Unsubscribe).await?;
    }
    Ok(deps.rooms.remove(tenant.id, room.id).await?)
}
