//! The package: unpacked as it is, started by the host, and a notification runs through it to a booking.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use package::binary::CEILING;
use package::check::{self, check};
use package::contents::{Contents, EXECUTABLE, FUNCTION, HANDLER, HOST, Part, READABLE};
use package::problem::{self, Problem};
use roombridge::domain::booking::ObservedState;
use roombridge::host::{FUNCTIONS, Trigger};
use world::azurite::Azurite;
use world::exchange::{Invitation, Response};
use world::host::FunctionApp;
use world::host::process::State;
use world::local::{Installation, LocalWorld};

use crate::contoso::Contoso;
use crate::local::{connect_contoso, start_installation, wait_for_settled_booking};
use crate::{TestError, TestResult};

const BUILT_HERE: &str = env!("CARGO_BIN_EXE_handler");

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `part` with the handler that the tests are built with: for this machine, not for Azure.
fn packed(part: Part) -> Result<Vec<u8>, TestError> {
    Ok(Contents::gather(project(), Path::new(BUILT_HERE), part)?.zip()?)
}

/// Writes each file under its name, with the mode that the zip gives it. Nothing is made executable
/// that is not so in the zip.
fn unpacked(zip: &[u8], folder: &Path) -> Result<PathBuf, TestError> {
    let staged = folder.join("staged");
    for file in check::read(zip)? {
        let path = staged.join(&file.name);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        let mode = file.mode.ok_or("no mode")?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(mode).open(&path)?.write_all(&file.bytes)?;
    }
    // A program that is open for writing cannot be started, and whatever another test starts just
    // now has inherited the open file. What another process wrote nobody here has open. It makes
    // the files with the modes that it finds.
    let root = folder.join("root");
    let status = std::process::Command::new("cp").arg("-R").args([&staged, &root]).status()?;
    if status.success() { Ok(root) } else { Err(format!("cp: {status}").into()) }
}

/// A room is booked, from Graph's notification on.
async fn a_room_is_booked(story: &Contoso<LocalWorld>) -> TestResult {
    let Contoso { world, tenant, anna, aurora, .. } = story;
    let (start, end) = ("2026-11-24T11:00:00Z".parse()?, "2026-11-24T12:00:00Z".parse()?);
    let invitation = Invitation::new("Quarterly numbers", start, end).room(aurora);
    let meeting = tenant.meet(anna, invitation)?;
    let booking = wait_for_settled_booking(world, &meeting).await?;
    let ObservedState::Booked(held) = &booking.observed else { return Err("not booked".into()) };
    assert_eq!((held.interval.start(), held.interval.end()), (start, end));
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(world.microsoft.graph.violations(), []);
    Ok(())
}

#[tokio::test]
async fn a_package_is_started_as_it_is_unpacked_and_books_a_room() -> TestResult {
    needs_azurite!();
    let folder = tempfile::tempdir()?;
    let zip = packed(Part::Whole)?;
    // Built for this machine it may need a newer C library than Azure has, and it knows where its
    // sources lie. Nothing else may be wrong with it.
    let only_here = |problem: &Problem| {
        matches!(problem, Problem::Glibc(_) | Problem::OtherNeed(_) | Problem::MachinePath { .. })
    };
    let report = check(&zip, Part::Whole, &[]);
    let wrong: Vec<_> = report.problems.into_iter().filter(|p| !only_here(p)).collect();
    assert_eq!(wrong, []);

    let root = unpacked(&zip, folder.path())?;
    let story =
        connect_contoso(start_installation(Installation::Package(root.clone())).await?).await?;
    assert_eq!(story.world.host().app().root, root);
    let process = story.world.host().process().ok_or("no process")?;
    let State::Ready { pid, .. } = process.state() else { return Err("not ready".into()) };
    let started = fs::read_link(format!("/proc/{pid}/exe"))?;
    assert_eq!(started, root.join(HANDLER).canonicalize()?);
    a_room_is_booked(&story).await
}

#[tokio::test]
async fn work_and_pages_run_as_two_apps() -> TestResult {
    needs_azurite!();
    let folder = tempfile::tempdir()?;
    let unpack = |part: Part, name: &str| {
        let below = folder.path().join(name);
        fs::create_dir(&below)?;
        unpacked(&packed(part)?, &below)
    };
    let (work, pages) = (unpack(Part::Work, "work")?, unpack(Part::Pages, "pages")?);
    let names = |root: &Path| -> Result<BTreeSet<String>, TestError> {
        Ok(FunctionApp::read(root)?.functions.into_iter().map(|f| f.name).collect())
    };
    assert_eq!(names(&pages)?, BTreeSet::from(["consent".to_owned(), "my-calendar".to_owned()]));
    let all: BTreeSet<String> = FUNCTIONS.iter().map(|f| f.name.to_owned()).collect();
    assert_eq!(names(&work)?, all.difference(&names(&pages)?).cloned().collect());

    let story =
        connect_contoso(start_installation(Installation::Split { work, pages }).await?).await?;
    let at = &story.world.addresses;
    let client = Azurite::shared().await?.tls.client()?;
    let beside = at.webhook.trim_end_matches("/notifications");
    for page in ["consent", "my-calendar"] {
        let shown = client.get(format!("{}/api/{page}", at.app)).send().await?;
        assert_eq!(shown.status(), 200, "{page}");
        let elsewhere = client.get(format!("{beside}/{page}")).send().await?;
        assert_eq!(elsewhere.status(), 404, "{page} beside the webhook");
    }
    let handshake = format!("{}/api/notifications?validationToken=x", at.app);
    assert_eq!(client.post(handshake).send().await?.status(), 404, "no webhook beside the pages");
    a_room_is_booked(&story).await
}

