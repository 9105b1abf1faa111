//! The page in a browser, where there is one.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use diskless::error::{Code, Error};
use diskless::report::event::Event;
use diskless::report::record::Record;
use disklessd::store::{Call, Change, Form};
use disklessd::time::Time;
use serde_json::json;

use crate::browser::Browser;
use crate::site::{Served, TOKEN};
use crate::skipped;

/// What a node says that would be a script if the page took it for markup.
const MARKUP: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";

/// Fills in the token and waits for the nodes.
fn enter(browser: &mut Browser, served: &Served, nodes: usize) {
    browser.call("Page.navigate", json!({"url": format!("http://{}/", served.address)}));
    give(browser, TOKEN);
    browser.until(&format!("document.querySelectorAll('.cell').length === {nodes}"));
    browser.until("document.getElementById('link').textContent === 'live'");
}

fn give(browser: &mut Browser, token: &str) {
    browser.until("!document.getElementById('ask').hidden && location.protocol === 'http:'");
    browser.leave(&format!(
        "document.getElementById('token').value = '{token}', document.querySelector('#ask button').click()"
    ));
}

fn text(browser: &mut Browser, selector: &str) -> String {
    browser.value(&format!("document.querySelector(\"{selector}\").innerText")).as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_a_thousand_nodes_as_they_are() {
    let Some(mut browser) = Browser::start() else {
        return skipped("the page in a browser", "there is no Chromium");
    };
    let served = Served::new("ocean[1-1000]", "").await;
    served.tell().await;
    browser.size(1200, 900);
    browser.scheme("light");

    browser.call("Page.navigate", json!({"url": format!("http://{}/", served.address)}));
    give(&mut browser, "a-wrong-one");
    browser.until("document.getElementById('refusal').textContent.includes('does not know')");
    // The browser tells of the 404 itself.
    browser.complaints.clear();

    enter(&mut browser, &served, 1000);
    assert_eq!(
        text(&mut browser, "#counts [data-state=never]").split_whitespace().collect::<Vec<_>>(),
        ["20", "never"]
    );
    assert!(text(&mut browser, "#groups .group:first-child").contains("ocean[401-424]"));
    shows_a_boot(&mut browser);
    takes_no_markup(&mut browser, &served).await;
    filters(&mut browser);
    follows(&mut browser, &served).await;
    goes_by_keyboard(&mut browser);
    fits_a_phone(&mut browser);

    let asked =
        browser.value("JSON.stringify(performance.getEntries().map((entry) => entry.name)) + location.href");
    assert!(!asked.as_str().unwrap().contains(TOKEN), "the token is in a URL");
    assert_eq!(browser.value("localStorage.length + document.cookie.length"), json!(0));
    assert_eq!(browser.complaints, Vec::<String>::new());
}

fn shows_a_boot(browser: &mut Browser) {
    browser.value("document.querySelector(\"[data-name='ocean405']\").click()");
    browser.until("document.querySelectorAll('.bars li').length >= 6");
    let detail = text(browser, "#detail");
    for part in ["ocean405", "failed", "iscsi-connect", "portal 10.0.3.1:3260", "network", "what to do"] {
        assert!(detail.contains(part), "{part} in\n{detail}");
    }
    // In the order of time, each bar inside its track.
    let places = browser.value(
        "[...document.querySelectorAll('.bars .bar')].map((bar) => [parseFloat(bar.style.left), parseFloat(bar.style.width)])",
    );
    let places: Vec<(f64, f64)> = serde_json::from_value(places).unwrap();
    assert!(places.is_sorted_by(|one, next| one.0 <= next.0), "{places:?}");
    assert!(places.iter().all(|(left, width)| *left >= 0.0 && left + width <= 100.01), "{places:?}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let encoded = browser.picture();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/img/page.png");
        std::fs::write(path, Base64::decode_vec(&encoded).unwrap()).unwrap();
    }
}

/// What a node says is text, also if it looks like something else.
async fn takes_no_markup(browser: &mut Browser, served: &Served) {
    let error = Error::new(Code::PlanInvalid, "http://10.0.0.1:32001/plan").because(MARKUP);
    let record = Record::of(&Event::Failed { step: "plan", error: &error }, Duration::from_secs(5));
    let record = Record { boot_id: "00000000-0000-4000-8000-000000000998".to_owned(), seq: 1, ..record };
    let call = Call::Event(Box::new(record));
    let heard = Change::Heard { node: "ocean998".to_owned(), at: Time::now(), from: None, call };
    served.app.store.write(vec![heard]).await.unwrap();
    browser.until("document.getElementById('groups').innerText.includes('ocean998')");
    browser.value("document.querySelector(\"[data-name='ocean998']\").click()");
    browser.until("document.querySelector('#detail h2')?.textContent === 'ocean998'");
    browser.until("document.querySelectorAll('.bars li').length > 0");
    assert!(text(browser, "#detail").contains(MARKUP));
    assert_eq!(browser.value("document.querySelectorAll('img, body script').length"), json!(0));
    browser.value("document.getElementById('close').click()");
    browser.until("document.getElementById('detail').hidden");
}

