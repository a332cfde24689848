//! Whether this agent may make a change, asked before it tries.
//!
//! The control plane is only asked: a no is neither an attempt nor on record, and says what a person could grant.

use std::sync::Arc;

use curtain_control::authz::{Gate, GateError, Hierarchy, ROLLBACK};
use curtain_control::identity::{Caller, SubjectKind};
use curtain_control::mcp::Call;
use curtain_control::mcp::bridge::TokenSource;
use futures::future::BoxFuture;

/// What changes of a release binding need.
const UPDATE: &str = "releasebinding:update";

/// A component's release binding that is to be changed.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The component.
    pub(super) at: Hierarchy,
    /// The environment's name.
    pub(super) environment: String,
}

/// Whoever knows what this agent may do.
pub(super) trait Leave: Send + Sync {
    /// Whether the agent may change the binding of `place`; `back` tells that it only goes back to an earlier release.
    /// The error is a sentence: why not, and what would let it.
    fn to_change<'a>(&'a self, place: &'a Place, back: bool) -> BoxFuture<'a, Result<(), String>>;
}

/// The control plane, asked with the agent's own token.
pub(super) struct Own {
    gate: Arc<Gate>,
    tokens: Arc<dyn TokenSource>,
    caller: Caller,
}

impl Own {
    /// Asks by `gate` for the agent `name`, whose tokens are of `tokens`.
    pub(super) fn new(gate: Arc<Gate>, tokens: Arc<dyn TokenSource>, name: &str) -> Self {
        let caller = Caller {
            subject: name.to_owned(),
            kind: SubjectKind::Agent,
            groups: Vec::new(),
            display_name: name.to_owned(),
            expires: 0,
        };
        Self { gate, tokens, caller }
    }

    async fn ask(&self, place: &Place, back: bool) -> Result<(), String> {
        let asked = (UPDATE, back.then_some(ROLLBACK));
        let mut again = true;
        loop {
            let token = self.tokens.token().await?;
            let call = Call { caller: &self.caller, token: &token };
            match self.gate.foresee(call, asked, (&place.at, &place.environment)).await {
                Ok(None) => return Ok(()),
                Ok(Some(denial)) => return Err(denial.to_string()),
                // It may have ended early, as it does with a new signing key.
                Err(GateError::Token(_)) if again => self.tokens.forget().await,
                Err(error) => return Err(error.to_string()),
            }
            again = false;
        }
    }
}

impl Leave for Own {
    fn to_change<'a>(&'a self, place: &'a Place, back: bool) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.ask(place, back))
    }
}
