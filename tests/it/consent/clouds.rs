//! Another of Microsoft's clouds is other settings and nothing else.

use roombridge::store::tables::Table;
use world::entra::CloudHosts;
use world::exchange::{Invitation, Response};
use world::microsoft::{GRAPH_HOST, LOGIN_HOST};

use crate::TestResult;
use crate::contoso::{Contoso, at, minutes};
use crate::http_browser::Browser;

/// The hosts of Azure Government
/// (learn.microsoft.com/graph/deployments and /entra/identity-platform/authentication-national-cloud,
/// 2025-06).
fn government() -> CloudHosts {
    CloudHosts {
        authority: "https://login.microsoftonline.us".to_owned(),
        graph_audience: "https://graph.microsoft.us".to_owned(),
        exchange_audience: "api://AzureADTokenExchangeUSGov".to_owned(),
    }
}

#[tokio::test]
async fn an_organisation_in_another_cloud_connects_agrees_and_is_booked() -> TestResult {
    let contoso = Contoso::builder().seed(7).unconnected().cloud(government()).open().await?;
    let Contoso { world, tenant, anna, aurora, .. } = &contoso;
    let ada = contoso.connect("organisation-wide").await?;
    ada.get("rooms").await?;
    let rooms = [
        ("from", "0"),
        ("address", aurora.address()),
        ("mode", "roombridge"),
        ("zone", "Europe/Amsterdam"),
    ];
    assert_eq!(ada.post("rooms", &rooms).await?.status, 303);
    let employee = Browser::new(world, "my-calendar");
    employee.sign_in(anna.id()).await?;
    employee.get("").await?;
    let agrees = [("text_version", "2026-12"), ("agree", "yes")];
    assert_eq!(employee.post("agree", &agrees).await?.status, 303);
    world.run_for(minutes(3)).await;
    assert_eq!(world.rows(Table::Failures).await?, []);

    let invitation = Invitation::new("Quarterly numbers", at("09:00"), at("10:00")).room(aurora);
    let meeting = tenant.meet(anna, invitation)?;
    world.run_for(minutes(3)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    let network = &world.microsoft.network;
    assert_eq!((network.requests(GRAPH_HOST), network.requests(LOGIN_HOST)), (0, 0));
    Ok(())
}
