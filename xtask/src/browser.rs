//! Browsers that are driven as a visitor would: Chromium through its WebDriver over HTTP, Firefox
//! through Marionette, which speaks the same commands over a socket and needs no further program.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shell::Result;
use crate::sound_server::SoundServer;

/// Debian's packages and the programs that they bring.
pub const CHROMIUM: (&str, &str) = ("chromium", "/usr/bin/chromium");
pub const CHROMIUM_DRIVER: (&str, &str) = ("chromium-driver", "/usr/bin/chromedriver");
pub const FIREFOX: (&str, &str) = ("firefox-esr", "/usr/bin/firefox-esr");

/// Longest time for a browser to start, or to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that ends with the value.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program that nobody reads from.
pub fn start(command: &mut Command) -> Result<Running> {
    let name = command.get_program().to_string_lossy().into_owned();
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = quiet.spawn();
    child
        .map(Running)
        .map_err(|e| format!("cannot start {name}: {e}"))
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(bound.map_err(|e| format!("no free port: {e}"))?.port())
}

fn connect(port: u16) -> Result<TcpStream> {
    let begun = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                let timeout = stream.set_read_timeout(Some(PATIENCE));
                return timeout
                    .map(|()| stream)
                    .map_err(|e| format!("port {port}: {e}"));
            }
            Err(e) if begun.elapsed() > PATIENCE => return Err(format!("port {port}: {e}")),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

enum Driver {
    /// Port of the WebDriver, and the path of the session.
    WebDriver { port: u16, session: String },
    Marionette {
        stream: BufReader<TcpStream>,
        sent: u64,
    },
}

/// A browser with one window.
pub struct Browser {
    /// What it is, for messages.
    pub name: &'static str,
    driver: Driver,
    _process: Running,
}

impl Browser {
    /// Headless Chromium whose microphone plays the WAV file `microphone` once.
    pub fn chromium(profile: &Path, microphone: &Path) -> Result<Self> {
        fresh(profile)?;
        let port = free_port()?;
        let process = start(Command::new(CHROMIUM_DRIVER.1).arg(format!("--port={port}")))?;
        connect(port)?;
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--no-first-run".to_owned(),
            format!("--user-data-dir={}", profile.display()),
            "--use-fake-ui-for-media-stream".to_owned(),
            "--use-fake-device-for-media-stream".to_owned(),
            format!(
                "--use-file-for-fake-audio-capture={}%noloop",
                microphone.display()
            ),
        ];
        let options = json!({"binary": CHROMIUM.1, "args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let answer = http(port, "POST", "/session", &wanted)?;
        let session = answer["sessionId"].as_str();
        let session = session.ok_or_else(|| format!("chromium: no session: {answer}"))?;
        Ok(Self {
            name: "Chromium",
            driver: Driver::WebDriver {
                port,
                session: format!("/session/{session}"),
            },
            _process: process,
        })
    }

    /// Headless Firefox, whose microphone is that of `sound`.
    pub fn firefox(profile: &Path, sound: &SoundServer) -> Result<Self> {
        fresh(profile)?;
        let port = free_port()?;
        let preferences = format!(
            "user_pref(\"marionette.port\", {port});\n\
             user_pref(\"media.navigator.permission.disabled\", true);\n\
             user_pref(\"datareporting.policy.dataSubmissionEnabled\", false);\n\
             user_pref(\"app.update.disabledForTesting\", true);\n"
        );
        let file = profile.join("user.js");
        fs::write(&file, preferences).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut command = Command::new(FIREFOX.1);
        command.args(["--headless", "--marionette", "--no-remote", "--profile"]);
        let process = start(sound.apply(command.arg(profile)))?;
        let mut stream = BufReader::new(connect(port)?);
        packet(&mut stream)?;
        let mut new = Self {
            name: "Firefox",
            driver: Driver::Marionette { stream, sent: 0 },
            _process: process,
        };
        new.marionette("WebDriver:NewSession", &json!({}))?;
        Ok(new)
    }

    /// Opens a page and waits until it has loaded.
    pub fn open(&mut self, address: &str) -> Result<()> {
        let parameters = json!({"url": address});
        self.command("url", "WebDriver:Navigate", &parameters)
            .map(drop)
    }

    /// What `body`, a function's, returns.
    pub fn script(&mut self, body: &str) -> Result<Value> {
        let parameters = json!({"script": body, "args": []});
        self.command("execute/sync", "WebDriver:ExecuteScript", &parameters)
    }

    /// Waits until `body` returns something that is true, at most `seconds`.
    pub fn wait(&mut self, body: &str, seconds: u64) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let found = self.script(body)?;
            if !matches!(found, Value::Null | Value::Bool(false)) {
                return Ok(found);
            }
            if begun.elapsed() > Duration::from_secs(seconds) {
                let page = self.script("return document.body.innerText")?;
                return Err(format!(
                    "{}: `{body}` was not true within {seconds} s; the page shows {page}",
                    self.name
                ));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Clicks the element that a CSS selector names.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let id = self.element(selector)?;
        let parameters = json!({"id": id});
        let path = format!("element/{id}/click");
        self.command(&path, "WebDriver:ElementClick", &parameters)
            .map(drop)
    }

    /// Types into an element, or gives a file to one that asks for files.
    pub fn fill(&mut self, selector: &str, text: &str) -> Result<()> {
        let id = self.element(selector)?;
        let parameters = json!({"id": id, "text": text});
        let path = format!("element/{id}/value");
        self.command(&path, "WebDriver:ElementSendKeys", &parameters)
            .map(drop)
    }

    fn element(&mut self, selector: &str) -> Result<String> {
        let parameters = json!({"using": "css selector", "value": selector});
        let found = self.command("element", "WebDriver:FindElement", &parameters)?;
        let id = found.as_object().and_then(|o| o.values().next()?.as_str());
        id.map(str::to_owned)
            .ok_or_else(|| format!("{}: no element {selector}: {found}", self.name))
    }

    /// Takes the width of a device, in CSS pixels; Firefox gets no narrower than some 450.
    pub fn width(&mut self, width: u32) -> Result<()> {
        if let Driver::WebDriver { port, session } = &self.driver {
            let metrics = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params":
                {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}});
            return http(
                *port,
                "POST",
                &format!("{session}/goog/cdp/execute"),
                &metrics,
            )
            .map(drop);
        }
        let size = json!({"width": width, "height": 900});
        self.marionette("WebDriver:SetWindowRect", &size).map(drop)
    }

    /// Writes what the page looks like, as PNG.
    pub fn picture(&mut self, file: &Path) -> Result<()> {
        let taken = match &self.driver {
            Driver::WebDriver { port, session } => {
                http(*port, "GET", &format!("{session}/screenshot"), &Value::Null)?
            }
            Driver::Marionette { .. } => {
                self.marionette("WebDriver:TakeScreenshot", &json!({"full": true}))?
            }
        };
        let png = taken.as_str().map(base64).unwrap_or_default();
        fs::write(file, png).map_err(|e| format!("{}: {e}", file.display()))
    }

    /// A command by its two names: the path over HTTP, and Marionette's.
    fn command(&mut self, path: &str, name: &str, parameters: &Value) -> Result<Value> {
        match &self.driver {
            Driver::WebDriver { port, session } => {
                http(*port, "POST", &format!("{session}/{path}"), parameters)
            }
            Driver::Marionette { .. } => self.marionette(name, parameters),
        }
    }

    fn marionette(&mut self, name: &str, parameters: &Value) -> Result<Value> {
        let Driver::Marionette { stream, sent } = &mut self.driver else {
            return Err(format!("{} does not speak Marionette", self.name));
        };
        *sent += 1;
        let message = json!([0, *sent, name, parameters]).to_string();
        let message = format!("{}:{message}", message.len());
        let written = stream.get_mut().write_all(message.as_bytes());
        written.map_err(|e| format!("firefox: {e}"))?;
        let mut answer = packet(stream)?;
        if !answer[2].is_null() {
            return Err(format!("firefox: {name}: {}", answer[2]));
        }
        let result = answer[3].take();
        Ok(result.get("value").cloned().unwrap_or(result))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both take their windows with them; the process is ended anyway.
        if let Driver::WebDriver { port, session } = &self.driver {
            let _ = http(*port, "DELETE", session, &Value::Null);
        }
    }
}

