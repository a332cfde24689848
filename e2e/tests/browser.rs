//! The browser driver itself, on a page that needs no server.

#![allow(clippy::unwrap_used)]

use curtain_e2e::Browser;

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