fn filters(browser: &mut Browser) {
    let filter = |browser: &mut Browser, text: &str| {
        browser.value(&format!(
            "(filter => {{ filter.value = '{text}'; filter.dispatchEvent(new Event('input')) }})(document.getElementById('filter'))"
        ));
    };
    filter(browser, "ocean[1-20,401-405]");
    assert_eq!(text(browser, "#shown"), "25 of 1000 nodes");
    browser.value("document.querySelector('#counts [data-state=failed]').click()");
    assert_eq!(text(browser, "#shown"), "5 of 1000 nodes");
    browser.value("document.querySelector('#counts [data-state=failed]').click()");
    filter(browser, "");
    assert_eq!(text(browser, "#shown"), "1000 nodes");
}

/// What a node says is seen without a reload.
async fn follows(browser: &mut Browser, served: &Served) {
    browser.until("document.querySelector(\"[data-name='ocean999']\").dataset.state === 'never'");
    let heard = |call| Change::Heard { node: "ocean999".to_owned(), at: Time::now(), from: None, call };
    served.app.store.write(vec![heard(Call::Ipxe { given: None })]).await.unwrap();
    browser.until("document.querySelector(\"[data-name='ocean999']\").dataset.state === 'ipxe'");
    served.app.store.write(vec![heard(Call::Up(Form::default()))]).await.unwrap();
    browser.until("document.querySelector(\"[data-name='ocean999']\").dataset.state === 'up'");
    browser.until("document.querySelector('#counts [data-state=never]').innerText.startsWith('18')");
}

fn goes_by_keyboard(browser: &mut Browser) {
    assert_eq!(browser.value("document.querySelectorAll(\".cell[tabindex='0']\").length"), json!(1));
    browser.value("document.querySelector(\".cell[tabindex='0']\").focus()");
    browser.press("Home");
    browser.press("ArrowRight");
    browser.press("ArrowRight");
    browser.press("ArrowLeft");
    browser.until("document.activeElement.dataset.name === 'ocean2'");
    browser.press("ArrowDown");
    browser.until("Number(document.activeElement.dataset.name.slice(5)) > 10");
    browser.press("Home");
    browser.press("Enter");
    browser.until("document.querySelector('#detail h2')?.textContent === 'ocean1'");
    browser.until("document.activeElement.id === 'detail'");
    browser.press("Escape");
    browser.until("document.activeElement.dataset.name === 'ocean1'");
}

fn fits_a_phone(browser: &mut Browser) {
    browser.size(400, 800);
    browser.scheme("dark");
    browser.value("document.querySelector(\"[data-name='ocean405']\").click()");
    browser.until("document.querySelectorAll('.bars li').length >= 6");
    let width = browser.value("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(width <= 400, "{width}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_when_it_hears_nothing_and_comes_back() {
    let Some(mut browser) = Browser::start() else {
        return skipped("the page without a server", "there is no Chromium");
    };
    let mut served = Served::new("ocean[1-5]", "").await;
    enter(&mut browser, &served, 5);
    served.stop();
    browser.until("document.getElementById('link').textContent.startsWith('disconnected')");
    let heard = Change::Heard { node: "ocean3".to_owned(), at: Time::now(), from: None, call: Call::Kernel };
    served.app.store.write(vec![heard]).await.unwrap();
    served.start().await;
    browser.until("document.getElementById('link').textContent === 'live'");
    browser.until("document.querySelector(\"[data-name='ocean3']\").dataset.state === 'kernel'");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_asks_again_when_the_token_became_another_one() {
    let Some(mut browser) = Browser::start() else {
        return skipped("the page with an old token", "there is no Chromium");
    };
    let served = Served::new("ocean[1-5]", "").await;
    enter(&mut browser, &served, 5);
    std::fs::write(served.folder.path().join("token"), "another-one").unwrap();
    // The stream of events goes on, for it began with the old one; what it tells of is asked for.
    let heard = Change::Heard { node: "ocean3".to_owned(), at: Time::now(), from: None, call: Call::Kernel };
    served.app.store.write(vec![heard]).await.unwrap();
    browser.until("document.getElementById('refusal').textContent.includes('does not know')");
    assert_eq!(browser.value("sessionStorage.getItem('disklessd-token')"), json!(null));
    give(&mut browser, "another-one");
    browser.until("document.querySelector(\"[data-name='ocean3']\")?.dataset.state === 'kernel'");
}