fn fresh(profile: &Path) -> Result<()> {
    // It is not there the first time.
    let _ = fs::remove_dir_all(profile);
    fs::create_dir_all(profile).map_err(|e| format!("{}: {e}", profile.display()))
}

/// A message of Marionette: its length, a colon, JSON.
fn packet(stream: &mut impl BufRead) -> Result<Value> {
    let mut length = Vec::new();
    let read = stream.read_until(b':', &mut length);
    read.map_err(|e| format!("firefox: {e}"))?;
    let length = std::str::from_utf8(&length).unwrap_or_default();
    let length: usize = length
        .trim_end_matches(':')
        .parse()
        .map_err(|_| format!("firefox: {length:?} is no length"))?;
    let mut bytes = vec![0; length];
    let read = stream.read_exact(&mut bytes);
    read.map_err(|e| format!("firefox: {e}"))?;
    serde_json::from_slice(&bytes).map_err(|e| format!("firefox: {e}"))
}

/// A request to the WebDriver at `port`; its `value`.
fn http(port: u16, method: &str, path: &str, body: &Value) -> Result<Value> {
    let wrong = |what: String| format!("chromium: {method} {path}: {what}");
    let mut stream = BufReader::new(connect(port)?);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let written = stream.get_mut().write_all(request.as_bytes());
    written.map_err(|e| wrong(e.to_string()))?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line);
        read.map_err(|e| wrong(e.to_string()))?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| wrong(line.clone()))?;
        }
    }
    let mut bytes = vec![0; length];
    let read = stream.read_exact(&mut bytes);
    read.map_err(|e| wrong(e.to_string()))?;
    let mut answer: Value = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
    match answer["value"].get("error") {
        Some(error) => Err(wrong(format!("{error}: {}", answer["value"]["message"]))),
        None => Ok(answer["value"].take()),
    }
}

/// What a text in base 64 stands for; signs that are none are passed over.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for digit in text.bytes() {
        if let Some(value) = DIGITS.iter().position(|d| *d == digit) {
            bits = bits << 6 | value as u32;
            held += 6;
            if held >= 8 {
                held -= 8;
                out.push((bits >> held) as u8);
            }
        }
    }
    out
}
