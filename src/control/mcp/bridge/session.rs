//! One client: where its messages go.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use curtain_role::http_client;
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{AbortHandle, JoinSet},
};

use super::{
    Behind, OwnTool, TokenSource, Upstream,
    message::{error, headers, key},
    own,
    upstream::Sender,
};

/// Requests under way at once.
const AT_ONCE: usize = 16;
/// How long requests under way may go on after the client closed its side.
const AFTERMATH: Duration = Duration::from_secs(5);

/// How long a server that cannot be reached is tried again: a role may be restarting. Less than the ten seconds that
/// clients give a server to start.
const PATIENCE: Duration = Duration::from_secs(8);
/// The same for a server that can be left out.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(2);

/// JSON-RPC's own codes.
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const INTERNAL_ERROR: i64 = -32603;

pub(super) struct Session {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    places: Arc<Semaphore>,
}

struct Shared {
    upstreams: Vec<Upstream>,
    own: Vec<Arc<dyn OwnTool>>,
    sender: Sender,
    answers: mpsc::Sender<String>,
    known: Mutex<Known>,
}

/// What the messages so far have told.
#[derive(Default)]
struct Known {
    /// The revision of `initialize`.
    negotiated: Option<String>,
    /// Which server has a tool.
    owners: BTreeMap<String, usize>,
    /// Requests under way.
    running: HashMap<String, AbortHandle>,
}

