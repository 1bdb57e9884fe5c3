//! A calendar that is full of series when its owner agrees.

use jiff::Timestamp;
use jiff::civil::Weekday;
use roombridge::domain::tenant::policy::ResponseMode;
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Oddities, Recurrence, Response};

use super::office::Office;
use super::play::Mode;
use crate::TestResult;
use crate::contoso::{Contoso, Who, hours, minutes};

/// Every hour of every working day.
const DAYS: [(Weekday, &str); 5] = [
    (Weekday::Monday, "2026-11-30"),
    (Weekday::Tuesday, "2026-12-01"),
    (Weekday::Wednesday, "2026-12-02"),
    (Weekday::Thursday, "2026-12-03"),
    (Weekday::Friday, "2026-12-04"),
];
const HOURS: i64 = 9;
const DATES: u16 = 4;

#[tokio::test]
async fn all_series_of_a_full_calendar_are_booked_when_its_owner_agrees() -> TestResult {
    let contoso = Contoso::builder().followed(&[]).oddities(Oddities::NONE).open().await?;
    let mut office = Office { contoso, mode: Mode::Plain, system: None, meetings: Vec::new() };
    for (day, date) in DAYS {
        let first: Timestamp = format!("{date}T08:00:00Z").parse()?;
        for hour in 0..HOURS {
            let start = first + hours(hour);
            let rule = Recurrence::weekly(&[day]).times(DATES);
            let invitation = Invitation::new("Standup", start, start + hours(1));
            let invitation = invitation.room(&office.contoso.aurora).series(rule);
            office.send(Who::Anna, invitation)?;
        }
    }
    let Contoso { anna, aurora, world, .. } = &office.contoso;
    world.microsoft.graph.clear_requests();
    world.fixtures().manage_room(aurora, ResponseMode::RoombridgeDecides).await?;
    world.fixtures().agree(anna).await?;
    office.contoso.run_for(minutes(15)).await;

    let series = DAYS.len() * usize::try_from(HOURS)?;
    assert_eq!(office.slots(aurora).await?.len(), series * usize::from(DATES));
    let answers = world.microsoft.exchange.all_responses_from(aurora);
    let accepted = answers.iter().filter(|given| given.response == Response::Accepted).count();
    assert_eq!((answers.len(), accepted), (series, series), "each was answered once");
    assert_eq!(office.contoso.rows(Table::Failures).await?.len(), 0);
    let requests = world.microsoft.graph.http_requests();
    assert!(requests < 10 * series, "{requests} requests for {series} series");
    office.contoso.assert_healthy().await
}
