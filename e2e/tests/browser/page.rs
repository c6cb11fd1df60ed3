//! A page as its user has it: what it says, fields by their labels, buttons by their names, a finger that touches them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::chromium::{Chromium, LIMIT};

const PAUSE: Duration = Duration::from_millis(50);
/// In CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    Phone,
    Desktop,
}

impl Screen {
    fn metrics(self) -> Value {
        match self {
            Self::Phone => json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true }),
            Self::Desktop => {
                json!({ "width": 1_440, "height": 900, "deviceScaleFactor": 1, "mobile": false })
            }
        }
    }
}

pub(crate) struct Page {
    chromium: Chromium,
    session: String,
}

/// Elements that can be seen.
const SEEN: &str = "const seen = (it) => it && it.getClientRects().length > 0 && getComputedStyle(it).visibility !== 'hidden';
const all = (what) => [...document.querySelectorAll(what)].filter(seen);
const says = (it) => (it.innerText || it.value || '').trim();";

impl Page {
    /// An empty page on a phone.
    pub(crate) async fn on_a_phone() -> Self {
        let mut chromium = Chromium::start();
        let made = chromium.tell(None, "Target.createTarget", json!({ "url": "about:blank" })).await.unwrap();
        let wanted = json!({ "targetId": made["targetId"], "flatten": true });
        let attached = chromium.tell(None, "Target.attachToTarget", wanted).await.unwrap();
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let mut page = Self { chromium, session };
        page.show_on(Screen::Phone).await;
        for domain in ["Log.enable", "Runtime.enable", "Page.enable", "Network.enable"] {
            page.tell(domain, json!({})).await;
        }
        let korean = json!({ "headers": { "Accept-Language": "ko" } });
        page.tell("Network.setExtraHTTPHeaders", korean).await;
        page
    }

    pub(crate) async fn show_on(&mut self, screen: Screen) {
        self.tell("Emulation.setDeviceMetricsOverride", screen.metrics()).await;
    }

    pub(crate) async fn be_dark(&mut self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.tell("Emulation.setEmulatedMedia", features).await;
    }

    pub(crate) async fn allow_script(&mut self, is_allowed: bool) {
        self.tell("Emulation.setScriptExecutionDisabled", json!({ "value": !is_allowed })).await;
    }

