//! The browser: headless Chromium, driven over the DevTools protocol. It ends with the test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chromiumoxide::browser::{Browser, BrowserConfig};
use chromiumoxide::cdp::browser_protocol::input::InsertTextParams;
use chromiumoxide::cdp::browser_protocol::page::CaptureScreenshotFormat;
use chromiumoxide::page::ScreenshotParams;
use chromiumoxide::{Element, Page, handler::viewport};
use futures::StreamExt;
use serde_json::{Value, json};

use super::install::Installed;
use crate::{TestError, TestResult};

/// How long the browser may take to start, and a page to say what is waited for, on a busy machine.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a page is looked at meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// One browser with a profile of its own: no cookie of another story.
pub(super) struct Chromium {
    page: Page,
    // Dropped before the profile: it ends Chromium, which writes into that.
    browser: Browser,
    _profile: tempfile::TempDir,
}

/// What a browser looks like.
#[derive(Clone, Copy)]
pub(super) struct Viewport {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) dark: bool,
}

/// A desk.
pub(super) const DESKTOP: Viewport = Viewport { width: 1100, height: 1000, dark: false };
/// A phone at night.
pub(super) const PHONE: Viewport = Viewport { width: 500, height: 900, dark: true };

impl Chromium {
    /// Starts a browser. It takes the certificates of the local world, which nobody vouches for.
    pub(super) async fn open(installed: &Installed, look: Viewport) -> Result<Self, TestError> {
        let profile = tempfile::tempdir()?;
        let Viewport { width, height, dark } = look;
        let mut config = BrowserConfig::builder()
            .chrome_executable(&installed.program)
            .envs(installed.environment.clone())
            .user_data_dir(profile.path())
            .viewport(viewport::Viewport { width, height, ..viewport::Viewport::default() })
            .window_size(width, height)
            // A sandbox is refused to root, and on Ubuntu to programs that AppArmor does not know. The
            // browser sees our own pages alone.
            .no_sandbox()
            .arg("force-prefers-reduced-motion")
            .launch_timeout(WAIT_TIMEOUT)
            .request_timeout(WAIT_TIMEOUT);
        if dark {
            config = config.arg(("blink-settings", "preferredColorScheme=0"));
        }
        let (browser, mut events) = Browser::launch(config.build()?).await?;
        // Nothing is answered unless somebody reads; it ends with the connection.
        drop(tokio::spawn(async move { while events.next().await.is_some() {} }));
        let page = browser.new_page("about:blank").await?;
        Ok(Self { page, browser, _profile: profile })
    }

    pub(super) async fn goto(&self, address: &str) -> TestResult {
        self.page.goto(address).await?;
        Ok(())
    }

    pub(super) async fn address(&self) -> Result<String, TestError> {
        self.text_of("location.href").await
    }

    /// The page's text as a person reads it.
    pub(super) async fn text(&self) -> Result<String, TestError> {
        self.text_of("document.body.innerText").await
    }

    /// Waits until the page says this.
    pub(super) async fn wait_for_text(&self, words: &str) -> TestResult {
        let words_found =
            format!("document.body?.textContent.replace(/\\s+/g, ' ').includes({})", json!(words));
        if self.becomes_true(&words_found).await {
            return Ok(());
        }
        let (address, text) = (self.address().await?, self.text().await?);
        Err(format!("{words:?} is not on {address}, which says:\n{text}").into())
    }

    /// Presses the button with this text, or follows the link if there is no such button, and waits for the
    /// page that comes of it.
    pub(super) async fn click(&self, words: &str) -> TestResult {
        for what in ["button", "a"] {
            let path = format!("//{what}[normalize-space()=\"{words}\"]");
            if let Ok(found) = self.page.find_xpath(path).await {
                return self.leave_by(&found).await;
            }
        }
        let (address, text) = (self.address().await?, self.text().await?);
        Err(format!("no {words:?} on {address}, which says:\n{text}").into())
    }

