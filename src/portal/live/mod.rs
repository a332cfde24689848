//! The live parts of pages, as Server-Sent Events.
//!
//! A page's live part is rendered by the same function as the page itself. The API tells when
//! something changed; then everything the part shows is read again, so that a missed event never
//! leaves a page wrong. What changes without a change of any object, such as traffic, is asked again and again.

mod logs;
mod stream;

pub(crate) use logs::logs;

use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::model::{self, ProjectView};
use crate::overview::Overview;
use crate::pages;
use crate::pages::component::Place;
use crate::server::Portal;
use crate::session::{Session, SignedIn};
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, Sse};
use curtain_role::Instance;
use futures::Stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use stream::{Part, RETRY, stream};

/// Between questions for the traffic of a project.
const TRAFFIC_PAUSE: Duration = Duration::from_secs(4);
/// So many of them go by until everything is read again: nobody tells of new components or environments.
const ROUNDS: u32 = 15;
/// Between questions for how a component is doing.
const HEALTH_PAUSE: Duration = Duration::from_secs(10);

/// What is wrong with a component, and where it runs.
pub(crate) async fn component(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let part = Lanes { instance: portal.instance.clone(), session: session.clone(), place };
    stream(portal, session, part)
}

struct Lanes {
    instance: Instance,
    session: Arc<Session>,
    place: Place,
}

impl Part for Lanes {
    fn watched(&self) -> Option<String> {
        let (namespace, component) = (encode(&self.place.namespace), encode(&self.place.component));
        Some(format!("/namespaces/{namespace}/releasebindings?component={component}"))
    }

    /// Incidents and traffic come without a change of any binding.
    fn pause(&self) -> Option<Duration> {
        Some(HEALTH_PAUSE)
    }

    async fn render(&mut self, user: User<'_>, _: bool) -> Result<String, BackendError> {
        let mut view = model::component(&user, &self.place).await?;
        let form_key = &self.session.form_key;
        let now = pages::component::now(&self.instance, &user, &self.place, &mut view, form_key);
        Ok(now.await?.into_string())
    }
}

/// What goes on in a project.
pub(crate) async fn project(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, name)): Path<(String, String)>,
    Query(asked): Query<pages::overview::Asked>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let instance = portal.instance.clone();
    stream(portal, session, Now { instance, namespace, name, asked, project: None, round: 0 })
}

struct Now {
    instance: Instance,
    namespace: String,
    name: String,
    asked: pages::overview::Asked,
    /// As it was read last.
    project: Option<ProjectView>,
    round: u32,
}

impl Part for Now {
    fn watched(&self) -> Option<String> {
        Some(format!("/namespaces/{}/releasebindings", encode(&self.namespace)))
    }

    fn pause(&self) -> Option<Duration> {
        Some(TRAFFIC_PAUSE)
    }

    async fn render(&mut self, user: User<'_>, changed: bool) -> Result<String, BackendError> {
        self.round = if changed { 0 } else { self.round + 1 };
        let known = self.project.take().filter(|_| !self.round.is_multiple_of(ROUNDS));
        let project = match known {
            Some(project) => project,
            None => model::project(&user, &self.namespace, &self.name).await?,
        };
        let place = (self.namespace.as_str(), self.name.as_str());
        let now = Overview::of(project, &user, place, self.asked.environment()).await?;
        let fragment = pages::project::now(&self.instance, place, &now).into_string();
        self.project = Some(now.project);
        Ok(fragment)
    }
}

/// What agents may do, and did.
pub(crate) async fn agents(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let part = Agents { session: session.clone() };
    stream(portal, session, part)
}

struct Agents {
    session: Arc<Session>,
}

impl Part for Agents {
    /// Grants end and calls come without a change of any object.
    fn pause(&self) -> Option<Duration> {
        Some(RETRY)
    }

    async fn render(&mut self, user: User<'_>, _: bool) -> Result<String, BackendError> {
        let activity = pages::activity::Activity::read(&user).await?;
        Ok(activity.show(&self.session.form_key).into_string())
    }
}
