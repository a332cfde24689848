//! What is around each page of a component: its name, the tabs, and the choice of environment and time.

use super::Place;
use crate::ask::{Window, scope};
use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::model::{self, ComponentView, Head, description, text, title};
use crate::pages::layout::{self, Section};
use crate::pages::{parts, project};
use crate::server::Portal;
use crate::session::Session;
use axum::response::Html;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

/// A page of a component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Releases,
    Metrics,
    Traces,
    Calls,
    Events,
    Logs,
}

/// Each with its name and where it is below the component.
const TABS: [(Tab, &str, &str); 7] = [
    (Tab::Overview, "Environments", ""),
    (Tab::Releases, "Releases", "/releases"),
    (Tab::Metrics, "Metrics", "/metrics"),
    (Tab::Traces, "Traces", "/traces"),
    (Tab::Calls, "Calls", "/calls"),
    (Tab::Events, "Events", "/events"),
    (Tab::Logs, "Logs", "/logs"),
];

impl Tab {
    /// Where it is below the component.
    pub(super) fn below(self) -> &'static str {
        TABS.iter().find(|(of, ..)| *of == self).map_or("", |(_, _, below)| below)
    }
}

/// How far back one may look: name in the address, words and seconds. No further than the observer answers at once.
const RANGES: [(&str, &str, i64); 5] = [
    ("15m", "15 minutes", 15 * 60),
    ("1h", "1 hour", 3600),
    ("6h", "6 hours", 6 * 3600),
    ("24h", "1 day", 24 * 3600),
    ("7d", "7 days", 7 * 24 * 3600),
];

/// What the address of a page asks for.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    env: String,
    #[serde(default)]
    range: String,
    /// Of a list, what is not newer than this moment, without so many that happened just then and were shown.
    #[serde(default)]
    before: String,
    #[serde(default)]
    seen: usize,
    /// Present when only the part that changes is wanted.
    part: Option<String>,
}

impl Asked {
    /// For an environment, as long ago as usual.
    pub(super) fn of(environment: &str) -> Asked {
        Asked { env: environment.to_owned(), ..Asked::default() }
    }

    pub(super) fn is_part(&self) -> bool {
        self.part.is_some()
    }
}

/// A component, and what of it is looked at.
pub(super) struct Frame {
    pub(super) place: Place,
    head: Head,
    /// Which of its environments is shown.
    shown: usize,
    range: usize,
    /// Where the page of a list begins, if it is not the first.
    pub(super) before: Option<Before>,
}

/// Where a page of a list that is sorted by time begins, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) time: Timestamp,
    /// So many of that very moment were shown before.
    pub(super) seen: usize,
}

impl Before {
    /// As an address has it.
    pub(super) fn query(self) -> String {
        format!("&before={}&seen={}", self.time, self.seen)
    }
}

impl Frame {
    /// Reads what a page needs to know of its component.
    pub(super) async fn read(
        user: &User<'_>,
        place: Place,
        asked: &Asked,
    ) -> Result<Frame, BackendError> {
        let head = model::head(user, &place).await?;
        let named = |(name, _): &(String, String)| *name == asked.env;
        let shown = head.environments.iter().position(named).unwrap_or(0);
        let range = RANGES.iter().position(|(name, ..)| *name == asked.range).unwrap_or(0);
        let before = asked.before.parse().ok();
        let before = before.map(|time| Before { time, seen: asked.seen });
        Ok(Frame { place, head, shown, range, before })
    }

    /// Of a component that was read already.
    pub(super) fn of_view(place: &Place, view: &ComponentView) -> Frame {
        let named = |lane: &model::Lane| (lane.name.clone(), lane.title.clone());
        Frame {
            place: place.clone(),
            head: Head {
                project: view.project.clone(),
                component: view.component.clone(),
                image: view.image.clone(),
                environments: view.environments.iter().map(named).collect(),
            },
            shown: 0,
            range: 0,
            before: None,
        }
    }

    /// Name of the environment that is shown.
    pub(super) fn environment(&self) -> &str {
        self.head.environments.get(self.shown).map_or("", |(name, _)| name)
    }

    /// Its title.
    pub(super) fn environment_title(&self) -> &str {
        self.head.environments.get(self.shown).map_or("", |(_, title)| title)
    }

    /// The time that is shown, in seconds.
    pub(super) fn seconds(&self) -> i64 {
        RANGES[self.range].2
    }

    pub(super) fn window(&self) -> Window {
        Window::last(self.seconds())
    }

    /// Where the observer is asked: about this component, or with an empty name about all of its project.
    pub(super) fn scope(&self, component: &str) -> Value {
        scope(&self.place.namespace, &self.place.project, component, self.environment())
    }

    /// `?env=…&range=…` for this or another choice.
    fn query(&self, environment: usize, range: usize) -> String {
        let name = self.head.environments.get(environment).map_or("", |(name, _)| name);
        format!("?env={}&range={}", encode(name), RANGES[range].0)
    }

    /// A page below the component, for what is shown.
    pub(super) fn href(&self, below: &str) -> String {
        format!("{}{below}{}", self.place.href(), self.query(self.shown, self.range))
    }

    /// The page around `content`.
    pub(super) fn page(
        &self,
        portal: &Portal,
        session: &Session,
        tab: Tab,
        content: Markup,
    ) -> Html<String> {
        let heading = title(&self.head.component);
        let tabs = TABS.iter().map(|(of, name, below)| {
            let href = if below.is_empty() { self.place.href() } else { self.href(below) };
            (*name, href, *of == tab)
        });
        let whole = html! {
            div.heading {
                h1 { (heading) }
                p.lead {
                    span.tag { (text(&self.head.component, "/spec/componentType/name")) }
                    @if let Some(image) = &self.head.image { code { (image) } }
                }
                @if !description(&self.head.component).is_empty() { p { (description(&self.head.component)) } }
            }
            (parts::tabs("Component", tabs))
            (content)
        };
        let crumbs = [
            ("Projects", "/".to_owned()),
            (&self.head.project, project::href(&self.place.namespace, &self.place.project)),
            (heading, self.place.href()),
        ];
        let name = TABS.iter().find(|(of, ..)| *of == tab).map_or("", |(_, name, _)| name);
        let title = format!("{name} · {heading}");
        let page =
            layout::page(session, &portal.instance, Section::Projects, &title, &crumbs, whole);
        Html(page.into_string())
    }

    /// Links to the same page for other environments and, unless `below` shows all there is, other times.
    pub(super) fn choices(&self, below: &str, timed: bool) -> Markup {
        let link = |environment: usize, range: usize, words: &str, shown: bool| {
            html! {
                li { a href={ (self.place.href()) (below) (self.query(environment, range)) }
                    aria-current=[shown.then_some("true")] { (words) } }
            }
        };
        html! {
            div.choices {
                nav aria-label="Environment" { ul.choice {
                    @for (index, (_, title)) in self.head.environments.iter().enumerate() {
                        (link(index, self.range, title, index == self.shown))
                    }
                } }
                @if timed {
                    nav aria-label="Time" { ul.choice {
                        @for (index, (_, words, _)) in RANGES.iter().enumerate() {
                            (link(self.shown, index, words, index == self.range))
                        }
                    } }
                }
            }
        }
    }
}