impl Session {
    pub(super) fn new(
        Behind { upstreams, own, instance }: Behind,
        tokens: Arc<dyn TokenSource>,
        answers: mpsc::Sender<String>,
    ) -> Self {
        let sender = Sender { http: http_client(), tokens, instance };
        let shared = Shared { upstreams, own, sender, answers, known: Mutex::default() };
        Self {
            shared: Arc::new(shared),
            tasks: JoinSet::new(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Takes one line of the client. Requests go on in the background.
    pub(super) async fn receive(&mut self, line: &[u8]) {
        while self.tasks.try_join_next().is_some() {}
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            return self
                .shared
                .answer(error(&Value::Null, PARSE_ERROR, "the line is not JSON"))
                .await;
        };
        let id = message["id"].clone();
        match (message["method"].as_str(), id.is_null()) {
            (Some("notifications/cancelled"), _) => {
                let cancelled = key(&message["params"]["requestId"]);
                if let Some(task) = self.shared.known().running.remove(&cancelled) {
                    task.abort();
                }
            }
            // The servers keep no sessions: a notification has nobody to change anything for. An answer answers
            // nothing, since they ask nothing.
            (Some(_), true) | (None, false) if message.is_object() => {}
            (Some("ping"), false) => {
                self.shared.answer(json!({"jsonrpc": "2.0", "id": id, "result": {}})).await;
            }
            (Some(_), false) => self.start(message, &id),
            _ => {
                let reason = "the message is not a JSON-RPC request or notification";
                self.shared.answer(error(&id, INVALID_REQUEST, reason)).await;
            }
        }
    }

    /// Begins a request. It waits for its place in the background, so that a cancellation is always heard.
    fn start(&mut self, message: Value, id: &Value) {
        let (shared, places) = (self.shared.clone(), self.places.clone());
        // Held until the request is noted: it takes its own note away when it is done.
        let mut known = self.shared.known();
        let task = self.tasks.spawn(async move {
            // The semaphore is never closed.
            let Ok(_place) = places.acquire_owned().await else { return };
            let answer = shared
                .handle(&message)
                .await
                .unwrap_or_else(|reason| error(&message["id"], INTERNAL_ERROR, &reason));
            shared.known().running.remove(&key(&message["id"]));
            shared.answer(answer).await;
        });
        known.running.insert(key(id), task);
    }

    /// Gives requests under way a moment to end.
    pub(super) async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(AFTERMATH, all).await.is_err() {
            tracing::warn!("requests were still under way when the client left");
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message to the writer; one that has gone away is its own error.
    async fn answer(&self, message: Value) {
        let _ = self.answers.send(message.to_string()).await;
    }

    async fn handle(&self, message: &Value) -> Result<Value, String> {
        match message["method"].as_str().unwrap_or_default() {
            "initialize" => {
                let answer = self.join_introductions(message).await?;
                let version = answer["result"]["protocolVersion"].as_str().map(str::to_owned);
                self.known().negotiated = version;
                Ok(answer)
            }
            "server/discover" => self.join_introductions(message).await,
            "tools/list" => self.join_tools(message).await,
            "tools/call" => {
                let name = message["params"]["name"].as_str().unwrap_or_default();
                if let Some(tool) = self.own.iter().find(|own| own.tool().name == name) {
                    return Ok(own::answer(&**tool, message).await);
                }
                let owner = self.owner(name, message).await;
                self.ask(owner, message, PATIENCE).await
            }
            _ => self.ask(0, message, PATIENCE).await,
        }
    }

    async fn ask(
        &self,
        upstream: usize,
        message: &Value,
        patience: Duration,
    ) -> Result<Value, String> {
        let negotiated = self.known().negotiated.clone();
        let headers = headers(message, negotiated.as_deref());
        let upstream = &self.upstreams[upstream];
        self.sender.ask(upstream, message, headers, patience, &self.answers).await
    }

    /// The answers of all servers, in their order. An error of the first is everybody's; of others it is logged.
    async fn ask_all(&self, message: &Value) -> Result<Vec<(usize, Value)>, String> {
        let asked = (0..self.upstreams.len()).map(|upstream| {
            let patience = if upstream == 0 { PATIENCE } else { PATIENCE_WITH_OTHERS };
            self.ask(upstream, message, patience)
        });
        let mut answers = Vec::new();
        for (upstream, answer) in futures::future::join_all(asked).await.into_iter().enumerate() {
            match answer {
                Ok(answer) => answers.push((upstream, answer)),
                Err(reason) if upstream == 0 => return Err(reason),
                Err(reason) => tracing::warn!(reason, "a server is left out"),
            }
        }
        Ok(answers)
    }

    /// The first server's answer, with what the others say to agents added.
    async fn join_introductions(&self, message: &Value) -> Result<Value, String> {
        let mut answers = self.ask_all(message).await?.into_iter().map(|(_, answer)| answer);
        let mut first = answers.next().unwrap_or_default();
        if first["result"].is_object() {
            let own = first["result"]["instructions"].as_str().map(str::to_owned);
            let others = answers
                .filter_map(|answer| Some(answer["result"]["instructions"].as_str()?.to_owned()));
            let all: Vec<String> = own.into_iter().chain(others).collect();
            if !all.is_empty() {
                first["result"]["instructions"] = json!(all.join("\n"));
            }
        }
        Ok(first)
    }

    /// One list of all servers' tools; of two with the same name the first counts.
    async fn join_tools(&self, message: &Value) -> Result<Value, String> {
        let mut joined = Value::Null;
        let mut owners = BTreeMap::new();
        let mut tools: Vec<Value> = self.own.iter().map(|tool| own::described(&**tool)).collect();
        for (upstream, mut answer) in self.ask_all(message).await? {
            let listed = answer["result"]["tools"].take();
            for tool in listed.as_array().cloned().unwrap_or_default() {
                let name = tool["name"].as_str().unwrap_or_default().to_owned();
                if self.own.iter().any(|own| own.tool().name == name) {
                    continue;
                }
                if let Entry::Vacant(free) = owners.entry(name) {
                    free.insert(upstream);
                    tools.push(tool);
                }
            }
            if joined.is_null() {
                joined = answer;
            }
        }
        if joined["result"].is_object() {
            joined["result"]["tools"] = json!(tools);
            self.known().owners = owners;
        }
        Ok(joined)
    }

    /// The server that has the tool `name`; the first when nobody says so.
    async fn owner(&self, name: &str, message: &Value) -> usize {
        if let Some(owner) = self.known().owners.get(name) {
            return *owner;
        }
        if self.upstreams.len() > 1 {
            let mut list =
                json!({"jsonrpc": "2.0", "id": "owners", "method": "tools/list", "params": {}});
            if let Some(meta) = message["params"].get("_meta") {
                list["params"]["_meta"] = meta.clone();
            }
            if let Err(reason) = self.join_tools(&list).await {
                tracing::warn!(reason, "cannot ask which server has the tool");
            }
        }
        self.known().owners.get(name).copied().unwrap_or(0)
    }
}
