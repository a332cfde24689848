//! `kubeadm init`, `join` and `reset`.

use std::{fs, path::Path};

use crate::{
    Outcome,
    cluster::{self, ADMIN},
    documents::{Documents, InitSettings},
    fault, join,
};

/// Tokens with which machines may join.
pub(crate) const TOKENS: &str = "/etc/kubernetes/bootstrap-tokens";

const FLAGS: [&str; 5] =
    ["--skip-token-print", "--skip-phases=", "--v=", "--ignore-preflight-errors=", "--config="];

pub(crate) fn run(words: &[&str]) -> Outcome {
    match words {
        ["init", flags @ ..] => init(&configuration(flags)?),
        ["join", flags @ ..] => joined(&configuration(flags)?),
        ["reset", "--force" | "-f", ..] => reset(),
        ["version", ..] => version().map(|version| println!("{version}")),
        _ => Err(format!("kubeadm: unknown command {words:?}")),
    }
}

fn init(documents: &Documents) -> Outcome {
    let version = version()?;
    println!("[init] Using Kubernetes version: {version}");
    fault::at("init")?;
    let settings = documents.init(&hostname()?, &version)?;
    let config = cluster::config(&settings)?;
    println!("[certs] Keys and certificates are below {}", config.home.display());
    cluster::start(&config)?;
    println!("[kubeconfig] Writing {ADMIN}");
    cluster::write_admin(&config, &settings.endpoint)?;
    println!("[mark-control-plane] Tainting {}", settings.node_name);
    taint(&settings)?;
    private(TOKENS, &settings.tokens.join("\n"))?;
    println!("Your Kubernetes control-plane has initialized successfully!");
    Ok(())
}

/// Pods wait until whoever set the cluster up takes this away, as on any control plane.
fn taint(settings: &InitSettings) -> Outcome {
    let words = [
        "taint",
        "node",
        &settings.node_name,
        "node-role.kubernetes.io/control-plane:NoSchedule",
        "--overwrite",
    ];
    cluster::kubectl(Path::new(ADMIN), &words, None).map(drop)
}

fn joined(documents: &Documents) -> Outcome {
    fault::at("join")?;
    let settings = documents.join(&hostname()?)?;
    println!("[discovery] Asking {} to let this node in", settings.endpoint);
    join::ask(&settings)?;
    println!("This node has joined the cluster");
    Ok(())
}

fn reset() -> Outcome {
    if let Some(config) = cluster::known() {
        curtain_embedded::destroy(&config).map_err(|error| error.to_string())?;
    }
    for path in [ADMIN, TOKENS] {
        // What is not there needs no removal.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

fn configuration(flags: &[&str]) -> Result<Documents, String> {
    if let Some(flag) = flags.iter().find(|flag| !FLAGS.iter().any(|known| flag.starts_with(known)))
    {
        return Err(format!("unknown flag: {flag}"));
    }
    let path = flags.iter().find_map(|flag| flag.strip_prefix("--config="));
    let path = path.ok_or("this kubeadm needs --config=FILE")?;
    let text = fs::read_to_string(path)
        .map_err(|error| format!("unable to read config from {path}: {error}"))?;
    Documents::parse(&text, &version()?)
}

fn version() -> Result<String, String> {
    let text =
        fs::read_to_string("/kind/version").map_err(|error| format!("/kind/version: {error}"))?;
    Ok(text.trim().to_owned())
}

fn hostname() -> Result<String, String> {
    let name = nix::unistd::gethostname().map_err(|errno| format!("host name: {errno}"))?;
    Ok(name.to_string_lossy().into_owned())
}

fn private(path: &str, text: &str) -> Outcome {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{path}: {error}"))
}
