//! Small pieces that several pages share.

use crate::health::Health;
use crate::model::Inner;
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
    html! { time datetime=(time) title=(time) { (written(time, 16)) } }
}

/// A moment to the second, by which what follows each other is told apart.
pub(crate) fn exactly(time: &str) -> Markup {
    html! { time datetime=(time) { (written(time, 19)) } }
}

/// The first so many letters of a time, and its zone.
fn written(time: &str, letters: usize) -> String {
    let Some(shown) = time.get(..letters) else { return time.to_owned() };
    let rest = &time[letters..];
    let zone = match rest.rfind(['Z', '+', '-']).map(|at| &rest[at..]) {
        Some("Z") => " UTC".to_owned(),
        Some(zone) => format!(" {zone}"),
        None => String::new(),
    };
    format!("{}{zone}", shown.replace('T', " "))
}

/// The command that makes a Service of the data plane answer on this machine.
pub(crate) fn forward(instance: &Instance, to: &Inner) -> Markup {
    let kubeconfig = instance.command("kubeconfig");
    let Inner { namespace, service, port } = to;
    command(&format!(
        "kubectl --kubeconfig \"$({kubeconfig})\" -n {namespace} port-forward service/{service} :{port}"
    ))
}

/// Words of our own in which code stands between backticks.
pub(crate) fn coded(words: &str) -> Markup {
    let even = words.matches('`').count().is_multiple_of(2);
    html! {
        @if !even { (words) } @else {
            @for (index, part) in words.split('`').enumerate() {
                @if index % 2 == 1 { code { (part) } } @else { (part) }
            }
        }
    }
}

/// What a program says went wrong: of a page of HTML, its first line of text, as nobody reads markup here.
pub(crate) fn said(message: &str) -> String {
    let lower = message.to_ascii_lowercase();
    let Some(page) = ["<!doctype", "<html"].iter().filter_map(|start| lower.find(start)).min()
    else {
        return message.to_owned();
    };
    let (before, page) =
        (message[..page].trim_end(), without_head(&message[page..], &lower[page..]));
    let mut text = String::new();
    for piece in page.split('<') {
        let (_, words) = piece.split_once('>').unwrap_or_default();
        text.push('\n');
        text.push_str(words);
    }
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let first = first.unwrap_or("a page without text");
    let first = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .into_iter()
        .fold(first.to_owned(), |text, (name, is)| text.replace(name, is));
    if before.is_empty() { first } else { format!("{before} {first}") }
}

/// What people see of a page. `lower` is the same in small letters.
fn without_head<'p>(page: &'p str, lower: &str) -> &'p str {
    let body = lower.find("</head>").or_else(|| lower.find("<body"));
    body.map_or(page, |at| &page[at..])
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
    html! { p.notice role="status" { (what) ": " (coded(why)) } }
}

#[cfg(test)]
mod tests {
    use super::{coded, moment, said};

    #[test]
    fn a_moment_tells_its_zone() {
        for (time, shown) in [
            ("2026-12-02T07:11:05.25Z", "2026-12-02 07:11 UTC"),
            ("2026-12-02T07:11:05+01:00", "2026-12-02 07:11 +01:00"),
            ("2026-12-02T07:11:05-03:00", "2026-12-02 07:11 -03:00"),
            ("soon", "soon"),
        ] {
            assert!(moment(time).into_string().contains(&format!(">{shown}<")), "{time}");
        }
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        assert_eq!(coded("do `a <b>` now").into_string(), "do <code>a &lt;b&gt;</code> now");
        assert_eq!(coded("one ` alone").into_string(), "one ` alone");
    }

    #[test]
    fn of_a_page_of_markup_the_first_line_of_text_is_said() {
        let page = "<!DOCTYPE html><html><head><title>x</title><style>p {}</style></head>\n<body>\n<h1>Cart &amp; more</h1>";
        assert_eq!(said(page), "Cart & more");
        assert_eq!(said(&format!("500: {page}")), "500: Cart & more");
        assert_eq!(said("<HTML><p>gone"), "gone");
        assert_eq!(said("<html></html>"), "a page without text");
        assert_eq!(said("cannot read <nil>"), "cannot read <nil>");
    }
}
