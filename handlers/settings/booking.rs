//! The booking systems that tenants may connect.

use url::Url;

use super::reader::SettingsReader;
use crate::{base::http::is_loopback, domain::booking_system::SystemKind};

/// The booking systems that tenants may connect.
#[derive(Debug, Clone, Default)]
pub struct BookingSettings {
    /// `ROOMBRIDGE_BOOKING_SYSTEMS`: `topdesk=https://contoso.topdesk.net/tas/api` and so on, separated by
    /// commas. No credential is ever sent anywhere else.
    pub allowed: Vec<AllowedSystem>,
    /// `ROOMBRIDGE_BOOKING_PRIVATE_HOSTS`: the hosts among them whose names may lead to an address in a
    /// private network.
    pub private_hosts: Vec<String>,
}

/// A booking system's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSystem {
    pub kind: SystemKind,
    pub base_url: Url,
}

impl BookingSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let allowed = reader.list(
            "ROOMBRIDGE_BOOKING_SYSTEMS",
            "booking systems (topdesk=https://…, librebooking=https://…)",
            parse_system,
        );
        let private_hosts =
            reader.list("ROOMBRIDGE_BOOKING_PRIVATE_HOSTS", "host names", parse_host);
        Some(Self { allowed: allowed?, private_hosts: private_hosts? })
    }

    /// The address, if the operator allows it.
    pub fn find(&self, kind: SystemKind, base_url: &str) -> Option<&Url> {
        let is_meant =
            |known: &&AllowedSystem| known.kind == kind && known.base_url.as_str() == base_url;
        self.allowed.iter().find(is_meant).map(|known| &known.base_url)
    }
}

/// `kind=address`. Without user, query and fragment: what is added to it is a path.
fn parse_system(text: &str) -> Option<AllowedSystem> {
    let (kind, address) = text.split_once('=')?;
    let kind = SystemKind::ALL.into_iter().find(|known| known.audit_name() == kind.trim())?;
    let base_url: Url = address.trim().trim_end_matches('/').parse().ok()?;
    let is_private = base_url.scheme() == "https" || is_loopback(&base_url);
    let is_plain = base_url.username().is_empty()
        && base_url.password().is_none()
        && base_url.query().is_none()
        && base_url.fragment().is_none();
    (is_private && is_plain && base_url.has_host()).then_some(AllowedSystem { kind, base_url })
}

fn parse_host(text: &str) -> Option<String> {
    url::Host::parse(text).ok().map(|host| host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(systems: &'static str, hosts: &'static str) -> Result<BookingSettings, Vec<String>> {
        let lookup =
            |name: &str| Some(if name.ends_with("HOSTS") { hosts } else { systems }.to_owned());
        let mut reader = SettingsReader::new(&lookup);
        let settings = BookingSettings::read(&mut reader);
        settings.ok_or_else(|| reader.into_errors())
    }

    #[test]
    fn only_the_addresses_that_the_operator_lists_are_called() {
        let listed = "topdesk=https://contoso.topdesk.net/tas/api/, \
                      librebooking=https://rooms.contoso.example/Web/Services/index.php";
        let settings = read(listed, "rooms.contoso.example").unwrap();
        let topdesk = "https://contoso.topdesk.net/tas/api";
        assert!(settings.find(SystemKind::Topdesk, topdesk).is_some());
        assert!(settings.find(SystemKind::LibreBooking, topdesk).is_none());
        assert!(settings.find(SystemKind::Topdesk, "https://evil.example/tas/api").is_none());
        assert_eq!(settings.private_hosts, ["rooms.contoso.example"]);
    }

    #[test]
    fn an_address_that_is_not_https_or_has_more_than_a_path_is_a_mistake() {
        for wrong in [
            "https://contoso.topdesk.net",
            "topdesk=http://contoso.topdesk.net",
            "topdesk=https://user:secret@contoso.topdesk.net",
            "topdesk=https://contoso.topdesk.net/?x=1",
            "outlook=https://contoso.example",
        ] {
            let mistakes = read(wrong, "").unwrap_err();
            assert!(mistakes[0].contains("ROOMBRIDGE_BOOKING_SYSTEMS"), "{wrong}");
            assert!(!mistakes[0].contains("secret"));
        }
        assert!(read("", "a b").is_err());
    }
}
