//! What this machine and the instance's own files say.

use std::time::Duration;

use curtain_machine::resources::kernel;
use jiff::Timestamp;
use serde_json::json;

use super::{Collector, cluster::tail, folder::Folder};
use crate::{Home, Homes, Instance, doctor::doctor, instance::build_id, memory, status::status};

/// How long looking at the machine, or asking the planes, may take.
const LOOK: Duration = Duration::from_secs(15);

/// Adds what needs no cluster that answers.
pub(super) async fn collect(
    folder: &mut Folder,
    homes: &Homes,
    home: &Home,
    collector: &Collector,
    now: Timestamp,
) {
    let program = collector.program.clone();
    let build = tokio::task::spawn_blocking(move || build_id(&program)).await;
    let build = build.ok().and_then(Result::ok).map(|(build, _)| build);
    let instance = Instance::read(home).ok().flatten();
    folder.json(
        "about.json",
        &json!({
            "collected": now,
            "version": collector.version,
            "build": build,
            "instance": home.name(),
            "instanceBuild": instance.as_ref().map(|instance| &instance.build),
            "provider": instance.as_ref().map(|instance| &instance.provider),
            "system": std::env::consts::OS,
            "kernel": kernel(),
            "architecture": std::env::consts::ARCH,
        }),
    );
    for path in [home.ledger(), home.state(), home.lease(), home.pause()] {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Few instances have a lease or are paused.
        if path.exists() {
            match tail(&path) {
                Ok(bytes) => folder.add(name, bytes),
                Err(error) => folder.missing(&name, error),
            }
        } else if [home.ledger(), home.state()].contains(&path) {
            folder.missing(&name, "it is not there");
        }
    }
    if let Some(checks) =
        folder.wait("doctor.json", LOOK, doctor(homes, home, &collector.around)).await
    {
        folder.json("doctor.json", &checks);
    }
    if let Some(status) = folder.wait("status.json", LOOK, status(homes, home)).await {
        folder.json("status.json", &status);
    }
    folder.json("memory.json", &memory::of(home).await);
}
