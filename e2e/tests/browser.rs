//! The browser driver itself, on a page that needs no server.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Browser, eventually};

#[test]
fn the_browser_shows_a_page_and_clicks() {
    let browser = Browser::start();
    browser.open("data:text/html,<button onclick=\"this.textContent='pressed'\">press</button>");
    browser.wait_for("press");
    browser.click("button");
    browser.wait_for("pressed");
    let picture = tempfile::NamedTempFile::new().unwrap();
    browser.screenshot(picture.path());
    assert!(std::fs::read(picture.path()).unwrap().starts_with(b"\x89PNG"));
}

/// A page whose live part is replaced a hundred times a second.
const LIVE: &str = "data:text/html,<div data-live=x></div><input id=field value=old><script>
    let round = 0;
    setInterval(() => {
        document.querySelector('div').innerHTML = '<a href=%23>one</a> <button>' + ++round + '</button>';
    }, 10);
</script>";

#[test]
fn the_keyboard_reaches_all_of_a_page_that_is_live() {
    let browser = Browser::start();
    browser.open(LIVE);
    eventually("the live part", Duration::from_secs(10), || {
        let there = browser.script("return !!document.querySelector('button')")?;
        if there == true { Ok(()) } else { Err(browser.text()) }
    });
    assert!(browser.beyond_keyboard().is_empty());
    browser.script("document.querySelector('button').tabIndex = -1").unwrap();
    let missed = browser.beyond_keyboard();
    assert!(matches!(&missed[..], [one] if one.contains("<button")), "{missed:?}");
    browser.fill("#field", "new");
    assert_eq!(browser.script("return document.querySelector('#field').value").unwrap(), "new");
}
