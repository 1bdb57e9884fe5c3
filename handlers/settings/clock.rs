//! How far Roombridge's clock is shifted: in Azure not at all.
//!
//! The local world plays a whole day in less than a minute with the handler as it is shipped, so it
//! sets how far ahead the day is. A smoke run cannot wait for a real evening, and the outcome of
//! meetings of a few seconds would depend on how busy the machine is. The shift moves Roombridge's
//! own clock only; tokens, TLS and queues use the machine's. It is refused unless every address of
//! the process is on the loopback, so that no deployment can have it.

use jiff::SignedDuration;
use url::Url;

use super::reader::SettingsReader;
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
    pub(super) fn check_loopback_only(self, addresses: &[&Url]) -> Option<String> {
        let away = addresses.iter().any(|address| !is_loopback(address));
        (!self.offset.is_zero() && away).then(|| {
            "ROOMBRIDGE_CLOCK_OFFSET_SECONDS is set: remove it, it is for the local world, where \
             every address is on the loopback"
                .to_owned()
        })
    }
}
