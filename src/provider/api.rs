//! Waiting for the API of a cluster, whoever made it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

/// First pause between two tries of the API; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// Longest pause between two tries of the API.
const LONGEST_PAUSE: Duration = Duration::from_millis(40);
/// How long one try may take.
const TRY: Duration = Duration::from_secs(2);

/// Why an API was waited for in vain.
pub(crate) enum Silence {
    /// Nobody is there any more who could answer.
    Dead,
    /// Time was over; what the last try said.
    Late(String),
}

/// Waits until the API that `kubeconfig` leads to is ready, for as long as whoever serves it is `alive`.
///
/// # Errors
/// Nobody who serves it, or no answer in `timeout`.
pub(crate) async fn wait(
    kubeconfig: &Path,
    timeout: Duration,
    alive: impl Fn() -> bool,
) -> Result<(), Silence> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(last) = answers(kubeconfig).await else { return Ok(()) };
        if !alive() {
            return Err(Silence::Dead);
        }
        if started.elapsed() >= timeout {
            return Err(Silence::Late(last));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How the API that `kubeconfig` leads to is reached: directly, as it is on this machine, whatever the environment says
/// about proxies.
///
/// # Errors
/// A kubeconfig that cannot be used.
pub async fn direct(kubeconfig: &Path) -> Result<kube::Config, KubeconfigError> {
    let mut kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        // Without one here the environment is asked, and what it says need not even be a URL.
        cluster.proxy_url = Some("http://localhost".to_owned());
    }
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.proxy_url = None;
    Ok(config)
}

/// Asks the API once whether it is ready.
///
/// # Errors
/// Why it is not, in words.
pub(crate) async fn answers(kubeconfig: &Path) -> Result<(), String> {
    if !kubeconfig.exists() {
        return Err("its keys are not made yet".to_owned());
    }
    let ask = async {
        let config = direct(kubeconfig).await.map_err(|error| error.to_string())?;
        let client = kube::Client::try_from(config).map_err(|error| error.to_string())?;
        let request =
            http::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
        client.request_text(request).await.map(drop).map_err(|error| error.to_string())
    };
    match tokio::time::timeout(TRY, ask).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", TRY.as_secs())),
    }
}
