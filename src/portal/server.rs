//! The role: routes, headers and what the handlers share.

use crate::backend::Backend;
use crate::session::{Cookie, Sessions};
use crate::{
    Error, actions, assets, breaking, deploy, grants, incidents, live, login, pages, question,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use curtain_role::origin::AllowedHosts;
use curtain_role::{Health, Instance, Shutdown, listen, serve};
use http::{HeaderName, HeaderValue, Method, header};
use std::net::SocketAddr;
use std::sync::Arc;

/// Settings of the portal.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where browsers connect, through the gateway.
    pub bind: SocketAddr,
    /// Where the kubelet asks for health.
    pub health: SocketAddr,
    /// Base URL of the REST API and identity, without `/api/v1`.
    pub api_url: String,
    /// Base URL of the observer.
    pub observer_url: String,
    /// Base URL of the SRE agent, which may not be there.
    pub sre_url: String,
    /// The instance, for the cookie, the page's foot and commands.
    pub instance: Instance,
    /// Host names answered to beside loopback and cluster names.
    pub allowed_hosts: Vec<String>,
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Portal {
    pub(crate) backend: Backend,
    pub(crate) sessions: Sessions,
    pub(crate) cookie: Cookie,
    pub(crate) instance: Instance,
    pub(crate) shutdown: Shutdown,
}

/// The longest form, in bytes.
const LONGEST_FORM: usize = 16 << 10;
/// The longest form with texts, in which a character can take nine bytes: those of its UTF-8, as `%XX`.
const LONGEST_TEXT: usize = 256 << 10;

/// Serves until told to stop.
///
/// # Errors
///
/// An address that cannot be used, or a server that stopped by itself.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let health = Health::default();
    let listening = health.check("listening");
    let app = router(&config, shutdown.clone());
    let listener = listen(config.bind).await?;
    listening.pass();
    tracing::info!(addr = %config.bind, api = config.api_url, "portal listens");
    tokio::try_join!(
        async { Ok::<_, Error>(serve(listener, app, shutdown.clone()).await?) },
        async { Ok(health.serve(config.health, shutdown.clone()).await?) },
    )
    .map(drop)
}

/// The whole application.
pub(crate) fn router(config: &Config, shutdown: Shutdown) -> Router {
    let portal = Arc::new(Portal {
        backend: Backend::new(&config.api_url, &config.observer_url, &config.sre_url),
        sessions: Sessions::default(),
        cookie: Cookie::new(config.instance.name()),
        instance: config.instance.clone(),
        shutdown,
    });
    let project = "/namespaces/{namespace}/projects/{project}";
    let component = "/namespaces/{namespace}/projects/{project}/components/{component}";
    Router::new()
        .route("/", get(pages::projects::show))
        .route(project, get(pages::project::show))
        .route(&format!("{project}/live"), get(live::project))
        .route(&format!("{project}/incidents"), get(pages::incidents::show))
        .route(&format!("{project}/incidents/{{incident}}"), get(pages::incident::show))
        .route(&format!("{project}/incidents/{{incident}}/status"), post(incidents::change))
        .merge(texts(project))
        .route(&format!("{project}/deploy"), get(pages::deploy::show).post(deploy::deploy))
        .route(&format!("{project}/deploy/command"), get(pages::deploy::command::show))
        .route(&format!("{project}/break"), get(pages::breaking::show).post(breaking::break_it))
        .route(&format!("{project}/break/heal"), post(breaking::heal))
        .route(component, get(pages::component::show))
        .route(&format!("{component}/live"), get(live::component))
        .route(&format!("{component}/promote"), post(actions::promote))
        .route(&format!("{component}/state"), post(actions::state))
        .route(&format!("{component}/rollback"), post(actions::rollback))
        .route(&format!("{component}/delete"), post(actions::delete))
        .route(&format!("{component}/auto-deploy"), post(actions::auto_deploy))
        .route(&format!("{component}/releases"), get(pages::component::releases::show))
        .route(&format!("{component}/metrics"), get(pages::component::metrics::show))
        .route(&format!("{component}/traces"), get(pages::component::traces::show))
        .route(&format!("{component}/traces/{{trace}}"), get(pages::component::trace::show))
        .route(&format!("{component}/calls"), get(pages::component::calls::show))
        .route(&format!("{component}/events"), get(pages::component::events::show))
        .route(&format!("{component}/logs"), get(pages::component::logs::show))
        .route(&format!("{component}/logs/live"), get(live::logs))
        .route("/environments", get(pages::environments::show))
        .route("/agents", get(pages::agents::show))
        .route("/agents/live", get(live::agents))
        .route("/agents/grant", post(grants::grant))
        .route("/agents/revoke", post(grants::revoke))
        .route("/login", get(login::show).post(login::password))
        .route("/logout", post(login::logout))
        .route("/assets/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::icon))
        .fallback(pages::nothing_here)
        .layer(middleware::from_fn(same_origin))
        .layer(middleware::from_fn(headers))
        .layer(AllowedHosts::new(config.allowed_hosts.iter().cloned()))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .with_state(portal)
}

/// Routes whose forms have texts: values of files, and questions.
fn texts(project: &str) -> Router<Arc<Portal>> {
    let report = format!("{project}/incidents/{{incident}}/report");
    let question = format!("{project}/incidents/{{incident}}/question");
    Router::new()
        .route(&report, post(incidents::decide))
        .route(&question, post(question::ask))
        .layer(DefaultBodyLimit::max(LONGEST_TEXT))
}

/// Changes come from our own pages only: another application on `localhost` has an origin that
/// differs in the port.
async fn same_origin(request: Request, next: Next) -> Response {
    if request.method() == Method::GET || request.method() == Method::HEAD || is_ours(&request) {
        return next.run(request).await;
    }
    tracing::warn!(path = request.uri().path(), "a change from another origin was refused");
    let message = "It was sent by a page of another site. Open the portal and try again there.";
    crate::error::PageError::Forged(message).into_response()
}

fn is_ours(request: &Request) -> bool {
    let header = |name: HeaderName| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    if let Some(origin) = header(header::ORIGIN) {
        let authority =
            header(header::HOST).or_else(|| request.uri().authority().map(ToString::to_string));
        return authority.is_some_and(|authority| {
            origin == format!("http://{authority}") || origin == format!("https://{authority}")
        });
    }
    header(HeaderName::from_static("sec-fetch-site")).as_deref() == Some("same-origin")
}

/// No page may load, frame or send anything that is not ours.
async fn headers(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
        img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
        frame-ancestors 'none'";
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
