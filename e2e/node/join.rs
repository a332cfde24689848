//! How a worker becomes known.
//!
//! A real node proves itself with the bootstrap token, asks for a certificate and runs a kubelet, which registers it.
//! The embedded cluster has one node and its kubelet cannot run twice, so here the control plane registers an object
//! for a worker that knows the token, ready but closed to pods, for nothing would run them. What a provider does with
//! a worker is tested with it (containers, configuration, order, images, waiting); pods on workers are not.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use x509_parser::{
    pem::parse_x509_pem,
    prelude::{FromDer as _, X509Certificate},
};

use crate::{
    Outcome,
    cluster::{self, ADMIN},
    documents::{JoinSettings, host},
    kubeadm::TOKENS,
};

const PORT: u16 = 6444;
const LIMIT: Duration = Duration::from_secs(30);

/// Lets workers in, on the control plane's own address.
pub(crate) fn serve() -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT));
    let listener = listener.map_err(|error| format!("listen on port {PORT}: {error}"))?;
    for stream in listener.incoming().flatten() {
        let answer = match let_in(&stream) {
            Ok(()) => "joined".to_owned(),
            Err(error) => error,
        };
        // A worker that has gone away needs no answer.
        let _ = (&stream).write_all(answer.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
    }
    Ok(())
}

/// Asks the control plane at `settings.endpoint`.
pub(crate) fn ask(settings: &JoinSettings) -> Outcome {
    let host = host(&settings.endpoint);
    let fail = |error| format!("couldn't reach the control plane {host}: {error}");
    let mut stream = TcpStream::connect((host, PORT)).map_err(fail)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(fail)?;
    let pinned = settings.authorities.as_ref().map_or("any".to_owned(), |all| all.join(","));
    writeln!(stream, "{} {} {pinned}", settings.token, settings.node_name).map_err(fail)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(fail)?;
    if answer == "joined" { Ok(()) } else { Err(answer) }
}

fn let_in(stream: &TcpStream) -> Outcome {
    stream.set_read_timeout(Some(LIMIT)).map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(|error| error.to_string())?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let [token, name, pinned] = words[..] else {
        return Err("a token, a name and an authority are expected".to_owned());
    };
    let tokens = fs::read_to_string(TOKENS).map_err(|_| "this is no control plane".to_owned())?;
    if !tokens.lines().any(|known| known == token) {
        return Err("the bootstrap token is not known here".to_owned());
    }
    let own = authority()?;
    if pinned != "any" && !pinned.split(',').any(|hash| hash == own) {
        return Err(format!("none of the pinned authorities is the cluster's, {own}"));
    }
    register(name)
}

/// How kubeadm names an authority: the digest of its public key.
pub(crate) fn authority() -> Result<String, String> {
    let config = cluster::known().ok_or("this is no control plane")?;
    let path = config.pki().ca_cert;
    let pem = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (_, pem) = parse_x509_pem(&pem).map_err(|error| error.to_string())?;
    let (_, certificate) =
        X509Certificate::from_der(&pem.contents).map_err(|error| error.to_string())?;
    let digest = Sha256::digest(certificate.public_key().raw);
    Ok(format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

fn register(name: &str) -> Outcome {
    let admin = Path::new(ADMIN);
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
        }},
        "spec": {"unschedulable": true},
    });
    let status = json!({"status": {"conditions": [{
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "a stand-in is always ready",
    }]}});
    cluster::kubectl(admin, &["apply", "-f", "-"], Some(&node.to_string()))?;
    let status = status.to_string();
    let patch = ["patch", "node", name, "--subresource=status", "--type=merge", "-p", &status];
    cluster::kubectl(admin, &patch, None).map(drop)
}
