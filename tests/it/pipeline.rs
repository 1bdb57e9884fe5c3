//! The main flow as a story: an appointment with a room becomes a booking, and is removed when
//! it is over.

use roombridge::store::tables::Table;
use world::exchange::{Invitation, Response};

use crate::TestResult;
use crate::contoso::{Contoso, at, minutes, on_both, seconds};

on_both!(a_meeting_with_a_room_is_booked_accepted_moved_and_forgotten);

async fn a_meeting_with_a_room_is_booked_accepted_moved_and_forgotten(
    contoso: Contoso,
) -> TestResult {
    let Contoso { tenant, anna, ben, aurora, .. } = &contoso;
    let invitation =
        Invitation::new("Quarterly numbers", at("09:00"), at("10:00")).with(ben).room(aurora);
    let meeting = tenant.meet(anna, invitation)?;
    contoso.run_for(seconds(30)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);

    // Nobody else can have the room then.
    let rival = contoso.meet(&contoso.cleo, ("09:30", "10:30"), aurora)?;
    contoso.run_for(seconds(90)).await;
    assert_eq!(rival.response_of(aurora), Some(Response::Declined));
    let refused = contoso.outcome_on_copy(&rival, &contoso.cleo, aurora)?;
    assert_eq!(refused.as_deref(), Some("refused: conflict"));

    meeting.move_to(at("11:00"), at("12:00"))?;
    contoso.run_for(seconds(90)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    let taken = contoso.ledger_slots(aurora, "2026-11-24").await?;
    assert_eq!(taken.iter().map(|slot| slot.interval.start()).collect::<Vec<_>>(), [at("11:00")]);

    // Everything is published, so nothing has to process it again before its end.
    contoso.run_for(minutes(10)).await;
    let due = contoso.rows(Table::Due).await?;
    assert!(due.iter().all(|row| !row.key.partition.starts_with("unsettled")), "{due:?}");

    contoso.world.clock.set(at("11:55"));
    contoso.run_for(minutes(30)).await;
    assert_eq!(contoso.booking(&meeting, aurora).await?, None);
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, []);
    // What is kept of the refused one does not tell its time, so it is deleted with the day.
    contoso.world.clock.set(at("23:55"));
    contoso.run_for(minutes(30)).await;
    for table in [Table::Bookings, Table::Appointments] {
        assert_eq!(contoso.count(table).await?, 0, "{table:?}");
    }
    contoso.assert_healthy().await
}
