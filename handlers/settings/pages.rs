//! The pages that people see, and who is invited to them.

use url::Url;
use uuid::Uuid;

use super::{graph::GraphSettings, reader::SettingsReader};
use crate::domain::tenant::policy::UserPermission;

const USER_PERMISSION: &str = "ROOMBRIDGE_USER_PERMISSION";

/// The pages that people see, and who is invited to them.
#[derive(Debug, Clone)]
pub struct PagesSettings {
    /// `ROOMBRIDGE_PAGES_URL`: the address below which browsers reach `consent` and `my-calendar`;
    /// the webhook's own without its last segment by default. Without a slash at its end.
    pub base_url: Url,
    /// `ROOMBRIDGE_TENANTS`: the tenants that are invited to connect.
    pub invited_tenants: Vec<Uuid>,
    /// `ROOMBRIDGE_ADD_IN_CLIENTS`: the client ids, beside that of people's own registration, whose
    /// tokens the API takes.
    pub add_in_clients: Vec<Uuid>,
    /// `ROOMBRIDGE_ADD_IN_ORIGIN`: the origin of an Outlook add-in that may call the API from a
    /// browser, as browsers write it.
    pub add_in_origin: Option<String>,
    /// `ROOMBRIDGE_USER_PERMISSION`: what the daemon registrations ask for to read people, so that the
    /// consent page says it: `User.ReadBasic.All`, or `User.Read.All`.
    pub user_permission: UserPermission,
}

impl PagesSettings {
    /// Reads the section. The default address needs `graph`, which is missing when it has mistakes
    /// of its own.
    pub(super) fn read(
        reader: &mut SettingsReader<'_>,
        graph: Option<&GraphSettings>,
    ) -> Option<Self> {
        let beside = graph.map(|graph| parent_url(&graph.notification_url));
        let url = match (reader.optional("ROOMBRIDGE_PAGES_URL"), &beside) {
            // What is wrong with the webhook's own address was noted already.
            (None, None) => None,
            _ => reader.url("ROOMBRIDGE_PAGES_URL", beside.as_ref().map(Url::as_str)),
        };
        let invited: Option<Vec<Uuid>> =
            reader.list("ROOMBRIDGE_TENANTS", "tenant ids (GUIDs)", |id| id.parse().ok());
        if invited.as_ref().is_some_and(Vec::is_empty) {
            let text = "ROOMBRIDGE_TENANTS is not set: give the tenant ids (GUIDs) that are invited, separated by commas";
            reader.reject::<Uuid>(text.to_owned());
        }
        let add_in_clients =
            reader.list("ROOMBRIDGE_ADD_IN_CLIENTS", "client ids (GUIDs)", |id| id.parse().ok());
        let user_permission = match reader.optional(USER_PERMISSION) {
            Some(_) => reader.required(USER_PERMISSION, "User.ReadBasic.All or User.Read.All"),
            None => Some(UserPermission::default()),
        };
        let add_in_origin = match reader.optional("ROOMBRIDGE_ADD_IN_ORIGIN") {
            Some(_) => Some(read_origin(reader)?),
            None => None,
        };
        Some(Self {
            base_url: url?,
            invited_tenants: invited?,
            add_in_clients: add_in_clients?,
            add_in_origin,
            user_permission: user_permission?,
        })
    }
}

fn read_origin(reader: &mut SettingsReader<'_>) -> Option<String> {
    let name = "ROOMBRIDGE_ADD_IN_ORIGIN";
    let address = reader.url(name, None)?;
    let origin = address.origin().ascii_serialization();
    if address.as_str().trim_end_matches('/') == origin {
        return Some(origin);
    }
    reader.reject(format!("{name} is more than an origin: give https, the host, and no path"))
}

/// `address` without its last segment, query and fragment.
fn parent_url(address: &Url) -> Url {
    let mut folder = address.clone();
    folder.set_query(None);
    folder.set_fragment(None);
    if let Ok(mut segments) = folder.path_segments_mut() {
        segments.pop();
    }
    folder
}
