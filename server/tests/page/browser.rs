//! A headless Chromium, driven by its DevTools protocol (<https://chromedevtools.github.io/devtools-protocol/>) over two
//! pipes: messages in JSON, each with a zero byte at its end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// No answer of the browser takes longer; it starts on a busy machine, too.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    /// What its console said.
    pub complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// None: there is no Chromium on this machine.
    pub fn start() -> Option<Browser> {
        let find = "command -v chromium || command -v chromium-browser || command -v google-chrome";
        let found = Command::new("sh").args(["-c", find]).output().unwrap();
        let program = String::from_utf8(found.stdout).unwrap().trim().to_owned();
        if program.is_empty() {
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        // It reads what it is told from descriptor 3, and answers on descriptor 4. It has no sandbox, for it is root's in
        // most CI systems, and sees nothing but our own page.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>&1", &program])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|length| length > 1) {
                message.pop();
                let Ok(()) = sender.send(serde_json::from_slice(&message).unwrap()) else { return };
                message.clear();
            }
        });
        let complaints = Vec::new();
        let mut browser = Browser { child, to, from, calls: 0, session: None, complaints, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(&[message.to_string().as_bytes(), b"\0"].concat()).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut answer = self.from.recv_timeout(left).unwrap_or_else(|_| panic!("no answer to {method}"));
            if answer["id"] == self.calls {
                return if answer.get("error").is_some() { Err(answer) } else { Ok(answer["result"].take()) };
            }
            self.hear(&answer);
        }
    }

    fn hear(&mut self, event: &Value) {
        let said = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => event["params"]["exceptionDetails"].to_string(),
            Some("Runtime.consoleAPICalled") => event["params"]["args"].to_string(),
            Some("Log.entryAdded") => event["params"]["entry"].to_string(),
            _ => return,
        };
        self.complaints.push(said);
    }

    /// The value of an expression of JavaScript in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        self.try_value(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn try_value(&mut self, expression: &str) -> Result<Value, Value> {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.try_call("Runtime.evaluate", asked)?;
        if answer.get("exceptionDetails").is_some() {
            Err(answer)
        } else {
            Ok(answer["result"]["value"].take())
        }
    }

    /// Waits until an expression is true. While the page is left for another one there is nothing to ask, and that is no
    /// error.
    pub fn until(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        let asked = format!("Boolean({expression})");
        while self.try_value(&asked) != Ok(json!(true)) {
            assert!(Instant::now() < until, "never: {expression}\n{}", self.value("document.body.innerText"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Does something that leaves the page for another one, maybe before it is told to be done.
    pub fn leave(&mut self, expression: &str) {
        let _ = self.try_value(expression);
    }

    pub fn size(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// `light` or `dark`.
    pub fn scheme(&mut self, scheme: &str) {
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", scheme);
    }

    /// Presses a key, by its name in the standard for keyboard events.
    pub fn press(&mut self, key: &str) {
        let text = if key == "Enter" { "\r" } else { "" };
        let code = if key == "Enter" { 13 } else { 0 };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event =
                json!({"type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// A picture of what is seen, as PNG in base 64.
    pub fn picture(&mut self) -> String {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"}));
        shot["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
