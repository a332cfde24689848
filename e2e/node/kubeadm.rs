//! `kubeadm init`, `join` and `reset`.

use std::{fs, path::Path};

use crate::{
    Outcome,
    cluster::{self, ADMIN, KUBELET, private},
    documents::{Documents, InitSettings},
    fault, join,
};

/// Tokens with which machines may join.
pub(crate) const TOKENS: &str = "/etc/kubernetes/bootstrap-tokens";

/// Where the cluster's API is known to be.
const ENDPOINT: &str = "/etc/kubernetes/endpoint";

const FLAGS: [&str; 5] =
    ["--skip-token-print", "--skip-phases=", "--v=", "--ignore-preflight-errors=", "--config="];

pub(crate) fn run(words: &[&str]) -> Outcome {
    match words {
        ["init", flags @ ..] => init(&configuration(flags)?),
        ["join", flags @ ..] => joined(&configuration(flags)?),
        ["reset", "--force" | "-f", ..] => reset(),
        ["token", "create", flags @ ..] => token(flags),
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
    cluster::prepare(&config)?;
    println!("[kubeconfig] Writing {ADMIN}");
    cluster::write_kubeconfigs(&config, &settings.endpoint)?;
    private(ENDPOINT, &settings.endpoint)?;
    private(TOKENS, &settings.tokens.iter().map(|token| format!("{token}\n")).collect::<String>())?;
    println!("[kubelet-start] Starting the cluster");
    cluster::start(&config)?;
    if settings.tainted {
        println!("[mark-control-plane] Tainting {}", settings.node_name);
        taint(&settings)?;
    }
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
    // A real one is the kubeconfig of the kubelet; see `join`.
    private(KUBELET, &format!("# of {}\n", settings.node_name))?;
    println!("This node has joined the cluster");
    Ok(())
}

fn reset() -> Outcome {
    if let Some(config) = cluster::known() {
        curtain_embedded::destroy(&config).map_err(|error| error.to_string())?;
    }
    for path in [ADMIN, KUBELET, TOKENS, ENDPOINT] {
        // What is not there needs no removal.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// Makes a token and prints how to join with it. It is good for the life of the cluster, whatever `--ttl` says.
fn token(flags: &[&str]) -> Outcome {
    let known = |flag: &&str| *flag == "--print-join-command" || flag.starts_with("--ttl=");
    if let Some(flag) = flags.iter().find(|flag| !known(flag)) {
        return Err(format!("unknown flag: {flag}"));
    }
    let endpoint = fs::read_to_string(ENDPOINT)
        .map_err(|error| format!("this is no control plane: {ENDPOINT}: {error}"))?;
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid")
        .map_err(|error| format!("random numbers: {error}"))?;
    let random: String = random.chars().filter(char::is_ascii_hexdigit).collect();
    let token = format!("{}.{}", &random[..6], &random[16..]);
    let mut tokens = fs::read_to_string(TOKENS).map_err(|error| format!("{TOKENS}: {error}"))?;
    tokens.push_str(&format!("{token}\n"));
    private(TOKENS, &tokens)?;
    if flags.contains(&"--print-join-command") {
        let authority = join::authority()?;
        println!(
            "kubeadm join {endpoint} --token {token} --discovery-token-ca-cert-hash {authority}"
        );
    } else {
        println!("{token}");
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
