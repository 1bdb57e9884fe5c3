//! Nothing that is repeated, failed or cut off changes how leaving, suspending and aligning end.

use roombridge::domain::decision::What;
use roombridge::domain::tenancy::{ConsentMode, TenantState};
use roombridge::messages::TenantWork;
use roombridge::store::tables::Table;
use world::microsoft::DAEMON_APP;
use world::watched::Fault;

use super::connected;
use super::leave::left_behind;
use crate::contoso::{Contoso, minutes};
use crate::faults::driver::{Driver, Manner};
use crate::{Failure, Outcome};

/// What is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Leave,
    Suspend,
    Enrol,
}

/// How a run ended: what must be the same however it went.
#[derive(Debug, PartialEq, Eq)]
struct Ending {
    state: String,
    rows: Vec<(Table, usize)>,
    subscriptions: usize,
    register: Vec<What>,
    left: usize,
}

struct Played {
    ending: Ending,
    points: usize,
    tables: usize,
    queues: usize,
}

/// Which table or queue call fails, and when.
#[derive(Debug, Clone, Copy)]
enum Strike {
    Table(usize, Fault),
    Queue(usize, Fault),
}

async fn play(story: Story, manner: Manner, strike: Option<Strike>) -> Result<Played, Failure> {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, tenant, .. } = &contoso;
    if story == Story::Leave {
        contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.pass(minutes(3)).await;
    }
    match story {
        Story::Leave => contoso.leaves().await?,
        Story::Suspend => {
            office.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
            contoso.ask(TenantWork::Check).await?;
        }
        Story::Enrol => {
            let by = connected(&contoso);
            contoso
                .decide(TenantWork::Align { from: None }, |tenant| {
                    tenant.connected = Some(by);
                    tenant.policy.consent = ConsentMode::Organisation;
                })
                .await?;
        }
    }
    office.tables.reset();
    office.queues.reset();
    match strike {
        Some(Strike::Table(number, fault)) => office.tables.fail_call(number, fault),
        Some(Strike::Queue(number, fault)) => office.queues.fail_call(number, fault),
        None => {}
    }
    let driver = Driver::new(office, manner);
    driver.pass(minutes(3)).await;
    let (points, tables, queues) = (driver.points(), office.tables.count(), office.queues.count());
    driver.end().await;
    contoso.pass(minutes(60)).await;
    contoso.is_well().await?;
    Ok(Played { ending: ending(&contoso).await?, points, tables, queues })
}

async fn ending(contoso: &Contoso) -> Result<Ending, Failure> {
    let state = match contoso.row().await?.state {
        TenantState::Left(_) => "left".to_owned(),
        TenantState::Suspended(suspension) => format!("{:?}", suspension.reason),
        other @ (TenantState::Active | TenantState::Leaving) => format!("{other:?}"),
    };
    let mut rows = Vec::new();
    for table in [Table::Tenants, Table::Mailboxes, Table::Bookings, Table::Rooms, Table::Failures]
    {
        rows.push((table, contoso.count(table).await?));
    }
    let subscriptions = contoso.office.microsoft.graph.subscriptions().len();
    let register = contoso.register().await?.into_iter().map(|entry| entry.what).collect();
    let left = match contoso.row().await?.state {
        TenantState::Left(_) => left_behind(contoso, contoso.tenant.id()).await?.len(),
        TenantState::Active | TenantState::Suspended(_) | TenantState::Leaving => 0,
    };
    Ok(Ending { state, rows, subscriptions, register, left })
}

async fn withstands(story: Story) -> Outcome {
    let calm = play(story, Manner::Cut(0), None).await?;
    let _deaf = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    for manner in [Manner::TwiceInTurn, Manner::TwiceAfterwards] {
        assert_eq!(play(story, manner, None).await?.ending, calm.ending, "{manner:?}");
    }
    for point in 1..=calm.points {
        let played = play(story, Manner::Cut(point), None).await?;
        assert_eq!(played.ending, calm.ending, "cut at {point} of {}", calm.points);
    }
    for fault in [Fault::Before, Fault::After] {
        let tables = (0..calm.tables).map(|number| Strike::Table(number, fault));
        let queues = (0..calm.queues).map(|number| Strike::Queue(number, fault));
        for strike in tables.chain(queues) {
            let played = play(story, Manner::Once, Some(strike)).await?;
            assert_eq!(played.ending, calm.ending, "{strike:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn leaving_withstands_every_disturbance() -> Outcome {
    withstands(Story::Leave).await
}

#[tokio::test]
async fn suspending_withstands_every_disturbance() -> Outcome {
    withstands(Story::Suspend).await
}

#[tokio::test]
async fn enrolling_withstands_every_disturbance() -> Outcome {
    withstands(Story::Enrol).await
}