#[test]
fn the_list_of_functions_is_the_handlers_own() {
    let listed: BTreeSet<&str> = Part::Whole.functions().collect();
    assert_eq!(listed, FUNCTIONS.iter().map(|function| function.name).collect());
    for part in [Part::Work, Part::Pages] {
        assert_eq!(Part::of_file(Path::new(part.file_name())), part);
    }
    let http = FUNCTIONS.iter().filter(|f| matches!(f.trigger, Trigger::Http { .. }));
    let pages: BTreeSet<_> = http.map(|f| f.name).filter(|name| *name != "notifications").collect();
    assert_eq!(Part::Pages.functions().collect::<BTreeSet<_>>(), pages, "what browsers reach");
}

/// The package with something in the handler's place that no computer runs, which is quicker packed.
fn light(part: Part) -> Result<Contents, TestError> {
    let mut contents = Contents::gather(project(), &project().join(HOST), part)?;
    contents.put(HANDLER, EXECUTABLE, b"the handler".to_vec());
    Ok(contents)
}

/// What is wrong with `rotate_content_keys`, but for the missing handler.
fn wrong(contents: &Contents, part: Part) -> Result<Vec<Problem>, TestError> {
    let problems = check(&contents.zip()?, part, &[]).problems.into_iter();
    Ok(problems.filter(|problem| !matches!(problem, Problem::NotForThere(_))).collect())
}

#[test]
fn a_package_that_would_not_work_is_refused_and_says_all_that_is_wrong() -> TestResult {
    for part in [Part::Whole, Part::Work, Part::Pages] {
        assert_eq!(wrong(&light(part)?, part)?, [], "{part:?}");
    }
    let mut bad = light(Part::Whole)?;
    let (host, function) = (bad.files[HOST].bytes.clone(), b"{}".to_vec());
    bad.put(HANDLER, READABLE, b"the handler".to_vec());
    bad.put("fetch-event/function.json", 0o600, function.clone());
    bad.put("local.settings.json", READABLE, b"{}".to_vec());
    bad.put("app/host.json", READABLE, host);
    bad.put("fetch-events/function.json", READABLE, function);
    bad.put("consent/function.json", READABLE, b"{".to_vec());
    bad.files.remove("write-back/function.json");
    let named = |name: &str| name.to_owned();
    let mode = |name: &str, mode, wanted| Problem::Mode { name: named(name), mode, wanted };
    let found = wrong(&bad, Part::Whole)?;
    for problem in [
        mode(HANDLER, 0o644, 0o755),
        mode("fetch-event/function.json", 0o600, 0o644),
        Problem::Foreign(named("local.settings.json")),
        Problem::Nested(named("app/host.json")),
        Problem::UnknownFunction(named("fetch-events")),
        Problem::MissingFunction("write-back"),
    ] {
        assert!(found.contains(&problem), "{problem:?} is not in {found:?}");
        assert!(problem::list(&found).contains(&problem.to_string()));
    }
    assert!(
        found
            .iter()
            .any(|p| matches!(p, Problem::NotJson { name, .. } if name.contains("consent")))
    );
    assert_eq!(found.len(), 7, "{found:?}");
    Ok(())
}

#[test]
fn a_zip_that_others_unpack_to_something_else_is_refused() -> TestResult {
    let mut zip = light(Part::Whole)?.zip()?;
    // The type bits of the first file's mode, in the central directory: S_IFREG becomes S_IFLNK.
    let first = b"consent/function.json";
    let entry = zip.windows(4).position(|it| it == b"PK\x01\x02").ok_or("no directory")?;
    assert_eq!(&zip[entry + 46..][..first.len()], first);
    zip[entry + 41] = zip[entry + 41] & 0x0f | 0xa0;
    let found = check(&zip, Part::Whole, &[]).problems;
    assert!(found.contains(&Problem::NotAFile("consent/function.json".to_owned())), "{found:?}");

    // Names that would be written elsewhere, on this machine or on one that knows no case.
    let mut stray = light(Part::Whole)?;
    let strays = ["../host.json", "/host.json", "../x", "HANDLER", "consent\\function.json"];
    for name in strays {
        stray.put(name, READABLE, b"{}".to_vec());
    }
    let found = wrong(&stray, Part::Whole)?;
    let is = |name: &str| [Problem::Nested(name.to_owned()), Problem::Foreign(name.to_owned())];
    for name in strays {
        assert!(is(name).iter().any(|problem| found.contains(problem)), "{name}: {found:?}");
    }

    // Two files of one name: a writer refuses that, so one is renamed in both places.
    let mut two = light(Part::Whole)?;
    two.put("hosT.json", READABLE, b"{}".to_vec());
    let mut zip = two.zip()?;
    for at in 0..zip.len() - 9 {
        if zip[at..].starts_with(b"hosT.json") {
            zip[at + 3] = b't';
        }
    }
    assert_eq!(check(&zip, Part::Whole, &[]).problems, [Problem::Twice]);
    Ok(())
}

