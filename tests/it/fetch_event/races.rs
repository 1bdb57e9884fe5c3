//! Readers that come too early or too late, and how a second look heals what they wrote.

use futures::poll;
use roombridge::domain::appointment::{Desired, Ended};
use roombridge::store::tables::Table;

use super::EVENT;
use crate::Outcome;
use crate::contoso::{Contoso, minutes, on_both, seconds};

on_both!(a_copy_seen_for_the_first_time_is_looked_at_again_after_a_minute);

async fn a_copy_seen_for_the_first_time_is_looked_at_again_after_a_minute(
    contoso: Contoso,
) -> Outcome {
    let Contoso { ben, aurora, office, .. } = &contoso;
    contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.pass(seconds(50)).await;
    office.microsoft.graph.clear_requests();
    contoso.pass(seconds(15)).await;
    assert_eq!(contoso.asked("GET", EVENT).len(), 1);
    contoso.pass(minutes(9)).await;
    assert_eq!(contoso.asked("GET", EVENT).len(), 1, "once is enough");
    contoso.is_well().await
}

#[tokio::test]
async fn a_reader_slower_than_the_deletion_brings_nothing_back_for_long() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, office, .. } = &contoso;
    contoso.pass(minutes(2)).await;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    office.microsoft.graph.deliver_due().await;
    let taken = office.host.take_all().await.pop().ok_or("the change was told")?;
    let mut reader = std::pin::pin!(office.host.process_message(taken));
    // Graph lets others work before and after it answers: here it has read, and not answered yet.
    for _ in 0..2 {
        assert!(poll!(&mut reader).is_pending());
    }
    meeting.cancel()?;
    office.settle().await;
    assert_eq!(contoso.count(Table::Bookings).await?, 0, "the deletion found nothing to end");
    reader.await;
    office.settle().await;
    assert_eq!(contoso.taken(aurora, "2026-11-24").await?.len(), 1, "resurrected");
    contoso.pass(seconds(75)).await;
    let booking = contoso.booked(&meeting, aurora).await?;
    assert_eq!(booking.desired, Desired::Unwanted(Ended::Cancelled));
    assert_eq!(contoso.taken(aurora, "2026-11-24").await?, []);
    contoso.is_well().await
}
