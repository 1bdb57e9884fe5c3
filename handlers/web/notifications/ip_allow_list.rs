//! Where a request may come from: an allow-list of addresses, off unless an operator sets one.
//!
//! Believed is the last address of the last `X-Forwarded-For` header alone: the platform's front
//! end appends the peer it really spoke to; whatever is before that is the caller's own word
//! (learn.microsoft.com/azure/app-service/configure-common, "client IP address"). Microsoft
//! publishes the addresses that notifications come from and changes them without notice, so none
//! are built in (learn.microsoft.com/microsoft-365/enterprise/additional-office365-ip-addresses-and-urls).

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// An allow-list. Empty: everybody may come.
#[derive(Debug, Clone, Default)]
pub struct IpAllowList(Vec<IpNet>);

impl IpAllowList {
    /// Requests from these networks alone; from everywhere if there are none.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether a request with these headers may come in. One that does not say where it is from
    /// may not, once there is a list.
    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        self.0.is_empty()
            || client_ip(headers).is_some_and(|from| self.0.iter().any(|net| net.contains(&from)))
    }
}

/// The address that the platform saw.
fn client_ip(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(X_FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    parse_ip(last.rsplit(',').next()?.trim())
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:4711`. An IPv4
/// address within IPv6 is the IPv4 address.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address: IpAddr = text.parse().ok().or_else(bare).or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| value.parse().unwrap());
        values.map(|value| (X_FORWARDED_FOR.parse::<http::HeaderName>().unwrap(), value)).collect()
    }

    fn listed() -> IpAllowList {
        IpAllowList::new(["192.0.2.0/24", "2001:db8::/32"].map(|net| net.parse().unwrap()).to_vec())
    }

    #[test]
    fn the_last_address_counts_with_or_without_a_port() {
        for from in [
            "192.0.2.7",
            "192.0.2.7:4711",
            "198.51.100.1, 192.0.2.7:4711",
            " 192.0.2.7 ",
            "2001:db8::7",
            "[2001:db8::7]",
            "[2001:db8::7]:4711",
            "::ffff:192.0.2.7",
        ] {
            assert!(listed().allows(&headers(&[from])), "{from}");
        }
        for from in [
            "198.51.100.1",
            "192.0.2.7, 198.51.100.1",
            "192.0.2.7,",
            "",
            "unknown",
            "192.0.2.7:port",
            "192.0.2",
            "[192.0.2.7",
            "2001:db9::7",
        ] {
            assert!(!listed().allows(&headers(&[from])), "{from}");
        }
    }

    #[test]
    fn of_several_headers_the_last_counts_and_none_at_all_is_nowhere() {
        assert!(listed().allows(&headers(&["198.51.100.1", "192.0.2.7"])));
        assert!(!listed().allows(&headers(&["192.0.2.7", "198.51.100.1"])));
        assert!(!listed().allows(&HeaderMap::new()));
    }

    #[test]
    fn without_a_list_everybody_may_come() {
        assert!(IpAllowList::default().allows(&HeaderMap::new()));
        assert!(IpAllowList::default().allows(&headers(&["198.51.100.1"])));
    }
}