#[test]
fn a_handler_under_another_name_is_refused() -> TestResult {
    let mut renamed = light(Part::Whole)?;
    let handler = renamed.files.remove(HANDLER).ok_or("no handler")?;
    renamed.put("roombridge", EXECUTABLE, handler.bytes);
    let found = wrong(&renamed, Part::Whole)?;
    assert!(found.contains(&Problem::Missing(HANDLER)));
    assert!(found.contains(&Problem::Foreign("roombridge".to_owned())));

    // The host makes a file executable only if it is called exactly so.
    let mut dotted = light(Part::Whole)?;
    let host = String::from_utf8(dotted.files[HOST].bytes.clone())?;
    let host = host.replace(r#": "handler""#, r#": "./handler""#);
    dotted.put(HOST, READABLE, host.into_bytes());
    assert_eq!(wrong(&dotted, Part::Whole)?, [Problem::Executable("./handler".to_owned())]);
    Ok(())
}

#[test]
fn a_function_in_the_wrong_part_is_refused() -> TestResult {
    let whole = light(Part::Whole)?;
    let pages = wrong(&whole, Part::Work)?;
    let other = |name: &str| Problem::OtherPart(name.to_owned());
    assert_eq!(pages, [other("consent"), other("my-calendar")]);
    let found = wrong(&light(Part::Work)?, Part::Whole)?;
    assert_eq!(found, ["consent", "my-calendar"].map(Problem::MissingFunction));
    Ok(())
}

#[test]
fn a_handler_for_another_machine_is_refused() -> TestResult {
    let mut bytes = fs::read(BUILT_HERE)?;
    // Every x86-64 program needs the first version of the C library, and the library itself.
    change(&mut bytes, b"\0GLIBC_2.2.5\0", b"\0GLIBC_2.99\0\0")?;
    change(&mut bytes, b"\0libc.so.6\0", b"\0libq.so.6\0")?;
    let found = check::of_handler(&bytes, &[project()]);
    let newer = |p: &Problem| matches!(p, Problem::Glibc(needed) if *needed > CEILING);
    assert!(found.iter().any(newer), "{found:?}");
    assert!(found.contains(&Problem::Library("libq.so.6".to_owned())), "{found:?}");
    let source = |p: &Problem| matches!(p, Problem::MachinePath { .. });
    assert!(found.iter().any(source), "a test's handler knows where it was built: {found:?}");

    bytes[18] = 183; // e_machine: EM_AARCH64
    let read = package::binary::Binary::read(&bytes);
    assert_eq!(read, Err("it is for another processor than x86-64".to_owned()));
    Ok(())
}

/// Writes `new` over `old` of the same length in the names that a program needs, which are at its
/// beginning.
fn change(bytes: &mut [u8], old: &[u8], new: &[u8]) -> TestResult {
    const NAMES: usize = 1 << 20;
    let names = bytes.get_mut(..NAMES).ok_or("too short")?;
    let at = names.windows(old.len()).position(|place| place == old).ok_or("not there")?;
    names[at..at + new.len()].copy_from_slice(new);
    Ok(())
}

#[test]
fn the_same_files_make_the_same_bytes_in_whatever_order_they_were_written() -> TestResult {
    let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    let write = |order: &[&str]| -> Result<Vec<u8>, TestError> {
        let copy = tempfile::tempdir()?;
        for name in order {
            let folder = copy.path().join("function-app").join(name);
            fs::create_dir_all(&folder)?;
            let file = Path::new("function-app").join(name).join(FUNCTION);
            fs::copy(project().join(&file), copy.path().join(&file))?;
        }
        fs::write(copy.path().join("local.settings.json"), "{}")?;
        fs::copy(project().join(HOST), copy.path().join(HOST))?;
        fs::write(copy.path().join(HANDLER), "the handler")?;
        Ok(Contents::gather(copy.path(), &copy.path().join(HANDLER), Part::Whole)?.zip()?)
    };
    let backwards: Vec<&str> = names.iter().rev().copied().collect();
    let zip = write(&names)?;
    assert_eq!(zip, write(&names)?);
    assert_eq!(zip, write(&backwards)?);
    assert_eq!(
        zip,
        light(Part::Whole)?.zip()?,
        "where the files lie does not matter, or their modes"
    );
    Ok(())
}
