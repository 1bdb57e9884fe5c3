//! What time it is taken to be. In Azure: what the machine says, and nothing else.
//!
//! The local world plays a whole day in less than a minute with the handler as it is shipped, so it
//! tells it how far ahead the day is. Waiting for a real evening is no smoke run, and meetings of a
//! few seconds would make its outcome hang on how busy the machine is. The shift moves Roombridge's
//! own clock only; tokens, TLS and queues go by the machine's. It is refused unless every address of
//! the process is on the loopback, so that no deployment can have it.

use jiff::SignedDuration;

use super::{GraphSettings, IdentitySettings, PagesSettings, SettingsReader, StorageSettings};
use crate::base::http::is_loopback;

/// The furthest shift, in seconds: a month.
const MAX_OFFSET_SECONDS: i64 = 31 * 24 * 3600;

/// What time it is taken to be.
#[derive(Debug, Clone, Copy)]
pub struct ClockSettings {
    /// `ROOMBRIDGE_CLOCK_OFFSET_SECONDS`: how far ahead of the machine's clock Roombridge's own is;
    /// 0 by default, and anything else is for the local world alone.
    pub offset: SignedDuration,
}

impl ClockSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let seconds = reader.number(
            "ROOMBRIDGE_CLOCK_OFFSET_SECONDS",
            0,
            -MAX_OFFSET_SECONDS,
            MAX_OFFSET_SECONDS,
        )?;
        Some(Self { offset: SignedDuration::from_secs(seconds) })
    }

    /// A mistake if time is shifted although one of the addresses is not on this machine.
    pub(super) fn check_loopback_only(
        self,
        storage: &StorageSettings,
        identity: &IdentitySettings,
        graph: &GraphSettings,
        pages: &PagesSettings,
    ) -> Option<String> {
        let addresses = [
            &storage.queue_url,
            &storage.table_url,
            &identity.vault_url,
            &identity.authority_url,
            &graph.base_url,
            &graph.notification_url,
            &pages.base_url,
        ];
        let away = addresses.into_iter().any(|address| !is_loopback(address));
        (!self.offset.is_zero() && away).then(|| {
            "ROOMBRIDGE_CLOCK_OFFSET_SECONDS is set: remove it, it is for the local world, where \
             every address is on the loopback"
                .to_owned()
        })
    }
}
