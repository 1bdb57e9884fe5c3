//! The browser: headless Chromium, driven over the DevTools protocol. It ends with the test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::devtools::{DevTools, WAIT_TIMEOUT};
use super::install::Installed;
use crate::{TestError, TestResult};

/// How often a page is looked at that has not yet said what is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How a browser is started: without a window, and the same everywhere. It takes the certificates of the
/// local world, which nobody vouches for. A sandbox is refused to root, and on Ubuntu to programs that
/// AppArmor does not know; the browser sees our own pages alone.
const ARGUMENTS: [&str; 11] = [
    "--headless",
    "--ignore-certificate-errors",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-dev-shm-usage", // containers have little of it
    "--force-color-profile=srgb",
    "--force-prefers-reduced-motion",
    "--hide-scrollbars",
    "--lang=en-US",
    "--use-mock-keychain", // macOS would ask a person
];

/// One browser with a profile of its own: no cookie of another story.
pub(super) struct Chromium {
    // Dropped before the profile: it ends Chromium, which writes into that.
    page: DevTools,
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
    /// Starts a browser.
    pub(super) async fn open(installed: &Installed, look: Viewport) -> Result<Self, TestError> {
        let profile = tempfile::tempdir()?;
        let Viewport { width, height, dark } = look;
        let mut arguments = vec![format!("--user-data-dir={}", profile.path().display())];
        arguments.extend(ARGUMENTS.map(str::to_owned));
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let page = DevTools::start(installed, arguments).await?;
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        page.call("Emulation.setDeviceMetricsOverride", size).await?;
        Ok(Self { page, _profile: profile })
    }

    pub(super) async fn goto(&self, address: &str) -> TestResult {
        self.evaluate(MARK_AS_LEFT).await?;
        let gone = self.page.call("Page.navigate", json!({ "url": address })).await?;
        if let Some(error) = gone["errorText"].as_str() {
            return Err(format!("{address}: {error}").into());
        }
        self.wait_for_next_page().await
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
            let path = json!(format!("//{what}[normalize-space()=\"{words}\"]"));
            let first = "XPathResult.FIRST_ORDERED_NODE_TYPE";
            let element =
                format!("document.evaluate({path}, document, null, {first}).singleNodeValue");
            if self.evaluate(&format!("{element} !== null")).await? == true {
                return self.leave_by(&element).await;
            }
        }
        let (address, text) = (self.address().await?, self.text().await?);
        Err(format!("no {words:?} on {address}, which says:\n{text}").into())
    }

    /// Presses the button with this value, as each account at Entra has one.
    pub(super) async fn click_value(&self, name: &str, value: &str) -> TestResult {
        self.leave_by(&first(&format!("button[name='{name}'][value='{value}']"))).await
    }

    /// Writes into the field with this name, in place of what is there.
    pub(super) async fn fill(&self, name: &str, value: &str) -> TestResult {
        let field = first(&format!("[name='{name}']"));
        self.press(&field).await?;
        self.evaluate(&format!("{field}.select()")).await?;
        self.page.call("Input.insertText", json!({ "text": value })).await?;
        if self.evaluate(&format!("{field}.value")).await? == value {
            return Ok(());
        }
        Err(format!("{value:?} cannot be written into {name:?}").into())
    }

    /// Ticks the box, or takes its tick away, or picks the choice, with this name and value in the form (a CSS selector).
    pub(super) async fn press_option(&self, form: &str, name: &str, value: &str) -> TestResult {
        self.press(&first(&format!("{form} input[name='{name}'][value='{value}']"))).await
    }

    /// Picks from the list with this name.
    pub(super) async fn select_value(&self, name: &str, value: &str) -> TestResult {
        let list = first(&format!("select[name='{name}']"));
        let pick = format!(
            "{list}.value = {};
            {list}.dispatchEvent(new Event('change', {{ bubbles: true }}));
            {list}.value",
            json!(value)
        );
        if self.evaluate(&pick).await? == value {
            return Ok(());
        }
        Err(format!("no {value:?} in the list {name:?}").into())
    }

    /// A picture of what the window shows, as `target/screenshots/{name}.png`.
    pub(super) async fn screenshot(&self, name: &str) -> Result<PathBuf, TestError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.png"));
        let picture = self.page.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        std::fs::write(&path, STANDARD.decode(picture["data"].as_str().ok_or("no picture")?)?)?;
        Ok(path)
    }

    /// Presses the key Tab, as somebody does who has no mouse.
    pub(super) async fn press_tab(&self) -> TestResult {
        for what in ["rawKeyDown", "keyUp"] {
            let key =
                json!({ "type": what, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
            self.page.call("Input.dispatchKeyEvent", key).await?;
        }
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

    pub(super) async fn close(self) -> TestResult {
        self.page.close().await
    }

    /// Presses what this script finds, and waits until the next page is there.
    async fn leave_by(&self, element: &str) -> TestResult {
        self.evaluate(MARK_AS_LEFT).await?;
        self.press(element).await?;
        self.wait_for_next_page().await
    }

    /// Presses the mouse in the middle of what this script finds, wherever that is on the page. The browser
    /// takes no notice of a mouse on a page that it has not drawn yet.
    async fn press(&self, element: &str) -> TestResult {
        let place = format!(
            "(async element => {{
                element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const drawn = () => new Promise(requestAnimationFrame);
                await drawn();
                await drawn();
                const box = element.getClientRects()[0];
                return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
            }})({element})"
        );
        let place = self.evaluate(&place).await?;
        for what in ["mousePressed", "mouseReleased"] {
            let (x, y) = (&place["x"], &place["y"]);
            let event = json!({ "type": what, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.page.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    async fn wait_for_next_page(&self) -> TestResult {
        if self.becomes_true("!window.isLeft && document.readyState === 'complete'").await {
            return Ok(());
        }
        Err(format!("no page comes after {}", self.address().await?).into())
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

    /// What a script answers.
    pub(super) async fn evaluate(&self, script: &str) -> Result<Value, TestError> {
        let expression =
            json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.page.call("Runtime.evaluate", expression).await?;
        match answer.get("exceptionDetails") {
            None => Ok(answer["result"]["value"].take()),
            Some(thrown) => Err(format!("{script}: {}", thrown["exception"]["description"]).into()),
        }
    }
}

/// Marks a page, so that it is not taken for the next one, which may have the same address.
const MARK_AS_LEFT: &str = "window.isLeft = true";

/// A script for the first element that a CSS selector finds.
fn first(css: &str) -> String {
    format!("document.querySelector({})", json!(css))
}
