//! A headless Chromium, driven over W3C WebDriver.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{Clients, eventually, http::post};

/// One browser session with a profile of its own; both the browser and its driver end when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts chromedriver and a session with a window of 1280 × 900.
    #[track_caller]
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("temporary profile");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start chromedriver, which scripts/clients installs");
        let lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let rest = line.split("started successfully on port ").nth(1)?;
                rest.trim_end_matches('.').parse::<u16>().ok()
            })
            .expect("chromedriver names its port");
        let args = [
            "--headless=new".into(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--window-size=1280,900".into(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let base = format!("http://127.0.0.1:{port}/session");
        let options =
            json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}});
        let answer = post(&base, &options).expect("a browser session");
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        Self { driver, session: format!("{base}/{id}"), _profile: profile }
    }

    /// Goes to `url` and waits for the page to load.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.ask("url", &json!({ "url": url })).expect("navigate");
    }

    /// What a script returns in the page.
    pub fn script(&self, script: &str) -> Result<Value, String> {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text that the page shows.
    pub fn text(&self) -> String {
        let text = self.script("return document.body.innerText").expect("the page's text");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        eventually(&format!("the page to show {text:?}"), Duration::from_secs(20), || {
            let shown = self.text();
            if shown.contains(text) { Ok(()) } else { Err(shown) }
        });
    }

    /// Clicks the first element that a CSS selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let script = format!("document.querySelector({}).click()", json!(selector));
        self.script(&script).unwrap_or_else(|error| panic!("click {selector}: {error}"));
    }

    /// Puts `text` in the place of what a field has, by the keyboard.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        let focus = format!(
            "const field = document.querySelector({}); field.focus(); field.select();",
            json!(selector)
        );
        self.script(&focus).unwrap_or_else(|error| panic!("select {selector}: {error}"));
        let press = |key: char| {
            let key = key.to_string();
            ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key}))
        };
        let presses: Vec<Value> = text.chars().flat_map(press).collect();
        let keys = json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses}]});
        self.ask("actions", &keys).expect("type");
    }

    /// Makes the window so wide and high, narrower than a window of the desktop may be.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": size});
        self.ask("goog/cdp/execute", &command).expect("resize the window");
    }

    /// What axe finds on the page against WCAG 2, levels A and AA: the rule, and for each element where and why.
    #[track_caller]
    pub fn violations(&self, clients: &Clients) -> Vec<String> {
        let axe =
            std::fs::read_to_string(clients.axe()).expect("axe, which scripts/clients installs");
        self.script(&axe).expect("load axe");
        let found = self.script(
            "const levels = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
             return axe.run(document, {runOnly: levels}).then(result => [
                 result.passes.length,
                 result.violations.flatMap(rule => rule.nodes.map(node =>
                     `${rule.id} at ${node.target}: ${node.failureSummary}`))]);",
        );
        let found = found.expect("axe's result");
        assert!(found[0].as_u64() > Some(5), "axe judged next to nothing: {found}");
        found[1].as_array().expect("a list").iter().map(ToString::to_string).collect()
    }

    /// Lets live parts of the page stay as they are until another page is opened: one that is replaced while it is
    /// looked at has other elements afterwards.
    #[track_caller]
    pub fn hold_still(&self) {
        self.script(
            "for (const part of document.querySelectorAll('[data-live], [data-fetch]'))
                 Object.defineProperty(part, 'innerHTML', {set() {}, configurable: true});",
        )
        .expect("hold the live parts");
    }

    /// What can be used on the page but is not reached by pressing the tab key again and again. The page is held still.
    #[track_caller]
    pub fn beyond_keyboard(&self) -> Vec<String> {
        self.hold_still();
        const USABLE: &str = "const usable = [...document.querySelectorAll(
                'a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')]
            .filter(one => one.checkVisibility() && !one.disabled && one.type !== 'hidden'
                && (one.type !== 'radio' || one.checked));";
        let count = self.script(&format!(
            "{USABLE} window.reached = new Set();
             document.addEventListener('focusin', event => window.reached.add(event.target));
             document.activeElement?.blur();
             return usable.length;"
        ));
        let count = count.expect("what can be used").as_u64().expect("a number");
        // U+E004 is the tab key.
        let presses = (0..count + 5).flat_map(|_| ["keyDown", "keyUp"]);
        let presses: Vec<_> =
            presses.map(|kind| json!({"type": kind, "value": "\u{e004}"})).collect();
        let keys = json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses}]});
        self.ask("actions", &keys).expect("press the tab key");
        let missed = self.script(&format!(
            "{USABLE} return usable.filter(one => !window.reached.has(one)).map(one => one.outerHTML.slice(0, 120));"
        ));
        let missed = missed.expect("what was reached");
        missed.as_array().expect("a list").iter().map(ToString::to_string).collect()
    }

    /// Saves what the window shows as a PNG.
    #[track_caller]
    pub fn screenshot(&self, path: &Path) {
        let answer = crate::get(&format!("{}/screenshot", self.session)).expect("a screenshot");
        let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
        let png = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            answer["value"].as_str().expect("an encoded picture"),
        );
        std::fs::write(path, png.expect("base64")).expect("save the screenshot");
    }

    fn ask(&self, command: &str, body: &Value) -> Result<Value, String> {
        let mut answer = post(&format!("{}/{command}", self.session), body)?;
        if answer["value"]["error"].is_string() {
            return Err(answer["value"].to_string());
        }
        Ok(answer["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser; the driver then has nothing to leave behind.
        let _ = crate::http::delete(&self.session);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
