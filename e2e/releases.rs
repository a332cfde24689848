//! Releases as a web server has them, on the loopback device.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use crate::Output;

/// A folder of releases and its server, which answers like a repository's `releases` does: files below
/// `download/v<version>`, and `latest/download` sends on to one of these. The server ends when dropped.
#[derive(Debug)]
pub struct Releases {
    dir: tempfile::TempDir,
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Releases {
    /// Serves no release yet; `latest` will be the latest one.
    pub fn serve(latest: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder for releases");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback device");
        let address = listener.local_addr().expect("the port");
        let ended = Arc::new(AtomicBool::new(false));
        let (root, latest, end) = (dir.path().to_owned(), latest.to_owned(), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Acquire) {
                    return;
                }
                // Who breaks off has had its answer.
                let _ = stream.and_then(|stream| answer(stream, &root, &latest));
            }
        });
        Self { dir, address, ended, thread: Some(thread) }
    }

    /// What `CURTAIN_INSTALL_BASE` is for this server.
    pub fn base(&self) -> String {
        format!("http://{}/releases", self.address)
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

impl Drop for Releases {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread up.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request and its answer; the connection ends with it.
fn answer(mut stream: TcpStream, root: &Path, latest: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let line = lines.next().transpose()?.unwrap_or_default();
    // The client has sent all of its request before it is answered.
    for header in lines.by_ref() {
        if header?.is_empty() {
            break;
        }
    }
    let path = line.split(' ').nth(1).and_then(|path| path.strip_prefix("/releases/"));
    let path = path.filter(|path| !path.contains("..")).unwrap_or_default();
    if let Some(name) = path.strip_prefix("latest/download/") {
        let to = format!("/releases/download/v{latest}/{name}");
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n");
        return stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes());
    }
    let (status, body) = match fs::read(root.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}
