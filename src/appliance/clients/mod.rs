//! MCP clients: where each keeps its servers, and how a file is edited without harming the rest of it.

pub(crate) mod edit;
mod json;
mod toml;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, InstanceName};

/// A client whose configuration we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Anthropic's Claude Code.
    ClaudeCode,
    /// Visual Studio Code.
    VsCode,
    /// Cursor.
    Cursor,
    /// OpenAI's Codex.
    Codex,
}

/// Every client, in the order they are listed.
pub const CLIENTS: [Client; 4] =
    [Client::ClaudeCode, Client::VsCode, Client::Cursor, Client::Codex];

/// Whose configuration is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The user's, for every project.
    User {
        /// The user's home.
        home: PathBuf,
        /// The user's configuration folder, `~/.config` on Linux.
        config: PathBuf,
    },
    /// One project's, in its folder.
    Project(PathBuf),
}

/// The syntax of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Syntax {
    /// JSON, with comments and trailing commas if the user likes them.
    Json,
    /// TOML.
    Toml,
}

/// Where an entry lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Its syntax.
    pub syntax: Syntax,
    /// The table that holds the servers.
    pub table: &'static str,
}

impl Client {
    /// The name a user gives.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::VsCode => "vscode",
            Self::Cursor => "cursor",
            Self::Codex => "codex",
        }
    }

    /// The client called `name`.
    ///
    /// # Errors
    /// [`Error::UnknownClient`], which lists those there are.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        // What people call it, too.
        let name = if name == "claude" { "claude-code" } else { name };
        CLIENTS.into_iter().find(|client| client.name() == name).ok_or_else(|| {
            Error::UnknownClient {
                name: name.to_owned(),
                known: CLIENTS.map(Self::name).join(", "),
            }
        })
    }

    /// Where this client keeps its servers.
    pub fn place(self, scope: &Scope) -> Place {
        let json = |path, table| Place { path, syntax: Syntax::Json, table };
        match (self, scope) {
            (Self::ClaudeCode, Scope::User { home, .. }) => {
                json(home.join(".claude.json"), "mcpServers")
            }
            (Self::ClaudeCode, Scope::Project(folder)) => {
                json(folder.join(".mcp.json"), "mcpServers")
            }
            (Self::VsCode, Scope::User { config, .. }) => {
                json(config.join("Code/User/mcp.json"), "servers")
            }
            (Self::VsCode, Scope::Project(folder)) => {
                json(folder.join(".vscode/mcp.json"), "servers")
            }
            (Self::Cursor, Scope::User { home, .. }) => {
                json(home.join(".cursor/mcp.json"), "mcpServers")
            }
            (Self::Cursor, Scope::Project(folder)) => {
                json(folder.join(".cursor/mcp.json"), "mcpServers")
            }
            (Self::Codex, scope) => {
                let folder = match scope {
                    Scope::User { home, .. } => home,
                    Scope::Project(folder) => folder,
                };
                Place {
                    path: folder.join(".codex/config.toml"),
                    syntax: Syntax::Toml,
                    table: "mcp_servers",
                }
            }
        }
    }

    /// The agent that this client acts as.
    pub fn agent(self) -> String {
        format!("{}-1", self.name())
    }

    /// The entry that starts the bridge `bridge` for the agent called `agent`.
    pub fn entry(self, bridge: &Bridge, agent: &str) -> Value {
        // By name, also the usual one: a client may be started where CURTAIN_NAME means another.
        let args = ["mcp", "serve", "--stdio", "--as", agent, "--name", bridge.instance.as_str()];
        let mut entry = json!({ "command": bridge.program, "args": args });
        if self != Self::Codex {
            entry["type"] = json!("stdio");
        }
        if let Some(home) = &bridge.home {
            entry["env"] = json!({ "CURTAIN_HOME": home });
        }
        entry
    }
}

/// The command a client starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// The instance it leads to.
    pub instance: InstanceName,
    /// The folder of all instances, if it is not where the program looks by itself.
    pub home: Option<PathBuf>,
}

/// The file at `place` as it would be with nothing but `value` under `name`.
///
/// # Errors
/// Never for a value of [`Client::entry`].
pub fn render(place: &Place, name: &str, value: &Value) -> Result<String, Error> {
    set(place.syntax, &place.path, "", place.table, name, value)
}

/// `text` of the file `path` with `value` at `table.name`.
pub(crate) fn set(
    syntax: Syntax,
    path: &Path,
    text: &str,
    table: &str,
    name: &str,
    value: &Value,
) -> Result<String, Error> {
    match syntax {
        Syntax::Json => json::set(text, table, name, value),
        Syntax::Toml => toml::set(text, table, name, value),
    }
    .map_err(|why| Error::Client { path: path.to_owned(), why })
}

/// The value at `table.name` of `text`, if there is one.
pub(crate) fn get(
    syntax: Syntax,
    path: &Path,
    text: &str,
    table: &str,
    name: &str,
) -> Result<Option<Value>, Error> {
    match syntax {
        Syntax::Json => json::get(text, table, name),
        Syntax::Toml => toml::get(text, table, name),
    }
    .map_err(|why| Error::Client { path: path.to_owned(), why })
}

/// `text` without `table.name`; an empty `table` goes too if `with_table`.
pub(crate) fn unset(
    syntax: Syntax,
    path: &Path,
    text: &str,
    table: &str,
    name: &str,
    with_table: bool,
) -> Result<String, Error> {
    match syntax {
        Syntax::Json => json::unset(text, table, name, with_table),
        Syntax::Toml => toml::unset(text, table, name, with_table),
    }
    .map_err(|why| Error::Client { path: path.to_owned(), why })
}

/// All that `text` says, as JSON.
pub(crate) fn value(syntax: Syntax, path: &Path, text: &str) -> Result<Value, Error> {
    match syntax {
        Syntax::Json => json::whole(text),
        Syntax::Toml => toml::whole(text),
    }
    .map_err(|why| Error::Client { path: path.to_owned(), why })
}

/// Whether two texts differ in nothing but layout; an empty one is as good as an empty object.
pub(crate) fn same(syntax: Syntax, path: &Path, one: &str, other: &str) -> Result<bool, Error> {
    // What the parser does not see are comments, and what is left here are these with the values.
    let dense = |text: &str| -> String {
        let layout = |c: char| c.is_whitespace() || syntax == Syntax::Json && c == ',';
        text.chars().filter(|c| !layout(*c)).collect()
    };
    let dense = |text: &str| match dense(text) {
        empty if syntax == Syntax::Json && empty == "{}" => String::new(),
        text => text,
    };
    Ok(dense(one) == dense(other) && value(syntax, path, one)? == value(syntax, path, other)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_its_files_and_its_entry() {
        let user = Scope::User { home: "/h".into(), config: "/h/.config".into() };
        let project = Scope::Project("/p".into());
        let bridge =
            Bridge { program: "/b/curtain".into(), instance: "ci".parse().unwrap(), home: None };
        let shown: Vec<_> = CLIENTS
            .into_iter()
            .map(|client| {
                let (user, project) = (client.place(&user), client.place(&project));
                // As they are written on Linux.
                let written = |place: &Place| place.path.to_string_lossy().replace('\\', "/");
                json!({
                    "client": client.name(), "user": written(&user), "project": written(&project), "table": user.table,
                    "entry": client.entry(&bridge, &client.agent()),
                })
            })
            .collect();
        insta::assert_json_snapshot!(shown);
    }
}
