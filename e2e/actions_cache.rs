//! The cache that GitHub's runners offer to actions: its service and its storage, on the loopback device.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use crate::loopback::{Loopback, Request, Response};

const SERVICE: &str = "/twirp/github.actions.results.api.v1.CacheService/";
/// What signs the URLs of the storage.
const SIGNATURE: &str = "c2lnbmF0dXJl%2Bof%2Ftests%3D";
const TOKEN: &str = "token-of-the-runner";

/// The cache of one repository. It ends when dropped.
#[derive(Debug)]
pub struct ActionsCache {
    store: Arc<Mutex<Store>>,
    server: Loopback,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    #[default]
    Fair,
    /// Every request fails the first time that it is made.
    Flaky,
    /// Nothing is answered but that it cannot be.
    Down,
    /// What is downloaded ends in its middle.
    Cut,
    /// Nothing may be written, as for a pull request of somebody else.
    ReadOnly,
}

#[derive(Debug, Default)]
struct Store {
    entries: Vec<Entry>,
    weather: Weather,
    /// Method, path and key of each request.
    asked: Vec<String>,
}

#[derive(Debug, Default)]
struct Entry {
    key: String,
    version: String,
    blocks: BTreeMap<String, Vec<u8>>,
    content: Vec<u8>,
    is_whole: bool,
}

impl ActionsCache {
    /// A cache without entries.
    pub fn serve() -> Self {
        let store = Arc::new(Mutex::new(Store::default()));
        let own = Arc::clone(&store);
        let server = Loopback::serve(move |request| lock(&own).answer(request));
        Self { store, server }
    }

    /// What a runner puts into the environment of an action.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ACTIONS_CACHE_SERVICE_V2", "true".to_owned()),
            ("ACTIONS_RESULTS_URL", format!("http://{}/", self.server.address())),
            ("ACTIONS_RUNTIME_TOKEN", TOKEN.to_owned()),
        ]
    }

    /// The same for a runner that reaches nothing but this proxy.
    pub fn environment_behind_a_proxy(&self) -> Vec<(&'static str, String)> {
        let mut environment = self.environment();
        environment.push(("http_proxy", format!("http://{}", self.server.address())));
        environment.push(("ACTIONS_RESULTS_URL", "http://results.invalid/".to_owned()));
        environment
    }

    /// What nobody may print.
    pub fn secrets(&self) -> [&'static str; 2] {
        [TOKEN, SIGNATURE]
    }

    /// Changes what goes wrong.
    pub fn set(&self, weather: Weather) {
        lock(&self.store).weather = weather;
    }

    /// The keys of all entries that are whole.
    pub fn keys(&self) -> Vec<String> {
        let store = lock(&self.store);
        store.entries.iter().filter(|one| one.is_whole).map(|one| one.key.clone()).collect()
    }

    /// Method, path and key of each request since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.store).asked)
    }

    /// Gives every entry another content.
    pub fn replace(&self, content: &[u8]) {
        lock(&self.store).entries.iter_mut().for_each(|one| content.clone_into(&mut one.content));
    }
}

