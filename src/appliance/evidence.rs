//! An archive of what the nodes of an instance say.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use curtain_machine::files::private;

use crate::{Home, Instance, support};

/// Collects what the provider knows about the nodes of `instance`, without credentials, into an archive in the folder
/// `into`. `None` where nothing could be had: the error that it should explain is worth more than the one about it.
pub(crate) async fn archive(home: &Home, instance: &Instance, into: &Path) -> Option<PathBuf> {
    let provider = curtain_provider::by_name(&instance.provider).ok()?;
    let spec = instance.cluster(home);
    let collected = tempfile::tempdir().ok()?;
    // Some of it is better than nothing.
    let _ = provider.evidence(&spec, collected.path()).await;
    fs::read_dir(collected.path()).ok()?.next()?.ok()?;
    let now = jiff::Timestamp::now();
    let archive = support::packed(collected.path(), home, "evidence", now).ok()?;
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let path = into.join(format!("curtain-evidence-{}-{time}.tar.gz", instance.name));
    save(&path, &archive).ok()?;
    Some(path)
}

/// Only the user reads it, and nothing that is there is written over.
fn save(path: &Path, archive: &[u8]) -> io::Result<()> {
    let mut file = private().create_new(true).write(true).open(path)?;
    file.write_all(archive)?;
    file.sync_all()
}
