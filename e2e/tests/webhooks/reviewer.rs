//! A webhook on the loopback device, over HTTPS, with an authority of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _, Result, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivatePkcs8KeyDer};
use serde_json::{Value, json};

/// How long a client may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);

type Seen = Arc<Mutex<Vec<(String, Value)>>>;

/// Answers reviews by the path that they are sent to; it ends when dropped, and then nobody listens there.
pub(crate) struct Reviewer {
    address: SocketAddr,
    bundle: String,
    seen: Seen,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reviewer {
    pub(crate) fn start() -> Self {
        let (config, bundle) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ended, seen) = (Arc::<AtomicBool>::default(), Seen::default());
        let (end, kept) = (ended.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Acquire) {
                    return;
                }
                let (config, kept) = (config.clone(), kept.clone());
                // Who breaks off misses the answer, which its kubectl tells.
                std::thread::spawn(move || stream.and_then(|stream| serve(stream, config, &kept)));
            }
        });
        Self { address, bundle, seen, ended, thread: Some(thread) }
    }

    /// How a configuration names the hook at this path.
    pub(crate) fn client(&self, path: &str) -> Value {
        json!({"url": format!("https://{}{path}", self.address), "caBundle": self.bundle})
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests of reviews since the last time, each with the path that it came to.
    pub(crate) fn seen(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Reviewer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread up.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A certificate for the address, and the authority's as configurations have it.
fn identity() -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let bundle = STANDARD.encode(params.self_signed(&key).unwrap().pem());
    let authority = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap().der().clone();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    (Arc::new(config), bundle)
}

/// One request of one connection.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, seen: &Seen) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let review: Value = serde_json::from_slice(&body)?;
    let request = &review["request"];
    let mut response = verdict(&path, request);
    response["uid"] = request["uid"].clone();
    seen.lock().unwrap().push((path, request.clone()));
    let kind = (&review["apiVersion"], &review["kind"]);
    let answer = json!({"apiVersion": kind.0, "kind": kind.1, "response": response}).to_string();
    let head = "HTTP/1.1 200 -\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let stream = reader.get_mut();
    write!(stream, "{head}content-length: {}\r\n\r\n{answer}", answer.len())?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn verdict(path: &str, request: &Value) -> Value {
    let object = &request["object"];
    match path {
        "/label" => {
            let patch = match object["metadata"]["labels"].is_object() {
                true => json!([{"op": "add", "path": "/metadata/labels/hooked", "value": "yes"}]),
                false => {
                    json!([{"op": "add", "path": "/metadata/labels", "value": {"hooked": "yes"}}])
                }
            };
            let patch = STANDARD.encode(patch.to_string());
            json!({"allowed": true, "patchType": "JSONPatch", "patch": patch})
        }
        "/deny" if object["data"]["deny"] == "please" => {
            json!({"allowed": false, "status": {"code": 403, "message": "not today, \"please\""}})
        }
        _ => json!({"allowed": true, "warnings": ["mind the gap"]}),
    }
}
