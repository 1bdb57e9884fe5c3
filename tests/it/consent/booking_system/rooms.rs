//! Which room is which: proposals, mistakes, files, and one step back.

use http::StatusCode;
use world::librebooking::Layout;

use super::WithLibreBooking;
use crate::contoso::minutes;
use crate::http_browser::Browser;
use crate::{TestError, TestResult};

const PAGE: &str = "booking-system-rooms?system=1";

fn some(rooms: [&str; 2]) -> [Option<String>; 2] {
    rooms.map(|room| Some(room.to_owned()).filter(|room| !room.is_empty()))
}

#[tokio::test]
async fn proposals_go_by_name_and_count_only_once_they_are_saved() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    let page = browser.get(PAGE).await?;
    assert_eq!(page.text.matches("Proposal, not saved yet").count(), 2, "{}", page.text);
    assert_eq!(page.text_of_id("mapped"), "0 of 2 managed rooms");
    assert_eq!(with.mapped().await?, some(["", ""]));
    // One room that two could be is proposed for none.
    with.libre.add_room("Borealis (third floor)", None, Layout::ALWAYS);
    let page = browser.get(PAGE).await?;
    assert_eq!(page.text.matches("Proposal, not saved yet").count(), 1, "{}", page.text);
    let saved = with.map(&browser, ["1", ""]).await?;
    let page = browser.get(saved.location()).await?;
    assert!(page.text.contains("Saved."), "{}", page.text);
    assert!(page.text.contains("Not mapped: it is not booked"), "{}", page.text);
    assert_eq!(with.mapped().await?, some(["1", ""]));
    Ok(())
}

#[tokio::test]
async fn two_rooms_never_share_one_and_a_room_that_is_not_there_is_none() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    for (rooms, words) in [
        (["1", "1"], "is mapped to the same room"),
        (["1", "99"], "lists no room “99”"),
        (["<script>", ""], "lists no room “&#60;script&#62;”"),
    ] {
        let page = with.map(&browser, rooms).await?;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{rooms:?}");
        assert!(page.text.contains(words), "{rooms:?}: {}", page.text);
        assert!(!page.text.contains("<script>"));
    }
    // Rooms that nobody manages, half a row, a form that was sent before.
    let version = browser.get(PAGE).await?.value("version");
    let stranger = "00000000-0000-4000-8000-000000000099";
    let aurora = with.contoso.aurora.id();
    let start = [("system", "1"), ("version", version.as_str()), ("from", "0")];
    for rows in [
        vec![("room", stranger), ("mapped", "1")],
        vec![("room", aurora)],
        vec![("room", aurora), ("mapped", "1"), ("room", aurora), ("mapped", "2")],
        vec![("room", "x"), ("mapped", "1")],
    ] {
        let page = browser.post("booking-system-rooms", &[&start[..], &rows].concat()).await?;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{rows:?}");
    }
    assert_eq!(with.mapped().await?, some(["", ""]));
    let first = [&start[..], &[("room", aurora), ("mapped", "1")]].concat();
    assert_eq!(browser.post("booking-system-rooms", &first).await?.status, StatusCode::SEE_OTHER);
    let again = [&start[..], &[("room", aurora), ("mapped", "2")]].concat();
    assert_eq!(browser.post("booking-system-rooms", &again).await?.status, StatusCode::CONFLICT);
    assert_eq!(with.mapped().await?, some(["1", ""]));
    Ok(())
}

#[tokio::test]
async fn the_map_before_the_last_save_is_brought_back_and_that_is_taken_back() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    assert!(!browser.get(PAGE).await?.text.contains("One step back"));
    with.map(&browser, ["1", "2"]).await?;
    with.contoso.run_for(minutes(1)).await;
    with.map(&browser, ["", "1"]).await?;
    assert_eq!(with.mapped().await?, some(["", "1"]));
    for expected in [["1", "2"], ["", "1"]] {
        with.contoso.run_for(minutes(1)).await;
        let version = browser.get(PAGE).await?.value("version");
        let form = [("system", "1"), ("version", &*version)];
        let page = browser.submit("booking-system-restore", &form).await?;
        assert!(page.text.contains("as they were before"), "{}", page.text);
        assert_eq!(with.mapped().await?, some(expected));
        assert_eq!(browser.post("booking-system-restore", &form).await?.status, 409);
    }
    Ok(())
}

async fn import(
    browser: &Browser<'_>,
    csv: &str,
    preview: &str,
) -> Result<crate::http_browser::Page, TestError> {
    let save = if preview.is_empty() { "no" } else { "yes" };
    let form = [("system", "1"), ("csv", csv), ("preview", preview), ("save", save)];
    browser.post("booking-system-import", &form).await
}

#[tokio::test]
async fn a_file_is_shown_first_and_saved_as_it_was_shown() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    with.map(&browser, ["1", ""]).await?;
    let file = browser.get("booking-system-rooms.csv?system=1").await?;
    assert!(file.text.starts_with("\"room\",\"room_name\",\"system_room\""), "{}", file.text);
    // As a spreadsheet with a decimal comma gives it back.
    let borealis = with.contoso.borealis.address();
    let changed = format!("\u{feff}room;note;system_room\r\n{borealis};\"second; floor\";2\r\n");
    let shown = import(&browser, &changed, "").await?;
    assert!(shown.text.contains("Borealis (second floor)"), "{}", shown.text);
    assert_eq!(with.mapped().await?, some(["1", ""]));
    let preview = shown.value("preview");
    // Another file than the one that was shown is shown first.
    let other = format!("room,system_room\n{borealis},1\n");
    assert_eq!(import(&browser, &other, &preview).await?.status, 422);
    let other = format!("room,system_room\n{borealis},\n");
    assert_eq!(import(&browser, &other, &preview).await?.status, StatusCode::OK);
    assert_eq!(with.mapped().await?, some(["1", ""]));
    let saved = import(&browser, &changed, &preview).await?;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    assert_eq!(with.mapped().await?, some(["1", "2"]));
    // What was downloaded changes nothing.
    let file = browser.get("booking-system-rooms.csv?system=1").await?.text;
    let page = import(&browser, &file, "").await?;
    assert!(
        page.text.contains("Nothing: the rooms are mapped like this already."),
        "{}",
        page.text
    );
    Ok(())
}

#[tokio::test]
async fn each_wrong_line_of_a_file_is_named_and_nothing_of_it_is_saved() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    let (aurora, borealis) = (with.contoso.aurora.address(), with.contoso.borealis.address());
    let file = format!(
        "room,system_room\n{aurora},1\nnobody@contoso.example,2\n{borealis},<script>\n{aurora},2\n{borealis}\n"
    );
    let page = import(&browser, &file, "").await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for words in [
        "Line 3: no managed room has the address “nobody@contoso.example”.",
        "Line 4: the booking system lists no room with the id “&#60;script&#62;”.",
        "named twice.",
        "Line 6: cells are missing.",
    ] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    assert_eq!(page.value("preview"), "");
    for (file, words) in [
        ("", "The first line must name the columns"),
        ("room,name\na,b", "The first line must name the columns"),
        (&format!("room,system_room\n{aurora},1\n{borealis},1"), "Line 2: "),
        (&format!("room,system_room\n{}", "x".repeat(40_001)), "This is too long"),
    ] {
        let page = import(&browser, file, "").await?;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{file:.40}");
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    assert_eq!(with.mapped().await?, some(["", ""]));
    Ok(())
}
