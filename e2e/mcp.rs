//! The Python MCP SDK as an agent that the test speaks for.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command},
};

use serde_json::{Value, json};

use crate::{Instance, piped};

/// Where a server is reached.
#[derive(Debug, Clone)]
pub enum Server<'a> {
    /// Streamable HTTP with a bearer token.
    Http {
        /// The endpoint.
        url: &'a str,
        /// The token.
        token: &'a str,
    },
    /// A command that speaks on its standard streams.
    Stdio(&'a [String]),
}

/// One connection, ended when dropped.
#[derive(Debug)]
pub struct Agent {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What the server said of itself: `protocol`, `tools`, `bytes` (of the tool list).
    pub hello: Value,
}

impl Agent {
    /// Connects with revision 2025-11-25 (`legacy`) or a newer one by its date.
    #[track_caller]
    pub fn connect(instance: &Instance, mode: &str, server: &Server) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp_client.py");
        let mut command = instance.isolated(&Command::new(instance.clients.python()));
        command.arg(script).arg(mode);
        match server {
            Server::Http { url, token } => {
                command.args(["http", url]).env("CURTAIN_E2E_TOKEN", token);
            }
            Server::Stdio(line) => {
                command.arg("stdio").args(*line);
            }
        }
        let mut process = piped(&mut command);
        let input = process.stdin.take();
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let hello = line(&mut output).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { process, input, output, hello }
    }

    /// Calls a tool: its structured result, or what it said instead.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, String> {
        let request = json!({"tool": tool, "arguments": arguments});
        let input = self.input.as_mut().expect("open until dropped");
        writeln!(input, "{request}").map_err(|error| error.to_string())?;
        let mut answer = line(&mut self.output)?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    /// The names of the tools that the server lists.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.hello["tools"].as_array().into_iter().flatten();
        tools.filter_map(Value::as_str).collect()
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> Result<Value, String> {
    let mut text = String::new();
    output.read_line(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("the client said {text:?}: {error}"))
}

impl Drop for Agent {
    fn drop(&mut self) {
        // End of input ends the client, and with it the connection and its server process.
        self.input.take();
        let _ = self.process.wait();
    }
}
