//! What explains a node: its container, its log, its journal, and what runs in it.

use std::{fs, path::Path, time::Duration};

use bollard::query_parameters::LogsOptions;
use curtain_machine::files::private;
use futures::{StreamExt, future::join_all};

use super::{engine::Engine, names, nodes};
use crate::{ClusterSpec, Error};

/// How long one question to a node may take.
const ANSWER: Duration = Duration::from_secs(20);

/// What is asked in a node, and the file that the answer goes to.
const QUESTIONS: &[(&str, &[&str])] = &[
    ("journal.log", &["journalctl", "--no-pager", "--lines=20000"]),
    ("kubelet.log", &["journalctl", "--no-pager", "--unit=kubelet", "--lines=20000"]),
    ("containerd.log", &["journalctl", "--no-pager", "--unit=containerd", "--lines=5000"]),
    ("containers.txt", &["crictl", "ps", "--all"]),
    ("images.txt", &["crictl", "images"]),
    ("units.txt", &["systemctl", "list-units", "--no-pager", "--failed"]),
    ("version.txt", &["cat", "/kind/version"]),
];

/// Writes a folder for every node into `into`.
///
/// # Errors
/// The first answer that could not be had or written; the others are written all the same.
pub(crate) async fn collect(engine: &Engine, spec: &ClusterSpec, into: &Path) -> Result<(), Error> {
    let nodes = names::nodes(spec);
    let each = nodes.iter().map(|node| one(engine, &node.name, into));
    join_all(each).await.into_iter().collect()
}

async fn one(engine: &Engine, node: &str, into: &Path) -> Result<(), Error> {
    let Some(found) = nodes::inspect(engine, node).await? else { return Ok(()) };
    let folder = into.join(node);
    let mut outcome = fs::create_dir_all(&folder).map_err(|source| Error::File {
        verb: "create",
        path: folder.clone(),
        source,
    });
    let inspected = serde_json::to_string_pretty(&found).unwrap_or_default();
    outcome = outcome.and(save(&folder, "inspect.json", &inspected));
    outcome = outcome.and(save(&folder, "console.log", &console(engine, node).await));
    let running = found.state.and_then(|state| state.running).unwrap_or(false);
    if !running {
        return outcome;
    }
    for (file, question) in QUESTIONS {
        let asked = tokio::time::timeout(ANSWER, engine.exec(node, question, None, &|_| {})).await;
        let written = match asked {
            Ok(Ok(output)) => save(&folder, file, &format!("{}{}", output.stdout, output.stderr)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Program {
                node: node.to_owned(),
                command: question.join(" "),
                code: -1,
                said: format!("  (no answer within {} s)", ANSWER.as_secs()),
            }),
        };
        outcome = outcome.and(written);
    }
    outcome
}

/// What the node wrote to its terminal; what cannot be read is missing.
async fn console(engine: &Engine, node: &str) -> String {
    let options = LogsOptions {
        stdout: true,
        stderr: true,
        tail: "5000".to_owned(),
        ..LogsOptions::default()
    };
    let mut log = Box::pin(engine.api().logs(node, Some(options)));
    let mut text = String::new();
    let reading = async {
        while let Some(Ok(part)) = log.next().await {
            text.push_str(&String::from_utf8_lossy(part.as_ref()));
        }
    };
    // A log that does not end is cut off.
    let _ = tokio::time::timeout(ANSWER, reading).await;
    text
}

fn save(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    use std::io::Write;
    let path = folder.join(name);
    let write = || {
        let mut file = private().create(true).write(true).truncate(true).open(&path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|source| Error::File { verb: "write", path: path.clone(), source })
}
