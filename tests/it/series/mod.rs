//! Series: every occurrence is a booking of its own, and every change of the series is followed.
//!
//! What becomes of them is a table of stories (`table.rs`), which is printed by
//! `cargo test --test it -- series::table --nocapture`.

mod checks;
mod conflicts;
mod exchange_decides;
mod office;
mod onboarding;
mod one_date;
mod patterns;
mod people;
mod play;
mod story;
mod table;
mod whole_series;

use self::office::tuesdays;
use crate::TestResult;
use crate::contoso::{Contoso, minutes};

#[tokio::test]
async fn a_booking_is_the_same_one_whether_it_is_a_single_or_a_date_of_a_series() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let (from, to) = ("2026-12-01T09:00", "2026-12-01T10:00");
    let meeting = contoso.meet(anna, (from, to), aurora)?;
    contoso.run_for(minutes(10)).await;
    let before = contoso.ledger_slots(aurora, "2026-12-01").await?;
    meeting.repeat(tuesdays(2))?;
    contoso.run_for(minutes(10)).await;
    let after = contoso.ledger_slots(aurora, "2026-12-01").await?;
    assert_eq!(before[0].booking, after[0].booking);
    meeting.repeat_no_more()?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-12-01").await?[0].booking, before[0].booking);
    contoso.assert_healthy().await
}
