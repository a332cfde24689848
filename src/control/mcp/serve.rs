//! A toolbox as an MCP server.

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::request::Parts;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
        Tool as Described,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    Access, Arguments, Call, CallError, Tool, Toolbox, arguments::Wrong, options::Options,
    schema::describe,
};
use crate::{
    audit::trail,
    authz::{DENIED, Hierarchy},
    identity::{Caller, Secret, Validator, bearer},
};

/// The longest a tool may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that is looked for what could stand in the place of what is missing.
const LOOK: Duration = Duration::from_secs(2);
/// The longest request body, in bytes.
const LONGEST_BODY: usize = 1024 * 1024;

/// `/mcp` with `toolbox`, behind `validator`; everything else is 404. Put
/// [`AllowedHosts`](curtain_role::origin::AllowedHosts) around it.
pub fn router<T: Toolbox>(
    toolbox: T,
    validator: Arc<Validator>,
    shutdown: CancellationToken,
) -> Router {
    // Host and Origin are checked by our own layer, which knows names that rmcp's list of literals cannot say.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(LONGEST_BODY)
        .with_cancellation_token(shutdown)
        .disable_allowed_hosts();
    let server = Server(Arc::new(toolbox));
    let service: StreamableHttpService<Server<T>, NeverSessionManager> =
        StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), config);
    let service = tower::ServiceExt::<http::Request<Body>>::map_response(service, |response| {
        response.map(Body::new)
    });
    Router::new()
        .route_service("/mcp", service)
        .layer(axum::middleware::from_fn_with_state(validator, bearer::require))
        .fallback(|| async { http::StatusCode::NOT_FOUND })
}

struct Server<T>(Arc<T>);

impl<T> Clone for Server<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What the HTTP request around an MCP request says.
struct Request {
    caller: Caller,
    token: Secret,
    options: Options,
}

impl Request {
    fn of(context: &RequestContext<RoleServer>) -> Result<Self, ErrorData> {
        let missing = || ErrorData::internal_error("the request came without its HTTP part", None);
        let parts = context.extensions.get::<Parts>().ok_or_else(missing)?;
        let caller = parts.extensions.get::<Caller>().ok_or_else(missing)?.clone();
        let token = parts.extensions.get::<Secret>().ok_or_else(missing)?.clone();
        Ok(Self { caller, token, options: Options::parse(parts.uri.query()) })
    }

    fn call(&self) -> Call<'_> {
        Call { caller: &self.caller, token: &self.token }
    }
}

impl<T: Toolbox> Server<T> {
    fn find(&self, name: &str) -> Option<&'static Tool> {
        self.0.tools().into_iter().find(|tool| tool.name == name)
    }

    /// Whether the caller has any of the tool's permissions anywhere.
    async fn is_listed(&self, request: &Request, tool: &Tool) -> bool {
        if !request.options.wants(tool) {
            return false;
        }
        if !request.options.filter_by_authz || tool.actions.is_empty() {
            return true;
        }
        for action in tool.actions {
            if self.0.lists(request.call(), action).await {
                return true;
            }
        }
        false
    }

    /// Refuses a call that the caller cannot have a permission for. Like all that a known tool does not do, that is a
    /// result: the model reads it, and errors of the protocol may never reach it.
    async fn gate(
        &self,
        request: &Request,
        tool: &'static Tool,
        arguments: &Arguments,
    ) -> Result<(), CallError> {
        if request.options.readonly && tool.access != Access::Read {
            let name = tool.name;
            let reason = format!("{DENIED}{name}: this connection is read-only (readonly=true)");
            return Err(CallError(reason));
        }
        if !request.options.filter_by_authz {
            return Ok(());
        }
        let action = match (arguments.text("scope"), tool.actions) {
            ("cluster", [_, cluster, ..]) => cluster,
            // Without a scope such a tool serves both halves: either permission will do.
            ("", [_, cluster, ..]) if self.0.lists(request.call(), cluster).await => return Ok(()),
            (_, [first, ..]) => first,
            (_, []) => return Ok(()),
        };
        let of_cluster = action.starts_with("cluster");
        let place = if of_cluster { Hierarchy::cluster() } else { arguments.place() };
        self.0.admits(request.call(), (tool, action), &place, arguments).await
    }
}

impl<T: Toolbox> ServerHandler for Server<T> {
    fn get_info(&self) -> ServerConfig {
        let about = self.0.about();
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(about.name, about.version))
            .with_instructions(about.instructions)
    }

    fn get_tool(&self, name: &str) -> Option<Described> {
        self.find(name).map(describe)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let request = Request::of(&context)?;
        let mut listed = Vec::new();
        for tool in self.0.tools() {
            if self.is_listed(&request, tool).await {
                listed.push(describe(tool));
            }
        }
        Ok(ListToolsResult::with_all_items(listed))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let request = Request::of(&context)?;
        let unknown = || {
            let message: Cow<'static, str> = format!("unknown tool \"{}\"", params.name).into();
            ErrorData::invalid_params(message, None)
        };
        let tool = self.find(&params.name).ok_or_else(unknown)?;
        let arguments = match Arguments::check(tool, params.arguments) {
            Ok(arguments) => arguments,
            Err(wrong) => return Ok(failure(self.told(&request, tool, wrong).await).into()),
        };
        let place = arguments.place();
        let (answer, trail) = trail::follow(self.answer(&request, tool, arguments)).await;
        let told = answer.as_ref().err().map(|CallError(reason)| reason.as_str());
        self.0.keep(request.call(), (tool, &place), &trail, told).await;
        let result = match answer {
            Ok(value) => CallToolResult::structured(value),
            Err(CallError(reason)) => failure(reason),
        };
        Ok(result.into())
    }
}

impl<T: Toolbox> Server<T> {
    /// What is wrong with a call; of what it left out, with what there is to choose from.
    async fn told(&self, request: &Request, tool: &'static Tool, wrong: Wrong) -> String {
        let mut reason = wrong.to_string();
        let Wrong { missing, mut given, .. } = wrong;
        let look = async {
            for name in missing {
                let choices = self.0.choices(request.call(), tool, name, &given).await;
                let Some(choices) = choices else { continue };
                reason = format!("{reason}; for {name} {choices}");
                // What else is missing is in the only one there is.
                if let Some(only) = choices.only() {
                    given = given.with(name, only);
                }
            }
        };
        // Slow or not, the call is answered.
        let _ = tokio::time::timeout(LOOK, look).await;
        reason
    }

    /// Judges the call and does it.
    async fn answer(
        &self,
        request: &Request,
        tool: &'static Tool,
        arguments: Arguments,
    ) -> Result<Value, CallError> {
        self.gate(request, tool, &arguments).await?;
        let call = self.0.call(request.call(), tool, arguments);
        tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| {
            let seconds = PATIENCE.as_secs();
            Err(CallError(format!("{} took longer than {seconds} s and was given up", tool.name)))
        })
    }
}

fn failure(reason: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(reason)])
}

#[cfg(test)]
mod tests;
