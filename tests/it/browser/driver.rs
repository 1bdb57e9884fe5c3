//! The browser: headless Chromium, driven over WebDriver by chromedriver. Both end with the test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::{TestError, TestResult};

/// How long the driver may take to start, and a page to say what is waited for, on a busy machine.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a page is looked at meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How many drivers are started until one has a port of its own.
const MAX_START_ATTEMPTS: usize = 5;

/// What is missing, and how to get it.
const MISSING_DRIVER: &str = "chromedriver is not in PATH. These tests walk through the pages in a real \
    browser: install Chromium and its driver (Debian: apt-get install chromium chromium-driver)";

/// One browser with a profile of its own: no cookie of another story.
pub(super) struct Chromium {
    client: Client,
    // Dropped before the profile: it ends Chromium, which writes into that.
    _driver: ChromeDriver,
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
    pub(super) async fn open(look: Viewport) -> Result<Self, TestError> {
        let driver = start_driver_with_retries().await?;
        let profile = tempfile::tempdir()?;
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--force-prefers-reduced-motion".to_owned(),
            format!("--window-size={},{}", look.width, look.height),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if look.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let capabilities = json!({
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        });
        let capabilities = capabilities.as_object().cloned().unwrap_or_default();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let address = format!("http://127.0.0.1:{}", driver.port);
        let client = builder.capabilities(capabilities).connect(&address).await?;
        Ok(Self { client, _driver: driver, _profile: profile })
    }

    pub(super) async fn goto(&self, address: &str) -> TestResult {
        Ok(self.client.goto(address).await?)
    }

    pub(super) async fn address(&self) -> Result<String, TestError> {
        Ok(self.client.current_url().await?.to_string())
    }

    /// The page's text as a person reads it.
    pub(super) async fn text(&self) -> Result<String, TestError> {
        Ok(self.client.find(Locator::Css("body")).await?.text().await?)
    }

    /// Waits until the page says this.
    pub(super) async fn wait_for_text(&self, words: &str) -> TestResult {
        let path = format!("//body[contains(normalize-space(.), \"{words}\")]");
        let wait = self.client.wait().at_most(WAIT_TIMEOUT).every(POLL_INTERVAL);
        match wait.for_element(Locator::XPath(&path)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let (address, text) = (self.address().await?, self.text().await?);
                Err(format!("{words:?} is not on {address}, which says:\n{text}").into())
            }
        }
    }

    /// Presses the button with this text, or follows the link if there is no such button.
    pub(super) async fn click(&self, words: &str) -> TestResult {
        for what in ["button", "a"] {
            let path = format!("//{what}[normalize-space()=\"{words}\"]");
            if let Ok(found) = self.client.find(Locator::XPath(&path)).await {
                return Ok(found.click().await?);
            }
        }
        let (address, text) = (self.address().await?, self.text().await?);
        Err(format!("no {words:?} on {address}, which says:\n{text}").into())
    }

    /// Presses the button with this value, as each account at Entra has one.
    pub(super) async fn click_value(&self, name: &str, value: &str) -> TestResult {
        let css = format!("button[name='{name}'][value='{value}']");
        Ok(self.client.find(Locator::Css(&css)).await?.click().await?)
    }

    /// Writes into the field with this name, in place of what is there.
    pub(super) async fn fill(&self, name: &str, value: &str) -> TestResult {
        let field = self.client.find(Locator::Css(&format!("[name='{name}']"))).await?;
        field.clear().await?;
        Ok(field.send_keys(value).await?)
    }

    /// Ticks the box, or picks the choice, with this name and value in the form (a CSS selector).
    pub(super) async fn check_option(&self, form: &str, name: &str, value: &str) -> TestResult {
        let css = format!("{form} input[name='{name}'][value='{value}']");
        Ok(self.client.find(Locator::Css(&css)).await?.click().await?)
    }

    /// Picks from the list with this name.
    pub(super) async fn select_value(&self, name: &str, value: &str) -> TestResult {
        let list = self.client.find(Locator::Css(&format!("select[name='{name}']"))).await?;
        Ok(list.select_by_value(value).await?)
    }

    /// A picture of the whole page, as `target/screenshots/{name}.png`.
    pub(super) async fn screenshot(&self, name: &str) -> Result<PathBuf, TestError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, self.client.screenshot().await?)?;
        Ok(path)
    }

    /// Presses a key, as somebody does who has no mouse.
    pub(super) async fn press_key(&self, key: fantoccini::key::Key) -> TestResult {
        let focused = self.client.active_element().await?;
        Ok(focused.send_keys(&key.to_string()).await?)
    }

    /// Whether the page is no wider than the window.
    pub(super) async fn fits_viewport(&self) -> Result<bool, TestError> {
        let script = "return document.documentElement.scrollWidth <= window.innerWidth";
        Ok(self.client.execute(script, Vec::new()).await?.as_bool().unwrap_or_default())
    }

    /// The text of what has the focus.
    pub(super) async fn focused_text(&self) -> Result<String, TestError> {
        Ok(self.client.active_element().await?.text().await?)
    }

    pub(super) async fn close(self) -> TestResult {
        Ok(self.client.close().await?)
    }
}

/// A running driver.
struct ChromeDriver {
    port: u16,
    // Killed when it is dropped.
    _process: Child,
}

impl Drop for ChromeDriver {
    /// Killing the driver would leave Chromium behind; asked to stop, it ends its browsers first.
    fn drop(&mut self) {
        let asked = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
            // The connection is closed when it is done.
            stream.read_to_end(&mut Vec::new())
        });
        drop(asked);
    }
}

/// A driver of its own, and the port it listens on. It takes the port that it was given for IPv4
/// on IPv6, too, where another driver may have it: then it ends, and another one is started.
async fn start_driver_with_retries() -> Result<ChromeDriver, TestError> {
    for _ in 0..MAX_START_ATTEMPTS {
        if let Some(started) = start_driver().await? {
            return Ok(started);
        }
    }
    Err("chromedriver ends before it listens".into())
}

async fn start_driver() -> Result<Option<ChromeDriver>, TestError> {
    let mut driver = Command::new("chromedriver")
        .args(["--port=0", "--allowed-origins=http://127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{MISSING_DRIVER} ({error})"))?;
    let stdout = driver.stdout.take().ok_or("chromedriver has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let listening = async {
        while let Some(line) = lines.next_line().await? {
            // "ChromeDriver was started successfully on port 41733."
            if let Some((_, port)) = line.split_once("successfully on port ") {
                return Ok(Some(port.trim_end_matches('.').trim().parse::<u16>()?));
            }
        }
        Ok::<_, TestError>(None)
    };
    let Some(port) = tokio::time::timeout(WAIT_TIMEOUT, listening).await?? else { return Ok(None) };
    // Somebody has to read on, or the driver stops at a full pipe.
    drop(tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} }));
    Ok(Some(ChromeDriver { port, _process: driver }))
}
