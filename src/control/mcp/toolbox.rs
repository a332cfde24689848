//! What a server has to bring.

use std::future::{self, Future};

use serde_json::Value;

use super::{Arguments, Tool};
use crate::{
    audit::Trail,
    authz::Hierarchy,
    identity::{Caller, Secret},
    objects::Names,
};

/// How a server introduces itself.
#[derive(Debug, Clone)]
pub struct About {
    /// `openchoreo-api`
    pub name: &'static str,
    /// The version of the binary.
    pub version: String,
    /// What an agent should know first; some clients read only 512 characters.
    pub instructions: &'static str,
}

/// Why a call did not work. The text reaches the model.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

impl CallError {
    /// From anything that has something to say.
    pub fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Who calls, and what proves it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The verified sender.
    pub caller: &'a Caller,
    /// Its token, for a role that asks another one in the caller's name.
    pub token: &'a Secret,
}

/// A table of tools and what they do.
pub trait Toolbox: Send + Sync + 'static {
    /// How the server introduces itself.
    fn about(&self) -> About;

    /// The tools, in the order in which they are listed.
    fn tools(&self) -> Vec<&'static Tool>;

    /// Whether the caller could do `action` anywhere: decides whether a tool is listed.
    fn lists(&self, call: Call<'_>, action: &'static str) -> impl Future<Output = bool> + Send;

    /// Whether the caller could do `action` somewhere at `place`, as far as the arguments tell: decides whether `tool`
    /// may be called. The error says what is missing for a call with `arguments`, and how just that can be granted, which
    /// is worth an audit line; or that what it is about is not there, if the caller may know. What a call touches must be judged again by the tool.
    fn admits(
        &self,
        call: Call<'_>,
        (tool, action): (&'static Tool, &'static str),
        place: &Hierarchy,
        arguments: &Arguments,
    ) -> impl Future<Output = Result<(), CallError>> + Send {
        let _ = (call, tool, action, place, arguments);
        future::ready(Ok(()))
    }

    /// What there is to choose from for the argument `missing` of a call of `tool` with what is `given`, as far as the
    /// caller may see it. Nothing is known of an argument that names nothing, or something new.
    fn choices(
        &self,
        call: Call<'_>,
        tool: &'static Tool,
        missing: &'static str,
        given: &Arguments,
    ) -> impl Future<Output = Option<Names>> + Send {
        let _ = (call, tool, missing, given);
        future::ready(None)
    }

    /// Keeps a record of a call of `tool` at `place`, which left `trail`, before it is answered. `failure` is what
    /// the caller is told if it was not done.
    fn keep(
        &self,
        call: Call<'_>,
        (tool, place): (&'static Tool, &Hierarchy),
        trail: &Trail,
        failure: Option<&str>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (call, tool, place, trail, failure);
        future::ready(())
    }

    /// Does it. `arguments` are checked against the tool's table row.
    fn call(
        &self,
        call: Call<'_>,
        tool: &'static Tool,
        arguments: Arguments,
    ) -> impl Future<Output = Result<Value, CallError>> + Send;
}
