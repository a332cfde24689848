//! The observer's tools for AI agents: those of all its signals.

use std::sync::Arc;

use curtain_control::authz::Gate;
use curtain_control::mcp::{About, Arguments, Call, CallError, Tool, Toolbox};
use curtain_control::objects::Names;
use serde_json::Value;

use super::signal::Signal;

/// The toolbox over all signals.
pub(super) struct ObserverTools {
    pub(super) signals: Arc<[Box<dyn Signal>]>,
    pub(super) gate: Arc<Gate>,
    pub(super) version: String,
}

impl Toolbox for ObserverTools {
    fn about(&self) -> About {
        About {
            name: "openchoreo-observer",
            version: self.version.clone(),
            instructions: "Logs, Kubernetes events, metrics, traces, alerts and incidents of the components of a Curtain \
                platform (OpenChoreo-compatible). Times are RFC 3339. When something is wrong, start with \
                query_topology and query_incidents; query_component_events says why pods do not start. Ask for logs \
                with a short range, one component and log_levels [\"ERROR\",\"WARN\"].",
        }
    }

    fn tools(&self) -> Vec<&'static Tool> {
        self.signals.iter().flat_map(|signal| signal.tools()).collect()
    }

    async fn lists(&self, call: Call<'_>, action: &'static str) -> bool {
        self.gate.anywhere(call.token, action).await
    }

    async fn choices(
        &self,
        call: Call<'_>,
        _: &'static Tool,
        missing: &'static str,
        given: &Arguments,
    ) -> Option<Names> {
        self.gate.choices(call.token, missing, given).await
    }

    /// The call itself is judged by the control plane, where its place and environment are known.
    async fn call(
        &self,
        call: Call<'_>,
        tool: &'static Tool,
        arguments: Arguments,
    ) -> Result<Value, CallError> {
        let has = |one: &dyn Signal| one.tools().iter().any(|row| row.name == tool.name);
        match self.signals.iter().find(|signal| has(signal.as_ref())) {
            Some(signal) => signal.call(call, tool, arguments).await.map_err(CallError::new),
            None => Err(CallError(format!("there is no tool {}", tool.name))),
        }
    }
}