    /// Presses the button with this value, as each account at Entra has one.
    pub(super) async fn click_value(&self, name: &str, value: &str) -> TestResult {
        let button = self.find(&format!("button[name='{name}'][value='{value}']")).await?;
        self.leave_by(&button).await
    }

    /// Writes into the field with this name, in place of what is there.
    pub(super) async fn fill(&self, name: &str, value: &str) -> TestResult {
        let field = self.find(&format!("[name='{name}']")).await?;
        field.click().await?;
        field.call_js_fn("function() { this.select(); }", false).await?;
        self.page.execute(InsertTextParams::new(value)).await?;
        Ok(())
    }

    /// Ticks the box, or picks the choice, with this name and value in the form (a CSS selector).
    pub(super) async fn check_option(&self, form: &str, name: &str, value: &str) -> TestResult {
        let css = format!("{form} input[name='{name}'][value='{value}']");
        self.find(&css).await?.click().await?;
        Ok(())
    }

    /// Picks from the list with this name.
    pub(super) async fn select_value(&self, name: &str, value: &str) -> TestResult {
        let list = self.find(&format!("select[name='{name}']")).await?;
        let pick = format!(
            "function() {{
                this.value = {};
                this.dispatchEvent(new Event('change', {{ bubbles: true }}));
                return this.value;
            }}",
            json!(value)
        );
        let picked = list.call_js_fn(pick, false).await?.result.value;
        if picked == Some(json!(value)) {
            return Ok(());
        }
        Err(format!("no {value:?} in the list {name:?}").into())
    }

    /// A picture of what the window shows, as `target/screenshots/{name}.png`.
    pub(super) async fn screenshot(&self, name: &str) -> Result<PathBuf, TestError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.png"));
        let png = ScreenshotParams::builder().format(CaptureScreenshotFormat::Png).build();
        std::fs::write(&path, self.page.screenshot(png).await?)?;
        Ok(path)
    }

    /// Presses a key, as somebody does who has no mouse.
    pub(super) async fn press_key(&self, key: &str) -> TestResult {
        self.find("body").await?.press_key(key).await?;
        Ok(())
    }

    /// Whether the page is no wider than the window.
    pub(super) async fn fits_viewport(&self) -> Result<bool, TestError> {
        let fits = "document.documentElement.scrollWidth <= window.innerWidth";
        Ok(self.evaluate(fits).await? == true)
    }

    /// The text of what has the focus.
    pub(super) async fn focused_text(&self) -> Result<String, TestError> {
        self.text_of("document.activeElement.innerText").await
    }

    pub(super) async fn close(mut self) -> TestResult {
        self.browser.close().await?;
        self.browser.wait().await?;
        Ok(())
    }

    /// The first element that a CSS selector finds.
    async fn find(&self, css: &str) -> Result<Element, TestError> {
        self.page.find_element(css).await.map_err(|error| format!("{css}: {error}").into())
    }

    /// Clicks, and waits until the next page is there. The old one is marked, so that it is not taken for
    /// the new one, which may have the same address.
    async fn leave_by(&self, element: &Element) -> TestResult {
        self.evaluate("window.isLeft = true").await?;
        element.click().await?;
        if self.becomes_true("!window.isLeft && document.readyState === 'complete'").await {
            return Ok(());
        }
        Err(format!("a click leads nowhere from {}", self.address().await?).into())
    }

    /// Waits until the page finds this true; false after a minute.
    async fn becomes_true(&self, script: &str) -> bool {
        let mut polls = tokio::time::interval(POLL_INTERVAL);
        let polling = async {
            loop {
                polls.tick().await;
                // Between two pages nobody answers.
                if self.evaluate(script).await.is_ok_and(|answer| answer == true) {
                    return;
                }
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, polling).await.is_ok()
    }

    async fn text_of(&self, script: &str) -> Result<String, TestError> {
        Ok(self.evaluate(script).await?.as_str().unwrap_or_default().to_owned())
    }

    async fn evaluate(&self, script: &str) -> Result<Value, TestError> {
        let answer = self.page.evaluate_expression(script).await?;
        Ok(answer.value().cloned().unwrap_or_default())
    }
}
