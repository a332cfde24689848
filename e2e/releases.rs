//! Releases as a web server has them, on the loopback device.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Output,
    loopback::{Loopback, Response},
};

/// A folder of releases and its server, which answers like a repository's `releases` does: files below
/// `download/v<version>`, and `latest/download` sends on to one of these. The server ends when dropped.
#[derive(Debug)]
pub struct Releases {
    dir: tempfile::TempDir,
    server: Loopback,
}

impl Releases {
    /// Serves no release yet; `latest` will be the latest one.
    pub fn serve(latest: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder for releases");
        let (root, latest) = (dir.path().to_owned(), latest.to_owned());
        let server = Loopback::serve(move |request| answer(&request.path, &root, &latest));
        Self { dir, server }
    }

    /// What `CURTAIN_INSTALL_BASE` is for this server.
    pub fn base(&self) -> String {
        format!("http://{}/releases", self.server.address())
    }

    /// The folder with the files of a version.
    pub fn files(&self, version: &str) -> PathBuf {
        let dir = self.dir.path().join(format!("download/v{version}"));
        fs::create_dir_all(&dir).expect("a folder for a release");
        dir
    }

    /// Adds the archive of a program for `target` to a version, as `scripts/release/package` packs it, and its sums.
    #[track_caller]
    pub fn add(&self, version: &str, target: &str, program: &str) {
        let (files, stage) = (self.files(version), tempfile::tempdir().expect("a folder to pack"));
        let name = format!("curtain-{version}-{target}");
        let binary = stage.path().join(&name).join("curtain");
        fs::create_dir(stage.path().join(&name)).expect("the archive's folder");
        fs::write(&binary, program).expect("the program");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("an executable");
        let archive = files.join(format!("{name}.tar.gz"));
        let mut tar = Command::new("tar");
        Output::of(tar.arg("-C").arg(stage.path()).arg("-czf").arg(archive).arg(&name)).success();
        self.sum(version);
    }

    /// Writes SHA256SUMS of a version anew.
    #[track_caller]
    pub fn sum(&self, version: &str) {
        let mut sums = Command::new("sh");
        sums.args(["-c", "rm -f SHA256SUMS; sha256sum * > .sums; mv .sums SHA256SUMS"]);
        Output::of(sums.current_dir(self.files(version))).success();
    }
}

fn answer(path: &str, root: &Path, latest: &str) -> Response {
    let path = path.strip_prefix("/releases/").filter(|path| !path.contains(".."));
    let path = path.unwrap_or_default();
    if let Some(name) = path.strip_prefix("latest/download/") {
        let to = format!("/releases/download/v{latest}/{name}");
        return Response::new(302, "").with("location", to);
    }
    match fs::read(root.join(path)) {
        Ok(body) => Response::new(200, body),
        Err(_) => Response::new(404, ""),
    }
}
