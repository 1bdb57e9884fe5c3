//! Settings: one file a section, all read once at start, all mistakes reported together.

mod booking;
mod graph;
mod identity;
mod pages;
mod platform;
mod reader;

pub use booking::{AllowedSystem, BookingSettings};
pub use graph::GraphSettings;
pub use identity::IdentitySettings;
pub use pages::PagesSettings;
pub use platform::PlatformSettings;
pub use reader::SettingsReader;

use crate::base::http::is_loopback;

/// Everything the infra team decides.
#[derive(Debug, Clone)]
pub struct Settings {
    pub platform: PlatformSettings,
    /// Who the process is, and where its secrets are.
    pub identity: IdentitySettings,
    pub graph: GraphSettings,
    /// The pages that people see, and who is invited to them.
    pub pages: PagesSettings,
    /// The booking systems that tenants may connect.
    pub booking: BookingSettings,
}

/// The settings are wrong; every mistake is named, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} invalid setting(s): {}", .0.len(), .0.join("; "))]
pub struct InvalidSettings(pub Vec<String>);

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// All [`InvalidSettings`] at once.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_env() -> Result<Self, InvalidSettings> {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// Reads the settings from `lookup`, which answers a variable's value.
    ///
    /// # Errors
    /// All [`InvalidSettings`] at once.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let mut reader = SettingsReader::new(lookup);
        let platform = PlatformSettings::read(&mut reader);
        let identity = IdentitySettings::read(&mut reader);
        let graph = GraphSettings::read(&mut reader);
        let pages = PagesSettings::read(&mut reader, graph.as_ref());
        let booking = BookingSettings::read(&mut reader);
        let mut mistakes = reader.into_errors();
        let (Some(platform), Some(identity), Some(graph), Some(pages), Some(booking)) =
            (platform, identity, graph, pages, booking)
        else {
            return Err(InvalidSettings(mistakes));
        };
        let settings = Self { platform, identity, graph, pages, booking };
        // So that no deployment can ever have a shifted clock.
        if !settings.platform.clock_offset.is_zero() && !settings.is_all_on_loopback() {
            mistakes.push(
                "ROOMBRIDGE_CLOCK_OFFSET_SECONDS is set: remove it, it is for the local world, \
                 where every address is on the loopback"
                    .to_owned(),
            );
        }
        if mistakes.is_empty() { Ok(settings) } else { Err(InvalidSettings(mistakes)) }
    }

    fn is_all_on_loopback(&self) -> bool {
        [
            &self.platform.queue_url,
            &self.platform.table_url,
            &self.identity.vault_url,
            &self.identity.authority_url,
            &self.graph.base_url,
            &self.graph.notification_url,
            &self.pages.base_url,
        ]
        .into_iter()
        .all(is_loopback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "40001"),
        ("ROOMBRIDGE_QUEUE_URL", "https://contoso.queue.core.windows.net/"),
        ("ROOMBRIDGE_TABLE_URL", "https://contoso.table.core.windows.net"),
        ("ROOMBRIDGE_IDENTITY_CLIENT_ID", "11111111-1111-1111-1111-111111111111"),
        ("ROOMBRIDGE_FEDERATED_CLIENT_ID", "22222222-2222-2222-2222-222222222222"),
        ("ROOMBRIDGE_VAULT_URL", "https://contoso.vault.azure.net"),
        ("ROOMBRIDGE_APP_ORGANISATION_WIDE", "33333333-3333-3333-3333-333333333333"),
        ("ROOMBRIDGE_APP_SCOPED", "44444444-4444-4444-4444-444444444444"),
        ("ROOMBRIDGE_APP_PEOPLE", "55555555-5555-5555-5555-555555555555"),
        ("ROOMBRIDGE_APP_OPERATORS", "66666666-6666-6666-6666-666666666666"),
        ("ROOMBRIDGE_TENANTS", "77777777-7777-7777-7777-777777777777"),
        ("ROOMBRIDGE_NOTIFICATION_URL", "https://contoso.azurewebsites.net/api/notifications"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:41000/msi/token"),
        ("IDENTITY_HEADER", "secret"),
    ];

    fn with(changes: &[(&str, Option<&str>)]) -> Result<Settings, InvalidSettings> {
        Settings::read(&|name| {
            let changed = changes.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
            let good = || GOOD.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
            changed.unwrap_or_else(good).map(str::to_owned)
        })
    }

    #[test]
    fn the_public_cloud_is_the_default() {
        let settings = with(&[]).unwrap();
        assert_eq!(settings.graph.base_url.as_str(), "https://graph.microsoft.com/v1.0");
        assert_eq!(settings.identity.authority_url.as_str(), "https://login.microsoftonline.com/");
        assert_eq!(settings.graph.subscription_lifetime.as_hours(), 6 * 24);
        assert_eq!(settings.graph.scope, "https://graph.microsoft.com/.default");
        assert_eq!(settings.identity.issuer_url, settings.identity.authority_url);
        assert_eq!(settings.identity.exchange_audience, "api://AzureADTokenExchange");
        assert_eq!(settings.pages.base_url.as_str(), "https://contoso.azurewebsites.net/api");
        assert_eq!(settings.pages.invited_tenants.len(), 1);
        assert!(settings.pages.add_in_clients.is_empty());
        assert_eq!(settings.pages.add_in_origin, None);
    }

    #[test]
    fn a_sovereign_cloud_and_an_add_in_are_settings() {
        let settings = with(&[
            ("ROOMBRIDGE_GRAPH_URL", Some("https://dod-graph.microsoft.us/v1.0")),
            ("ROOMBRIDGE_AUTHORITY_URL", Some("https://login.microsoftonline.us")),
            ("ROOMBRIDGE_EXCHANGE_AUDIENCE", Some("api://AzureADTokenExchangeUSGov")),
            ("ROOMBRIDGE_PAGES_URL", Some("https://rooms.contoso.example/")),
            (
                "ROOMBRIDGE_TENANTS",
                Some("77777777-7777-7777-7777-777777777777, 88888888-8888-8888-8888-888888888888,"),
            ),
            ("ROOMBRIDGE_ADD_IN_CLIENTS", Some("99999999-9999-9999-9999-999999999999")),
            ("ROOMBRIDGE_ADD_IN_ORIGIN", Some("https://add-in.contoso.example/")),
        ])
        .unwrap();
        assert_eq!(settings.graph.scope, "https://dod-graph.microsoft.us/.default");
        assert_eq!(settings.identity.issuer_url.as_str(), "https://login.microsoftonline.us/");
        assert_eq!(settings.pages.base_url.as_str(), "https://rooms.contoso.example/");
        assert_eq!(settings.pages.invited_tenants.len(), 2);
        assert_eq!(settings.pages.add_in_clients.len(), 1);
        let origin = settings.pages.add_in_origin.as_deref();
        assert_eq!(origin, Some("https://add-in.contoso.example"));
    }

    #[test]
    fn each_mistake_about_people_is_one_mistake() {
        for (name, value) in [
            ("ROOMBRIDGE_APP_PEOPLE", None),
            ("ROOMBRIDGE_APP_PEOPLE", Some("not-a-guid")),
            ("ROOMBRIDGE_APP_PEOPLE", Some("66666666-6666-6666-6666-666666666666")),
            ("ROOMBRIDGE_APP_OPERATORS", None),
            ("ROOMBRIDGE_APP_OPERATORS", Some("44444444-4444-4444-4444-444444444444")),
            ("ROOMBRIDGE_TENANTS", None),
            ("ROOMBRIDGE_TENANTS", Some(" , ")),
            ("ROOMBRIDGE_TENANTS", Some("77777777-7777-7777-7777-777777777777,contoso.example")),
            ("ROOMBRIDGE_PAGES_URL", Some("http://rooms.contoso.example")),
            ("ROOMBRIDGE_AUTHORITY_URL", Some("nowhere")),
            ("ROOMBRIDGE_ISSUER_URL", Some("nowhere")),
            ("ROOMBRIDGE_EXCHANGE_AUDIENCE", Some("AzureADTokenExchange")),
            ("ROOMBRIDGE_GRAPH_SCOPE", Some("https://graph.microsoft.com/Calendars.Read")),
            ("ROOMBRIDGE_ADD_IN_CLIENTS", Some("add-in")),
            ("ROOMBRIDGE_USER_PERMISSION", Some("Directory.Read.All")),
            ("ROOMBRIDGE_ADD_IN_ORIGIN", Some("https://add-in.contoso.example/page")),
            ("ROOMBRIDGE_ADD_IN_ORIGIN", Some("http://add-in.contoso.example")),
        ] {
            let InvalidSettings(mistakes) = with(&[(name, value)]).unwrap_err();
            assert!(mistakes.len() == 1 && mistakes[0].contains(name), "{value:?}: {mistakes:#?}");
        }
    }

    const OFFSET: (&str, Option<&str>) = ("ROOMBRIDGE_CLOCK_OFFSET_SECONDS", Some("3600"));
    const AT_HOME: [(&str, Option<&str>); 6] = [
        ("ROOMBRIDGE_QUEUE_URL", Some("https://127.0.0.1:10001/devstoreaccount1")),
        ("ROOMBRIDGE_TABLE_URL", Some("https://127.0.0.1:10002/devstoreaccount1")),
        ("ROOMBRIDGE_VAULT_URL", Some("https://localhost:8200")),
        ("ROOMBRIDGE_AUTHORITY_URL", Some("https://127.0.0.1:8201")),
        ("ROOMBRIDGE_GRAPH_URL", Some("https://[::1]:8202/v1.0")),
        ("ROOMBRIDGE_NOTIFICATION_URL", Some("https://127.0.0.1:8203/api/notifications")),
    ];

    #[test]
    fn time_is_shifted_only_where_every_address_is_on_this_machine() {
        let mut settings = vec![OFFSET];
        settings.extend(AT_HOME);
        assert_eq!(with(&settings).unwrap().platform.clock_offset.as_hours(), 1);
        assert!(with(&[]).unwrap().platform.clock_offset.is_zero());
        for away in 1..settings.len() {
            let mut settings = settings.clone();
            settings[away].1 = Some("https://127.0.0.1.contoso.example/");
            let InvalidSettings(mistakes) = with(&settings).unwrap_err();
            assert!(mistakes[0].starts_with(OFFSET.0), "{}: {mistakes:?}", settings[away].0);
        }
        assert_eq!(with(&[OFFSET]).unwrap_err().0.len(), 1);
        let pages = ("ROOMBRIDGE_PAGES_URL", Some("https://rooms.contoso.example"));
        settings.push(pages);
        assert!(with(&settings).unwrap_err().0[0].starts_with(OFFSET.0));
    }

    #[test]
    fn all_mistakes_are_reported_at_once_and_no_value_is_repeated() {
        let InvalidSettings(mistakes) = with(&[
            ("FUNCTIONS_CUSTOMHANDLER_PORT", Some("soon")),
            ("ROOMBRIDGE_QUEUE_URL", None),
            ("ROOMBRIDGE_NOTIFICATION_URL", Some("http://contoso.example/s3cret")),
            ("ROOMBRIDGE_APP_SCOPED", Some("not-a-guid")),
            ("ROOMBRIDGE_SUBSCRIPTION_MINUTES", Some("99999")),
            ("ROOMBRIDGE_HORIZON_DAYS", Some("0")),
        ])
        .unwrap_err();
        assert_eq!(mistakes.len(), 6, "{mistakes:#?}");
        assert!(!mistakes.join(" ").contains("s3cret"));
    }
}
