//! Small pieces that several pages share.

use crate::model::Status;
use curtain_role::Instance;
use maud::{Markup, html};

/// A status as a word with a coloured dot.
pub(crate) fn pill(status: Status) -> Markup {
    html! { span.pill.(status.class()) { i aria-hidden="true" {} (status.label()) } }
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
