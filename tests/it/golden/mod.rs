//! Messages and rows as they are written, compared byte for byte with the files in
//! `tests/fixtures/golden`.
//!
//! After an intended change, write the files with `ROOMBRIDGE_WRITE=1 cargo test --test it golden`.

mod bookings;
mod messages;
mod rows;

use std::collections::BTreeSet;
use std::str::FromStr;

use jiff::Timestamp;
use roombridge::domain::ids::{MailboxId, RoomId, TenantId};
use roombridge::domain::interval::Interval;
use roombridge::domain::keys::BookingKey;
use uuid::Uuid;
use world::test_world::digest_key;

use crate::{TestResult, generated};

/// Where the files are.
const FOLDER: &str = "tests/fixtures/golden";

const TENANT: TenantId = TenantId(Uuid::from_u128(0x7e4a));
const ROOM: RoomId = RoomId(Uuid::from_u128(0xa0404a));

/// Anna, Ben and so on, by a number.
fn mailbox(number: u128) -> MailboxId {
    MailboxId(Uuid::from_u128(number))
}

/// An id, a digest or an instant from its text.
fn parsed<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} cannot be parsed"))
}

fn at(text: &str) -> Timestamp {
    parsed(text)
}

fn interval(from: &str, to: &str) -> Interval {
    Interval::new(at(from), at(to)).unwrap_or_else(|| panic!("{from} is not before {to}"))
}

/// A single appointment's booking of a room.
fn single() -> BookingKey {
    let appointment = digest_key().appointment("040000008200E00074C5B7101A82E008");
    BookingKey { tenant: TENANT, appointment, original_start: None, room: ROOM }
}

/// The same of one occurrence of a series.
fn occurrence() -> BookingKey {
    BookingKey { original_start: Some(at("2026-11-24T09:00:00Z")), ..single() }
}

/// Compares `found` with the file, or writes the file when asked to.
fn holds(file: &str, found: &str) -> TestResult {
    let path = format!("{FOLDER}/{file}");
    if generated::is_writing() {
        std::fs::write(generated::path_of(&path), format!("{found}\n"))?;
    }
    let kept = std::fs::read_to_string(generated::path_of(&path)).unwrap_or_default();
    let expected = kept.strip_suffix('\n').unwrap_or("nothing: there is no such file");
    let hint = "ROOMBRIDGE_WRITE=1 cargo test --test it golden writes what was found.";
    assert!(expected == found, "{path}\nexpected:\n{expected}\nfound:\n{found}\n{hint}");
    Ok(())
}

/// Checks that the files that begin with `prefix` are exactly `names`, so that no file outlives its
/// case.
fn no_others(folder: &str, prefix: &str, names: BTreeSet<String>) -> TestResult {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(generated::path_of(&format!("{FOLDER}/{folder}")))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            found.insert(name);
        }
    }
    assert_eq!(found, names, "the files {FOLDER}/{folder}/{prefix}*");
    Ok(())
}
