//! Ids in the shapes Exchange gives them: case-sensitive, different in every mailbox, ending in `=`.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use jiff::{Timestamp, tz::TimeZone};
use roombridge::base::rng::Rng;

/// Start of every global object id ([MS-OXOCAL] 2.2.1.27), which Graph shows as `iCalUId`.
const GLOBAL_OBJECT_ID: &str = "040000008200E00074C5B7101A82E008";

fn random_bytes<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes);
    bytes
}

/// An immutable event id (concepts/outlook-immutable-id.md): base64url, case-sensitive, `=` at its end.
pub(crate) fn immutable_id(rng: &dyn Rng) -> String {
    let tail = URL_SAFE.encode(random_bytes::<47>(rng));
    format!("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{tail}")
}

/// The id the same copy has for a caller who does not ask for immutable ids.
pub(crate) fn mutable_id(rng: &dyn Rng) -> String {
    let tail = URL_SAFE.encode(random_bytes::<65>(rng));
    format!("AAMkAG{tail}")
}

/// The id that Places gives the room of a mailbox: always the same, and not the mailbox's.
pub(crate) fn place_id(mailbox: &str) -> String {
    let hash = digest::digest(&digest::SHA256, format!("place of {mailbox}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// A change key.
pub(crate) fn change_key(rng: &dyn Rng) -> String {
    format!("DwAAABYAAAC{}", STANDARD.encode(random_bytes::<17>(rng)))
}

/// A new meeting's `iCalUId`.
pub(crate) fn ical(rng: &dyn Rng) -> String {
    use std::fmt::Write as _;
    let mut id = String::from(GLOBAL_OBJECT_ID);
    id.push_str("00000000");
    for byte in random_bytes::<28>(rng) {
        // Writing into a String cannot fail.
        if write!(id, "{byte:02X}").is_err() {
            break;
        }
    }
    id
}

/// The `iCalUId` of one occurrence: its date is in the four bytes after the prefix
/// ([MS-OXOCAL] 2.2.1.27; resources/event.md: "different for each occurrence").
pub(crate) fn occurrence_ical(master: &str, start: Timestamp) -> String {
    let day = start.to_zoned(TimeZone::UTC).date();
    let rest = master.get(GLOBAL_OBJECT_ID.len() + 8..).unwrap_or_default();
    format!("{GLOBAL_OBJECT_ID}{:04X}{:02X}{:02X}{rest}", day.year(), day.month(), day.day())
}
