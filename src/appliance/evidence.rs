//! An archive of what the nodes of an instance say.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{Home, Instance, support};

/// Collects what the provider knows about the nodes of `instance`, without credentials, into an archive in the folder
/// `into`. `None` where
/// nothing could be had: the error that it should explain is worth more than the one about it.
pub(crate) async fn archive(home: &Home, instance: &Instance, into: &Path) -> Option<PathBuf> {
    let provider = curtain_provider::by_name(&instance.provider).ok()?;
    let spec = instance.cluster(home);
    let collected = tempfile::tempdir().ok()?;
    // Some of it is better than nothing.
    let _ = provider.evidence(&spec, collected.path()).await;
    fs::read_dir(collected.path()).ok()?.next()?.ok()?;
    support::mask(collected.path(), home).ok()?;
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let path = into.join(format!("curtain-evidence-{}-{time}.tar.gz", instance.name));
    pack(collected.path(), &path).ok()?;
    Some(path)
}

/// Packs the folder `from`; only the user reads what comes out.
fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let file: File = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to)?;
    let mut archive =
        tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::default()));
    archive.append_dir_all("evidence", from)?;
    archive.into_inner()?.finish()?.sync_all()
}
