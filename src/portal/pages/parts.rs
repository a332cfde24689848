//! Small pieces that several pages share.

use crate::health::Health;
use curtain_role::Instance;
use maud::{Markup, html};

/// How something is doing, as a word with a coloured dot.
pub(crate) fn pill(health: Health) -> Markup {
    html! { span.pill.(health.class()) { i aria-hidden="true" {} (health.label()) } }
}

/// A command to copy.
fn command(text: &str) -> Markup {
    html! {
        div.command {
            code { (text) }
            button.quiet type="button" data-copy=(text) aria-label={ "Copy " (text) } hidden { "Copy" }
        }
    }
}

/// A command of this program, for this instance, to copy.
pub(crate) fn curtain(instance: &Instance, words: &str) -> Markup {
    command(&instance.command(words))
}

/// The command that applies a file to this platform, whatever cluster the person's kubectl is set to.
pub(crate) fn apply(instance: &Instance, file: &str) -> Markup {
    let kubeconfig = instance.command("kubeconfig");
    command(&format!("kubectl --kubeconfig \"$({kubeconfig})\" apply -f {file}"))
}

/// A moment: exact for machines, relative for people once the script runs.
pub(crate) fn moment(time: &str) -> Markup {
    html! { time datetime=(time) title=(time) { (time.get(..16).unwrap_or(time).replace('T', " ")) } }
}

/// The live part of a page: replaced whenever the server sends it again.
pub(crate) fn live(address: &str, content: Markup) -> Markup {
    html! {
        div.live data-live=(address) { (content) }
        p.trouble role="status" hidden {}
    }
}

/// What to do when there is nothing yet.
pub(crate) fn empty(title: &str, content: Markup) -> Markup {
    html! { section.empty { h2 { (title) } (content) } }
}

/// Links between pages that belong together: name, address, and whether it is this page.
pub(crate) fn tabs<'a>(
    label: &str,
    tabs: impl IntoIterator<Item = (&'a str, String, bool)>,
) -> Markup {
    html! {
        nav.tabs aria-label=(label) {
            ul { @for (name, href, here) in tabs {
                li { a href=(href) aria-current=[here.then_some("page")] { (name) } }
            } }
        }
    }
}

/// A part of a page that its script fetches again every so many seconds.
pub(crate) fn fetched(address: &str, seconds: u32, content: Markup) -> Markup {
    html! {
        div.live data-fetch=(address) data-every=(seconds) { (content) }
        p.trouble role="status" hidden {}
    }
}

/// A table that may be wider than the window; it scrolls by itself, also by keyboard.
pub(crate) fn table(label: &str, columns: &[&str], rows: Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) { table {
            thead { tr { @for column in columns { th scope="col" { (column) } } } }
            tbody { (rows) }
        } }
    }
}

/// So many of something: "1 read", "2 reads".
pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Letters of a text that is shown as it is.
const LONG: usize = 120;

/// A text of strangers: its beginning, and the whole on demand. `key` tells it from others of the page.
pub(crate) fn long(key: &str, text: &str) -> Markup {
    match text.char_indices().nth(LONG) {
        None => html! { (text) },
        Some((end, _)) => html! {
            details.long data-key=(key) {
                summary { (text[..end].trim_end()) "…" }
                p.lines { (text) }
            }
        },
    }
}

/// What could not be shown, and why; the rest of the page is there.
pub(crate) fn missing(what: &str, why: &str) -> Markup {
    html! { p.notice role="status" { (what) ": " (why) } }
}
