//! The table of all stories, in words and as tests.

use super::story::Story;
use super::{conflicts, exchange_decides, one_date, patterns, people, whole_series};
use crate::TestResult;
use crate::generated::assert_whole_file;

/// Plays each story as it is, with its notifications lost, doubled, in the opposite order and late, and with a
/// booking system of the organisation's own.
macro_rules! stories {
    ($($story:ident),+ $(,)?) => {
        /// The stories of this file, with their names.
        pub(super) const ALL: &[super::table::NamedStory] = &[$((stringify!($story), $story)),+];
        super::table::played!(plain, Plain, $($story),+);
        super::table::played!(notifications_lost, Lost, $($story),+);
        super::table::played!(notifications_doubled, Doubled, $($story),+);
        super::table::played!(notifications_reversed, Reversed, $($story),+);
        super::table::played!(notifications_late, Late, $($story),+);
        super::table::played!(in_librebooking, LibreBooking, $($story),+);
        super::table::played!(in_topdesk, Topdesk, $($story),+);
    };
}
macro_rules! played {
    ($module:ident, $mode:ident, $($story:ident),+) => {
        mod $module {
            $(#[tokio::test]
            async fn $story() -> crate::TestResult {
                super::$story().play(crate::series::play::Mode::$mode).await
            })+
        }
    };
}
pub(super) use {played, stories};

pub(super) type NamedStory = (&'static str, fn() -> Story);

/// Where the list is kept, for whom does not run it.
const LIST: &str = "tests/it/series/stories.txt";

/// What the list says first.
const HEAD: &str = "\
What becomes of a series: a booking of its own for each date. Roombridge answers for the room Aurora,
Exchange for Borealis. Each story is played as it is written, and again with every notification lost,
doubled, in the opposite order, and four hours late; and with LibreBooking and with TOPdesk in the place of
the built-in booking system.
";

/// All files with stories, each with what its stories are about.
const CHAPTERS: [(&str, &[NamedStory]); 6] = [
    ("How a series repeats", patterns::ALL),
    ("One date changes", one_date::ALL),
    ("The whole series changes", whole_series::ALL),
    ("Somebody else has the room", conflicts::ALL),
    ("Exchange decides", exchange_decides::ALL),
    ("People, time and mishaps", people::ALL),
];

/// Prints the list: `cargo test --test it -- series::table --nocapture`.
#[test]
#[expect(clippy::print_stdout, reason = "who plays the stories can read them")]
fn the_list_is_what_is_played() -> TestResult {
    let (mut text, mut number) = (HEAD.to_owned(), 0);
    for (chapter, stories) in CHAPTERS {
        text += &format!("\n{chapter}\n");
        for (_, story) in stories {
            number += 1;
            let Story { given, when, then, .. } = story();
            text += &format!("{number:>4}. Given {given}:\n      when {when},\n      {then}.\n");
        }
    }
    println!("{text}");
    assert!(number >= 50, "{number} stories");
    assert_whole_file(LIST, &text)
}

/// A dozen of them, where rows and messages are in the storage emulator.
mod on_azurite {
    use super::super::story::Story;
    use super::*;

    async fn play(stories: &[NamedStory], name: &str) -> TestResult {
        needs_azurite!();
        let found = stories.iter().find(|(known, _)| *known == name);
        let (_, story): &(_, fn() -> Story) = found.ok_or("no such story")?;
        story().play_on_azurite().await
    }

    macro_rules! on_azurite {
        ($($chapter:ident :: $story:ident),+ $(,)?) => {
            $(#[tokio::test]
            async fn $story() -> TestResult {
                play($chapter::ALL, stringify!($story)).await
            })+
        };
    }
    on_azurite!(
        patterns::without_end,
        patterns::three_hundred_dates,
        patterns::over_midnight,
        one_date::moved_to_another_day,
        one_date::cancelled,
        one_date::in_another_room,
        whole_series::moved_by_an_hour,
        whole_series::moved_over_its_own_dates,
        whole_series::split_at_the_same_time,
        whole_series::becomes_a_single_meeting,
        conflicts::one_date_is_taken,
        people::all_dates_pass,
    );
}
