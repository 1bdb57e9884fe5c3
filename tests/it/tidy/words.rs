//! Words that must not be somewhere: secrets, places of one machine, pauses in tests.

use super::{assert_no_violations, handler_sources, rust_sources, tree};

#[test]
fn no_key_and_no_connection_string() {
    // Written in two halves, so that this file does not find itself.
    let words = [
        concat!("Account", "Key="),
        concat!("Shared", "Key"),
        concat!("DefaultEndpoints", "Protocol"),
        concat!("SharedAccess", "Signature"),
        concat!("BEGIN ", "PRIVATE KEY"),
        concat!("BEGIN RSA ", "PRIVATE KEY"),
    ];
    let found = handler_sources().into_iter().flat_map(|source| {
        let with: Vec<_> = words.iter().filter(|word| source.text.contains(**word)).collect();
        with.into_iter().map(move |word| format!("{}: {word}", source.path)).collect::<Vec<_>>()
    });
    assert_no_violations(
        "The managed identity opens everything; there is no key to write down.",
        found,
    );
}

#[test]
fn no_place_of_one_machine() {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut found = Vec::new();
    for source in tree() {
        for place in places {
            for (at, _) in source.text.match_indices(place) {
                // `example.com` followed by such a path is an address, not a place on a disk.
                let before = source.text[..at].chars().next_back();
                if before.is_none_or(|c| !c.is_alphanumeric() && c != '.' && c != '}') {
                    found.push(format!("{}: {place}", source.path));
                }
            }
        }
    }
    assert_no_violations("The project works wherever it is cloned.", found);
}

#[test]
fn no_other_registry() {
    let hosts = [
        concat!("registry.", "npmjs"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("arti", "factory"),
        concat!("sparse", "+http"),
        concat!("[source", "."),
        concat!("[regis", "tries"),
    ];
    let found = tree().into_iter().filter(|source| {
        let text = source.text.to_lowercase();
        hosts.iter().any(|host| text.contains(host))
    });
    assert_no_violations(
        "Which mirror is used is the machine's business.",
        found.map(|source| source.path),
    );
    let lock = super::source::file("Cargo.lock");
    let foreign = lock.lines().filter(|line| {
        line.starts_with("source = ")
            && *line != r#"source = "registry+https://github.com/rust-lang/crates.io-index""#
    });
    assert_no_violations("Every crate comes from crates.io.", foreign);
}

#[test]
fn nothing_is_ignored_without_a_reason() {
    let bare = [concat!("#[ign", "ore]"), concat!("#[al", "low("), concat!("#![al", "low(")];
    let found = rust_sources()
        .into_iter()
        .filter(|source| bare.iter().any(|mark| source.text.contains(mark)));
    assert_no_violations(
        "`#[ignore = \"why\"]`; and `#[expect(.., reason = \"why\")]`.",
        found.map(|s| s.path),
    );
}

#[test]
fn tests_move_the_clock_and_do_not_wait() {
    let pause = concat!("sle", "ep(");
    let mut found = Vec::new();
    for source in rust_sources().into_iter().filter(super::source::Source::is_test) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(pause)) {
            let before = at.checked_sub(1).and_then(|at| lines.get(at)).unwrap_or(&"");
            let said = line.contains("// paused clock:") || before.contains("// paused clock:");
            if !(said && source.text.contains("start_paused")) {
                found.push(format!("{}:{}", source.path, at + 1));
            }
        }
    }
    assert_no_violations("A pause needs Tokio's paused clock, and `// paused clock: why`.", found);
}
