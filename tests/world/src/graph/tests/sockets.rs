//! The same Graph behind a real listener.

use std::time::Duration;

use roombridge::base::http::ReqwestHttp;

use super::*;
use crate::fault_injection::Fault;
use crate::graph::{FaultOutcome, RequestFault};

/// Serves `router` on a free port of loopback; returns its base address.
async fn serve(router: Router) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    (base, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

#[tokio::test]
async fn graph_and_its_notifications_work_over_sockets() {
    let story = graph_fixture();
    let http = Arc::new(ReqwestHttp::lazy());
    let (graph, server) = serve(story.ms.graph.router()).await;
    let (hook, endpoint) = serve(story.receiver.router()).await;
    story.ms.network.forward(GRAPH_HOST, &graph, http.clone());
    story.ms.network.forward("hook.example", &hook, http);
    assert_eq!(story.subscribe(&story.anna).await.0, StatusCode::CREATED);

    let path = format!("{}?$select=id", story.path(&story.anna));
    let template = "/users/{id}/events/{id}";
    let (moment, outcome) = (Fault::After, FaultOutcome::Broken);
    story.ms.graph.plan_fault(RequestFault { method: "GET", template, nth: 1, moment, outcome });
    let request = Request::get(format!("https://{GRAPH_HOST}/v1.0{path}"))
        .header("authorization", format!("Bearer {}", story.ms.graph_token(&story.tenant)))
        .body(Bytes::new())
        .unwrap();
    assert!(story.ms.network.send(request).await.is_err(), "the connection breaks");
    assert_eq!(story.get(&path).await.0, StatusCode::OK);

    story.meeting.rename("Other").unwrap();
    let task = story.ms.graph.run_delivery(Duration::from_millis(1));
    let items = loop {
        tokio::task::yield_now().await;
        let items = story.receiver.take();
        if !items.is_empty() {
            break items;
        }
    };
    assert_eq!(items.len(), 3);
    drop(task);
    server.abort();
    endpoint.abort();
}
