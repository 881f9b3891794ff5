//! A real browser: Chromium without a window, driven over its `DevTools` protocol.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::client::Client;
use super::others::program;
use super::wait::{self, PATIENCE};

/// One at a time: each is half a dozen of processes.
static ONE: Mutex<()> = Mutex::new(());

/// A browser with one page open, which is killed when it goes out of scope.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    latest: u64,
    complaints: Vec<String>,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Starts one, if Chromium is there.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let mut command = program("chromium")?;
        let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().unwrap();
        let data = format!("--user-data-dir={}", profile.path().display());
        command.args(FLAGS).arg(data).arg("about:blank");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let mut port = None;
        wait::until("the browser can be driven", || {
            let said = std::fs::read_to_string(profile.path().join("DevToolsActivePort"));
            port = said.ok().and_then(|said| said.lines().next()?.parse::<u16>().ok());
            port.is_some()
        });
        let socket = connect(port.unwrap());
        let mut browser = Self {
            child,
            socket,
            latest: 0,
            complaints: Vec::new(),
            _profile: profile,
            _turn: turn,
        };
        for domain in ["Page", "Runtime", "Log", "DOM", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Has the browser do something; what it answers.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.latest += 1;
        let id = self.latest;
        let order = json!({ "id": id, "method": method, "params": parameters });
        self.socket.send(Message::text(order.to_string())).unwrap();
        loop {
            let mut said = self.hear();
            if said["id"] == id {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].take();
            }
            self.note(&said);
        }
    }

    fn hear(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("the browser answers") {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Remembers what the browser complains about.
    fn note(&mut self, said: &Value) {
        let parameters = &said["params"];
        let complaint = match said["method"].as_str() {
            Some("Runtime.exceptionThrown") => parameters["exceptionDetails"].to_string(),
            Some("Log.entryAdded") if parameters["entry"]["level"] == "error" => {
                parameters["entry"].to_string()
            }
            Some("Runtime.consoleAPICalled") => parameters["args"].to_string(),
            // whoever sees a dialog has been got at by somebody's script
            Some("Page.javascriptDialogOpening") => parameters.to_string(),
            _ => return,
        };
        self.complaints.push(complaint);
    }

    /// What it has complained about so far: errors, violations of the policy, exceptions.
    #[track_caller]
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("0");
        self.complaints.clone()
    }

    /// Goes to an address.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        let gone = self.call("Page.navigate", &json!({ "url": url }));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        self.until("the page is there", "document.readyState === 'complete'");
    }

    /// What an expression comes to in the page.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut said = self.call("Runtime.evaluate", &parameters);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].take()
    }

    /// The text of the first element that `selector` means; empty where there is none.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let selector = json!(selector);
        let found = self.eval(&format!(
            "document.querySelector({selector})?.innerText.replace(/\\s+/g, ' ') ?? ''"
        ));
        found.as_str().unwrap().to_owned()
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    pub fn until(&mut self, what: &str, expression: &str) {
        let begun = wait::now();
        while self.eval(&format!("Boolean({expression})")) != true {
            let seen = self.eval("document.body?.innerText ?? ''");
            let seen = seen.as_str().unwrap_or_default();
            let complaints = &self.complaints;
            assert!(
                begun.elapsed() < PATIENCE,
                "this did not come to be: {what}; {complaints:?}; the page:\n{seen}"
            );
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }

    /// Waits until the first element that `selector` means has this in its text.
    #[track_caller]
    pub fn until_text(&mut self, selector: &str, text: &str) {
        let what = format!("{text:?} in {selector}");
        let (selector, text) = (json!(selector), json!(text));
        let has = format!(
            "document.querySelector({selector})?.innerText.replace(/\\s+/g, ' ').includes({text})"
        );
        self.until(&what, &has);
    }

    /// Clicks in the middle of the element that an expression means, once it is there, with the
    /// mouse: what lies above it gets the click.
    #[track_caller]
    pub fn click(&mut self, element: &str) {
        self.until(&format!("{element} is there"), element);
        let middle = self.eval(&format!(
            "(() => {{ const it = {element}; it.scrollIntoView({{ block: 'center' }}); \
             const box = it.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Clicks on the button whose text or name begins with this.
    #[track_caller]
    pub fn click_button(&mut self, name: &str) {
        let name = json!(name);
        self.click(&format!(
            "[...document.querySelectorAll('button')].find((one) => one.checkVisibility() && \
             (one.ariaLabel ?? one.innerText).startsWith({name}))"
        ));
    }

    /// Types a text where the focus is.
    #[track_caller]
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`, ` `.
    #[track_caller]
    pub fn press(&mut self, key: &str) {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Escape" => ("Escape", 27, ""),
            " " => ("Space", 32, " "),
            other => panic!("no key {other}"),
        };
        let event = |kind: &str| {
            json!({
                "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number,
                "text": text,
            })
        };
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        self.call("Input.dispatchKeyEvent", &event(down));
        self.call("Input.dispatchKeyEvent", &event("keyUp"));
    }

    /// Shows the page as large as this, and in these colours: `light` or `dark`.
    #[track_caller]
    pub fn looks(&mut self, (width, height): (u32, u32), scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// Every node that whoever listens is told of: its role and its name.
    #[track_caller]
    pub fn spoken(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().unwrap().iter();
        let told = nodes.filter(|node| node["ignored"] != true);
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        told.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
    }

    /// Writes what is to be seen into a file of that name, in the directory that
    /// `LOGINWARD_TEST_PICTURES` names: for people, who judge how it looks.
    #[track_caller]
    pub fn photograph(&mut self, name: &str) {
        let Some(directory) = std::env::var_os("LOGINWARD_TEST_PICTURES") else { return };
        let file = Path::new(&directory).join(format!("{name}.png"));
        let picture = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let picture = picture["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

const FLAGS: [&str; 9] = [
    "--headless=new",
    // it runs as root in CI
    "--no-sandbox",
    "--disable-gpu",
    // a container's shared memory is small
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
];

/// Connects to the page of the browser that is driven at `port`.
fn connect(port: u16) -> WebSocket<TcpStream> {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut url = None;
    wait::until("the browser has a page", || {
        let ask = super::Ask::get("/json/list").to(&address.to_string());
        let pages = Client::to_addr(address).ask(&ask);
        let pages: Value = serde_json::from_str(&pages.text()).unwrap();
        let page = pages.as_array().unwrap().iter().find(|page| page["type"] == "page");
        url = page.and_then(|page| page["webSocketDebuggerUrl"].as_str().map(str::to_owned));
        url.is_some()
    });
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    tungstenite::client(url.unwrap(), stream).unwrap().0
}

impl Drop for Browser {
    fn drop(&mut self) {
        // its other processes end with it
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
