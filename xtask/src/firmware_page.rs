//! The web page in browsers: a recording through the file input, and the microphone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::browser::{Browser, free_port};
use crate::embedded::{Toolchain, artifacts};
use crate::firmware::Line;
use crate::shell::{Result, root};
use crate::sound_server::SoundServer;

/// Utterances through the microphone may lie so much elsewhere, in seconds: a browser's microphone
/// starts when it likes, and gives its own samples.
const TOLERANCE_S: f64 = 0.15;
/// Labels that are at least so probable must be the same through the microphone.
const CLEAR: f32 = 0.9;

/// A web server for a folder, which ends with the value.
struct Server {
    child: std::process::Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Result<Self> {
        let port = free_port()?.to_string();
        let child = Command::new("python3")
            .args(["-m", "http.server", "--bind", "127.0.0.1", &port])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("python3 -m http.server: {e}"))?;
        let address = format!("http://127.0.0.1:{port}/index.html");
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has no other way to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The page in both browsers, with `sound`, a WAV file in which this computer found `expected`.
pub fn wasm(toolchain: &Toolchain, sound: &Path, expected: &[Line]) -> Result<()> {
    let page = assemble(toolchain)?;
    let server = Server::start(&page)?;
    let profiles = artifacts().join("browsers");
    let mut chromium = Browser::chromium(&profiles.join("chromium"), sound)?;
    let card = SoundServer::start(&profiles.join("sound"))?;
    let mut firefox = Browser::firefox(&profiles.join("firefox"), &card)?;
    let seconds = 2.0 + expected.last().map_or(0.0, |line| line.end);
    for browser in [&mut chromium, &mut firefox] {
        open(browser, &server)?;
        recording(browser, sound, expected)?;
        fits(browser)?;
        open(browser, &server)?;
    }
    same_places(&listen(&mut chromium, seconds, || Ok(()))?, expected)?;
    // Firefox has no microphone that plays a file: a sound card is made for it.
    let heard = listen(&mut firefox, seconds, || card.play(sound))?;
    same_places(&heard, expected)?;
    println!(
        "wasm: a recording gives the same bits in Chromium and Firefox, their microphones the same \
         utterances and labels; what they show is in {}",
        page.display()
    );
    Ok(())
}

/// The page and what it needs, in one folder.
fn assemble(toolchain: &Toolchain) -> Result<PathBuf> {
    let page = artifacts().join("page");
    fs::create_dir_all(&page).map_err(|e| format!("{}: {e}", page.display()))?;
    let source = root().join("firmware-examples/wasm/page");
    let files = fs::read_dir(&source).map_err(|e| format!("{}: {e}", source.display()))?;
    let mut files: Vec<PathBuf> = files.filter_map(|f| Some(f.ok()?.path())).collect();
    files.push(toolchain.build_wasm("wasm")?);
    for from in files {
        let name = from.file_name().unwrap_or_default();
        fs::copy(&from, page.join(name)).map_err(|e| format!("{}: {e}", from.display()))?;
    }
    Ok(page)
}

fn open(browser: &mut Browser, server: &Server) -> Result<()> {
    // The server may need a moment; a browser that finds none says so at once.
    let mut opened = Ok(());
    for _ in 0..20 {
        opened = browser.open(&server.address);
        if opened.is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    opened?;
    browser
        .wait("return document.body.dataset.ready", 60)
        .map(drop)
}

/// Gives the page a recording and compares what it shows, bit for bit.
fn recording(browser: &mut Browser, sound: &Path, expected: &[Line]) -> Result<()> {
    browser.fill("#file", &sound.display().to_string())?;
    let done = "const text = document.getElementById('status').textContent; \
        return / s\\.$|cannot|failed/.test(text) && text";
    let said = browser.wait(done, 60)?;
    let shown = shown(browser)?;
    if shown != expected {
        return Err(format!(
            "wasm: {} says {said} and shows\n{shown:#?}\nnot\n{expected:#?}",
            browser.name
        ));
    }
    Ok(())
}

/// Nothing leaves the window's width, on a desk and on a telephone.
fn fits(browser: &mut Browser) -> Result<()> {
    for (width, what) in [(400, "telephone"), (1100, "desk")] {
        browser.width(width)?;
        let over = "const { scrollWidth, clientWidth } = document.documentElement; \
            return scrollWidth > clientWidth ? [scrollWidth, clientWidth] : null";
        let over = browser.script(over)?;
        if !over.is_null() {
            return Err(format!(
                "wasm: {}, {what}: the page is {over} wide",
                browser.name
            ));
        }
        picture(browser, what)?;
    }
    Ok(())
}

fn picture(browser: &mut Browser, what: &str) -> Result<()> {
    let file = format!("{}-{what}.png", browser.name.to_lowercase());
    browser.picture(&artifacts().join("page").join(file))
}

/// Switches the microphone on until so many seconds were heard; `play` is called when it is on.
fn listen(
    browser: &mut Browser,
    seconds: f64,
    play: impl FnOnce() -> Result<()>,
) -> Result<Vec<Line>> {
    browser.click("#microphone")?;
    let on = "return document.getElementById('status').dataset.heard > 0";
    browser.wait(on, 60)?;
    play()?;
    let heard =
        format!("return Number(document.getElementById('status').dataset.heard) > {seconds}");
    browser.wait(&heard, 60 + seconds as u64)?;
    picture(browser, "microphone")?;
    browser.click("#microphone")?;
    let stopped = "return document.getElementById('status').textContent.startsWith('Stopped')";
    browser.wait(stopped, 20)?;
    let mut shown = shown(browser)?;
    // The newest is on top.
    shown.reverse();
    Ok(shown)
}

/// The utterances that the page shows.
fn shown(browser: &mut Browser) -> Result<Vec<Line>> {
    let events = "return [...document.querySelectorAll('#utterances li')]\
        .map((card) => JSON.parse(card.dataset.event))";
    let events = browser.script(events)?;
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let lines = events.as_array().into_iter().flatten().map(|event| Line {
        start: number(&event["start"]),
        end: number(&event["end"]),
        has_label: event["label"].is_string(),
        name: event["label"]
            .as_str()
            .or(event["reason"].as_str())
            .unwrap_or("failed")
            .to_owned(),
        probabilities: event["probabilities"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|p| number(p) as f32)
            .collect(),
    });
    Ok(lines.collect())
}

/// The microphone starts at some time or other: the first utterance tells when.
fn same_places(heard: &[Line], expected: &[Line]) -> Result<()> {
    let wrong = || {
        Err(format!(
            "wasm: the microphone gave\n{heard:#?}\nfor\n{expected:#?}"
        ))
    };
    let labelled = |lines: &[Line]| -> Vec<Line> {
        let lines = lines.iter().filter(|l| !l.probabilities.is_empty());
        lines.cloned().collect()
    };
    let (heard, expected) = (labelled(heard), labelled(expected));
    let (Some(first), Some(wanted)) = (heard.first(), expected.first()) else {
        return wrong();
    };
    let shift = wanted.start - first.start;
    let near = |a: f64, b: f64| (a + shift - b).abs() < TOLERANCE_S;
    let alike = heard.iter().zip(&expected).all(|(heard, wanted)| {
        let clear = wanted.probabilities.iter().any(|p| *p >= CLEAR);
        near(heard.start, wanted.start)
            && near(heard.end, wanted.end)
            && (!clear || heard.name == wanted.name)
    });
    if heard.len() == expected.len() && alike {
        Ok(())
    } else {
        wrong()
    }
}
