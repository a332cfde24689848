//! The command that deploys an image which only the person's machine has: the portal cannot reach it. It is made of the
//! form's fields while they are filled in, and tells once the component is there.

use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::model::text;
use crate::pages::component::Place;
use crate::pages::{Page, parts};
use crate::server::Portal;
use crate::session::SignedIn;
use crate::wish::{Faults, Wish};
use axum::extract::{Path, Query, State};
use axum::response::Html;
use curtain_deploy::{is_path, name_fault, reference_fault};
use curtain_role::Instance;
use maud::{Markup, html};
use std::sync::Arc;

/// What the fields make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Nothing is named yet.
    Nothing,
    Wrong(Faults),
    Words {
        /// What follows `deploy --image`.
        image: String,
        /// What follows the image.
        rest: String,
        /// The component, if it is known before the image is read.
        component: Option<String>,
        is_file: bool,
    },
}

impl Command {
    pub(crate) fn of(wish: &Wish) -> Command {
        let image = wish.image.trim();
        if image.is_empty() {
            return Command::Nothing;
        }
        let is_file = is_path(image);
        let fault = if is_file { file_fault(image) } else { reference_fault(image) };
        let component = wish.component((!is_file && fault.is_none()).then_some(image));
        let name = component.as_deref().and_then(name_fault);
        let (given, port) = match wish.port_given() {
            Ok(given) => (given, None),
            Err(fault) => (None, Some(fault)),
        };
        let faults = Faults { image: fault, name, port };
        if faults != Faults::default() {
            return Command::Wrong(faults);
        }
        let mut rest = String::new();
        if let Some(component) = &component {
            rest.push_str(&format!(" --component {component}"));
        }
        if let Some(port) = given {
            rest.push_str(&format!(" --port {port}"));
        }
        Command::Words { image: quoted(image), rest, component, is_file }
    }
}

fn file_fault(path: &str) -> Option<String> {
    if path.contains(|c: char| c.is_control()) {
        return Some("A control character cannot be in the path of a file here.".to_owned());
    }
    path.starts_with('-').then(|| format!("Write ./{path}, or it is read as an option."))
}

/// A word for a shell, which it takes as it is; `~/` stays what the shell makes of it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@+=,%-".contains(c);
    let (home, rest) = word.strip_prefix("~/").map_or(("", word), |rest| ("~/", rest));
    if rest.chars().all(plain) {
        return word.to_owned();
    }
    format!("{home}'{}'", rest.replace('\'', "'\\''"))
}

/// Of the fields as they are now.
pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, project)): Path<(String, String)>,
    Query(wish): Query<Wish>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let part = read(&user, &portal.instance, (&namespace, &project), &wish).await?;
    Ok(Html(part.into_string()))
}

/// The command, and whether its component is there.
pub(crate) async fn read(
    user: &User<'_>,
    instance: &Instance,
    (namespace, project): (&str, &str),
    wish: &Wish,
) -> Result<Markup, BackendError> {
    let (image, rest, component, is_file) = match Command::of(wish) {
        Command::Nothing => {
            return Ok(html! { p.dim { "Name the image: the command is made here." } });
        }
        Command::Wrong(faults) => {
            let Faults { image, name, port } = &faults;
            let told = [("Image", image), ("Component", name), ("Port", port)];
            return Ok(html! {
                @for (field, fault) in told {
                    @if let Some(fault) = fault { p.problem { (field) ": " (fault) } }
                }
            });
        }
        Command::Words { image, rest, component, is_file } => (image, rest, component, is_file),
    };
    let made = match &component {
        Some(name) => there(user, (namespace, project), name).await?,
        None => false,
    };
    let command = |image: &str| {
        parts::curtain(
            instance,
            &format!("deploy --image {image}{rest} --project {}", quoted(project)),
        )
    };
    let file = component.as_ref().filter(|_| !is_file).map(|name| format!("./{name}.tar"));
    Ok(html! {
        p { strong { "Run this on your machine" } }
        (command(&image))
        @if let Some(file) = &file {
            p { "Or, with the image in a file, of " code { "docker save" } " or an OCI archive:" }
            (command(file))
        }
        p.dim {
            "It gives the image to the cluster, deploys it and prints its address. "
            @match &component {
                Some(component) => {
                    @let place = Place {
                        namespace: namespace.to_owned(), project: project.to_owned(), component: component.clone(),
                    };
                    @if made {
                        a href=(place.href()) data-made { (component) } " is there already: it gets this image."
                    } @else {
                        "This page goes on to " a href=(place.href()) { (component) } " once that is there."
                    }
                },
                None => "The component is named after the image, unless you name one.",
            }
        }
    })
}

async fn there(
    user: &User<'_>,
    (namespace, project): (&str, &str),
    name: &str,
) -> Result<bool, BackendError> {
    match user.get(&format!("/namespaces/{}/components/{}", encode(namespace), encode(name))).await
    {
        Ok(found) => Ok(text(&found, "/spec/owner/projectName") == project),
        Err(BackendError::NotFound(_) | BackendError::Forbidden(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, quoted};
    use crate::wish::Wish;

    /// The words after `curtain`, or what is wrong.
    fn words(image: &str, name: &str, port: &str) -> String {
        let [image, name, port] = [image, name, port].map(str::to_owned);
        match Command::of(&Wish { image, name, port, from: "local".to_owned() }) {
            Command::Words { image, rest, .. } => format!("{image}{rest}"),
            Command::Wrong(faults) => format!("{faults:?}"),
            Command::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_command_is_made_of_what_was_filled_in() {
        assert_eq!(words("", "web", "80"), "nothing");
        assert_eq!(words(" my:dev ", "", ""), "my:dev --component my");
        assert_eq!(words("my:dev", "web", "9000"), "my:dev --component web --port 9000");
        assert_eq!(words("./my.tar", "", ""), "./my.tar");
        assert_eq!(words("build/my.tar.gz", "web", ""), "build/my.tar.gz --component web");
        assert!(words("my:dev.tar", "", "").starts_with("my:dev.tar --component my"));
        assert!(words("My:dev", "", "").contains("capital letters"));
        let all = words("a b", "-", "x");
        for why in ["cannot be in", "Use at most", "A port is"] {
            assert!(all.contains(why), "{why}: {all}");
        }
        assert!(words("-x.tar", "", "").contains("./-x.tar"));
        assert!(words("./a\nb.tar", "", "").contains("control character"));
    }

    #[test]
    fn a_shell_reads_each_word_as_it_is() {
        for (word, shown) in [
            ("my:dev", "my:dev"),
            ("/a b/$(x).tar", "'/a b/$(x).tar'"),
            ("./it's.tar", r"'./it'\''s.tar'"),
            ("~/my images/a.tar", "~/'my images/a.tar'"),
            ("~x;y", "'~x;y'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