    /// As a keyboard does it.
    pub(crate) async fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        // A dialog closes by the code of the key, not by its name.
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            _ => 0,
        };
        let down = json!({ "type": "keyDown", "key": key, "text": if key == "Enter" { "\r" } else { text },
                           "windowsVirtualKeyCode": code });
        self.tell("Input.dispatchKeyEvent", down).await;
        self.tell("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key })).await;
    }

    /// Path and query of where the page is.
    pub(crate) async fn location(&mut self) -> String {
        let found = self.until("to be somewhere", "location.pathname + location.search").await;
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page is at this path.
    pub(crate) async fn arrives(&mut self, path: &str) {
        let look =
            format!("(document.readyState === 'complete' && location.pathname === {}) || null", json!(path));
        self.until(&format!("to arrive at {path}"), &look).await;
    }

    /// As an image, PNG.
    pub(crate) async fn picture(&mut self) -> Vec<u8> {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let shot = self.tell("Page.captureScreenshot", json!({ "format": "png" })).await;
        BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// Errors of the console, of scripts and of the content security policy since this was last asked. The page's own
    /// status is none: a wrong password is answered 401.
    pub(crate) async fn errors(&mut self) -> Vec<String> {
        let here = self.until("to be somewhere", "location.href").await;
        let events = self.chromium.take_events();
        let errors = events.iter().filter_map(|event| {
            let (entry, params) = (&event["params"]["entry"], &event["params"]);
            let is_own_status = entry["source"] == "network" && entry["url"] == here;
            match event["method"].as_str()? {
                "Log.entryAdded" if entry["level"] == "error" && !is_own_status => Some(entry.to_string()),
                "Runtime.exceptionThrown" => Some(params.to_string()),
                "Runtime.consoleAPICalled" if params["type"] == "error" => Some(params.to_string()),
                _ => None,
            }
        });
        errors.collect()
    }

    pub(crate) async fn open(&mut self, url: &str) {
        let went = self.tell("Page.navigate", json!({ "url": url })).await;
        assert!(went["errorText"].is_null(), "{url}: {went}");
    }

    pub(crate) async fn reload(&mut self) {
        self.tell("Page.reload", json!({})).await;
    }

    /// Waits until the page says so.
    pub(crate) async fn sees(&mut self, text: &str) {
        let look = format!("document.body.innerText.includes({}) || null", json!(text));
        self.until(&format!("to see {text:?}"), &look).await;
    }

    /// Touches the button, link or choice of this name.
    pub(crate) async fn touch(&mut self, name: &str) {
        let look = format!(
            "{SEEN}
             const it = all('button, a, label').find((it) => says(it).includes({}) && !it.disabled);
             if (!it) return null;
             it.scrollIntoView({{ block: 'center' }});
             const box = it.getBoundingClientRect();
             return [box.x + box.width / 2, box.y + box.height / 2];",
            json!(name)
        );
        let what = format!("to touch {name:?}");
        let mut place = self.until(&what, &inside(&look)).await;
        // A page that is still being laid out moves its buttons.
        loop {
            tokio::time::sleep(PAUSE).await;
            let again = self.until(&what, &inside(&look)).await;
            if std::mem::replace(&mut place, again.clone()) == again {
                break;
            }
        }
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.tell("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Writes into the field with this label, over what is there.
    pub(crate) async fn write(&mut self, label: &str, text: &str) {
        let field = format!("all('label').find((it) => says(it).startsWith({}))?.control", json!(label));
        let focus = inside(&format!(
            "{SEEN}
             const field = {field};
             if (!field) return null;
             field.focus();
             field.select();
             return true;"
        ));
        let is_written = inside(&format!("{SEEN} return {field}?.value === {};", json!(text)));
        let started = Instant::now();
        loop {
            self.until(&format!("a field {label:?}"), &focus).await;
            self.tell("Input.insertText", json!({ "text": text })).await;
            // A page that has just come may move the focus to its `autofocus` field before the text arrives.
            if self.evaluate(&is_written).await == Some(json!(true)) {
                return;
            }
            assert!(started.elapsed() < LIMIT, "{label:?} does not take {text:?}");
        }
    }

    /// That nobody has to push the page sideways, and that every field and choice has a name for those who cannot see it.
    pub(crate) async fn fits_everybody(&mut self) {
        let wide = "document.documentElement.scrollWidth > innerWidth";
        let nameless = "[...document.querySelectorAll('input, select, textarea')]
            .filter((it) => it.type !== 'hidden' && !it.labels?.length && !it.ariaLabel).map((it) => it.name)";
        let found = self.evaluate(&format!("[{wide}, {nameless}, document.documentElement.lang]")).await;
        let at = self.location().await;
        assert_eq!(found, Some(json!([false, [], "ko"])), "{at}");
    }

    /// Waits until this expression has a value.
    pub(crate) async fn run(&mut self, expression: &str) -> Value {
        self.until("a value", expression).await
    }

    async fn until(&mut self, what: &str, look: &str) -> Value {
        let started = Instant::now();
        loop {
            // Between two pages there is nothing to look at.
            if let Some(found) = self.evaluate(look).await {
                return found;
            }
            if started.elapsed() > LIMIT {
                let text = self.evaluate("location.pathname + ': ' + document.body.innerText").await;
                panic!("waited {LIMIT:?} {what}; the page is {}", text.unwrap_or_default());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// None where it is null, or fails as it does between two pages.
    async fn evaluate(&mut self, expression: &str) -> Option<Value> {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.chromium.tell(Some(&self.session), "Runtime.evaluate", params).await.ok()?;
        Some(answer["result"]["value"].take()).filter(|value| !value.is_null())
    }

    async fn tell(&mut self, method: &str, params: Value) -> Value {
        let told = self.chromium.tell(Some(&self.session), method, params).await;
        told.unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}

fn inside(body: &str) -> String {
    format!("(() => {{ {body} }})()")
}
