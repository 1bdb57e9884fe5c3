//! The pages in a real browser, with the handler as it is shipped: a person's way through them.

mod driver;

use driver::{Browser, DESK};

use crate::Outcome;

#[tokio::test]
async fn the_browser_works() -> Outcome {
    let browser = Browser::open(DESK).await?;
    browser.go("data:text/html,<title>x</title><h1>Hello</h1>").await?;
    browser.reads("Hello").await?;
    browser.picture("hello").await?;
    browser.close().await
}