impl Store {
    fn answer(&mut self, request: &Request) -> Response {
        let message: Option<Value> = serde_json::from_slice(&request.body).ok();
        let key = message.as_ref().and_then(|message| message["key"].as_str()).unwrap_or_default();
        let asked = format!("{} {} {key}", request.method, request.path);
        let again = self.asked.contains(&asked);
        self.asked.push(asked);
        if self.weather == Weather::Down || self.weather == Weather::Flaky && !again {
            return Response::new(503, "<html>come back later</html>");
        }
        if let Some(method) = request.path.strip_prefix(SERVICE) {
            if request.header("authorization") != format!("Bearer {TOKEN}") {
                return Response::new(401, json!({"code": "unauthenticated"}).to_string());
            }
            let Some(message) = message else {
                return Response::new(400, json!({"code": "malformed"}).to_string());
            };
            let (status, answer) = self.call(method, &message, request.header("host"));
            return Response::new(status, answer.to_string())
                .with("content-type", "application/json");
        }
        let (path, query) = request.path.split_once('?').unwrap_or_default();
        let parameters: BTreeMap<_, _> =
            query.split('&').filter_map(|one| one.split_once('=')).collect();
        let number = path.strip_prefix("/storage/").and_then(|it| it.parse::<usize>().ok());
        let entry = number.and_then(|number| self.entries.get_mut(number));
        let (Some(entry), Some(&SIGNATURE)) = (entry, parameters.get("sig")) else {
            return Response::new(403, format!("<Error>{}</Error>", request.path));
        };
        match (request.method.as_str(), parameters.get("comp")) {
            ("GET", None) => {
                let response = Response::new(200, entry.content.clone());
                if self.weather == Weather::Cut { response.broken() } else { response }
            }
            ("PUT", operation) => entry.put(operation.copied(), &parameters, &request.body),
            _ => Response::new(405, ""),
        }
    }

    fn call(&mut self, method: &str, message: &Value, host: &str) -> (u16, Value) {
        let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
        let (key, version) = (text("key"), text("version"));
        let url = |at: usize| format!("http://{host}/storage/{at}?se=tomorrow&sig={SIGNATURE}");
        let mine = |one: &Entry| one.key == key && one.version == version;
        match method {
            "GetCacheEntryDownloadURL" => {
                let whole = || self.entries.iter().rposition(|one| mine(one) && one.is_whole);
                let beginnings = message["restore_keys"].as_array().into_iter().flatten();
                let found = whole().or_else(|| {
                    beginnings.filter_map(Value::as_str).find_map(|beginning| {
                        self.entries.iter().rposition(|one| {
                            one.is_whole && one.version == version && one.key.starts_with(beginning)
                        })
                    })
                });
                let Some(at) = found else { return (200, json!({"ok": false})) };
                let key = &self.entries[at].key;
                (200, json!({"ok": true, "signed_download_url": url(at), "matched_key": key}))
            }
            "CreateCacheEntry" if self.weather == Weather::ReadOnly => {
                let why = "cache write denied: the token may only read";
                (200, json!({"ok": false, "message": why}))
            }
            "CreateCacheEntry" => {
                if self.entries.iter().any(mine) {
                    return (409, json!({"code": "already_exists", "msg": "there is one"}));
                }
                self.entries.push(Entry { key, version, ..Entry::default() });
                (200, json!({"ok": true, "signed_upload_url": url(self.entries.len() - 1)}))
            }
            "FinalizeCacheEntryUpload" => {
                let Some(entry) = self.entries.iter_mut().find(|one| mine(one)) else {
                    return (404, json!({"code": "not_found", "msg": "nobody made it"}));
                };
                entry.is_whole = text("size_bytes") == entry.content.len().to_string();
                (200, json!({"ok": entry.is_whole, "entry_id": "1"}))
            }
            _ => (404, json!({"code": "bad_route"})),
        }
    }
}

impl Entry {
    /// Takes a block, the list of them, or everything at once, as block blobs of Azure do.
    fn put(
        &mut self,
        operation: Option<&str>,
        parameters: &BTreeMap<&str, &str>,
        body: &[u8],
    ) -> Response {
        match operation {
            Some("block") => {
                let id = parameters.get("blockid").copied().unwrap_or_default();
                self.blocks.insert(id.replace("%3D", "="), body.to_owned());
            }
            Some("blocklist") => {
                let list = String::from_utf8_lossy(body);
                let ids = list.split("<Latest>").skip(1).filter_map(|it| it.split('<').next());
                let blocks: Option<Vec<_>> = ids.map(|id| self.blocks.get(id).cloned()).collect();
                let Some(blocks) = blocks else {
                    return Response::new(400, "<Error>InvalidBlockList</Error>");
                };
                self.content = blocks.concat();
            }
            None => body.clone_into(&mut self.content),
            Some(_) => return Response::new(400, ""),
        }
        Response::new(201, "")
    }
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
