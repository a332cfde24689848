//! A Docker Engine of the test's own: Debian's `dockerd`, started by hand inside of the test's namespaces.
//!
//! One daemon serves a whole test program; tests take turns with it. Its containers, bridges and packet filter rules are
//! in the program's own namespaces, and its data is in memory, on a mount that nobody else sees: with the program's
//! last process, all of it is gone. The machine's own Docker, if there is one, is neither asked nor touched.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    mount::{MsFlags, mount},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{Output, apart, busybox_archive, eventually, node_image};

/// Where the Engine is mounted: a directory that every Debian has, and nobody needs during a test.
const DIR: &str = "/srv";
/// An image that is no node image.
const BUSYBOX: &str = "docker.io/library/curtain-e2e-busybox:1";

const LIMIT: Duration = Duration::from_secs(60);

static DAEMON: OnceLock<Mutex<Child>> = OnceLock::new();
static NODE_IMAGE: OnceLock<String> = OnceLock::new();
static REAL_IMAGE: OnceLock<String> = OnceLock::new();

/// The program's Engine, for one test's turn. What the test leaves in it when it fails is removed with this value.
#[derive(Debug)]
pub struct Engine {
    before: BTreeSet<String>,
    _turn: MutexGuard<'static, ()>,
}

impl Engine {
    /// Waits for this test's turn and, for the program's first one, starts the daemon.
    #[track_caller]
    pub fn start() -> Self {
        let turn = apart::turn();
        let mut engine = Self { before: BTreeSet::new(), _turn: turn };
        DAEMON.get_or_init(|| {
            let size = Some("mode=755,size=6g");
            mount(Some("tmpfs"), DIR, Some("tmpfs"), MsFlags::empty(), size)
                .expect("mount a tmpfs");
            fs::write(Path::new(DIR).join("daemon.json"), "{}").expect("write the settings");
            let daemon = Mutex::new(spawn());
            engine.wait(&mut lock(&daemon));
            engine.warm_up();
            daemon
        });
        engine.before = engine.scan();
        engine
    }

    /// The socket of its API.
    pub fn socket(&self) -> PathBuf {
        Path::new(DIR).join("docker.sock")
    }

    /// The value of `DOCKER_HOST` that leads to it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Runs Docker's command line with it.
    pub fn docker(&self, args: &[&str]) -> Output {
        Output::of(&mut self.command(args))
    }

    /// `docker ARGS`, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", self.host()).env("DOCKER_CONFIG", DIR);
        command.env_remove("DOCKER_CONTEXT");
        command
    }

    /// Everything that the Engine has: containers, images, networks and volumes, with labels.
    #[track_caller]
    pub fn scan(&self) -> BTreeSet<String> {
        let lists: [(&str, &[&str], &str); 4] = [
            ("container", &["--all", "--no-trunc"], "{{.ID}} {{.Names}} {{.Image}} {{.Labels}}"),
            ("image", &["--all", "--no-trunc"], "{{.ID}} {{.Repository}}:{{.Tag}}"),
            // The others are made anew by each daemon.
            (
                "network",
                &["--no-trunc", "--filter=type=custom"],
                "{{.ID}} {{.Name}} {{.Driver}} {{.Labels}}",
            ),
            ("volume", &[], "{{.Name}} {{.Labels}}"),
        ];
        let mut found = BTreeSet::new();
        for (kind, options, format) in lists {
            let args = [&[kind, "ls", "--format", format], options].concat();
            let text = self.docker(&args).success();
            found.extend(text.lines().map(|line| {
                // Labels come last, in another order each time.
                let (line, labels) = line.trim().rsplit_once(' ').unwrap_or((line.trim(), ""));
                let labels: BTreeSet<_> = labels.split(',').collect();
                format!("{kind} {line} {}", labels.into_iter().collect::<Vec<_>>().join(","))
            }));
        }
        found
    }

    /// Panics with what there is and was not at an earlier scan, or the other way round.
    #[track_caller]
    pub fn assert_as(&self, before: &BTreeSet<String>) {
        let now = self.scan();
        let left: Vec<_> = now.difference(before).collect();
        let lost: Vec<_> = before.difference(&now).collect();
        assert!(left.is_empty() && lost.is_empty(), "left behind: {left:#?}\nlost: {lost:#?}");
    }

    /// Loads an archive as `docker save` writes it, and returns the reference of its image.
    #[track_caller]
    pub fn load(&self, archive: &Path) -> String {
        let said = self.docker(&["load", "--quiet", "--input", &archive.to_string_lossy()]);
        let said = said.success();
        said.trim().trim_start_matches("Loaded image: ").to_owned()
    }

    /// The node image, loaded by the first test that wants it; its reference. It is the one in the archive that
    /// `CURTAIN_KIND_NODE_IMAGE` names, or else the one made for the tests.
    #[track_caller]
    pub fn load_node_image(&self) -> String {
        match std::env::var_os("CURTAIN_KIND_NODE_IMAGE").filter(|archive| !archive.is_empty()) {
            Some(archive) => REAL_IMAGE.get_or_init(|| self.load(Path::new(&archive))).clone(),
            None => self.load_stand_in(),
        }
    }

    /// The node image that is made for the tests.
    #[track_caller]
    fn load_stand_in(&self) -> String {
        let image = NODE_IMAGE.get_or_init(|| {
            let archive = Path::new(DIR).join("node.tar");
            node_image::write(&archive).expect("write the node image");
            self.load(&archive);
            fs::remove_file(&archive).expect("remove the archive");
            node_image::REFERENCE.to_owned()
        });
        image.clone()
    }

    /// A variant of the node image in which something goes wrong: `<point>-fails` or `<point>-hangs`, where the point is
    /// `entrypoint`, `init`, `join` or `import`.
    #[track_caller]
    pub fn load_faulty_node_image(&self, fault: &str) -> String {
        let image = self.load_stand_in();
        let variant = format!("{}-{fault}", node_image::REFERENCE);
        let container = self.docker(&["create", &image]).success();
        let change = format!("ENV CURTAIN_NODE_FAULT={fault}");
        self.docker(&["commit", "--change", &change, container.trim(), &variant]).success();
        self.docker(&["rm", "--volumes", container.trim()]).success();
        variant
    }

    /// An image that is not a node image at all.
    pub fn busybox(&self) -> String {
        BUSYBOX.to_owned()
    }

    /// Ends the daemon as a service manager does, containers included, and starts it again.
    #[track_caller]
    pub fn restart(&self) {
        let mut daemon = lock(self.daemon());
        self.signal(&daemon, Signal::SIGTERM);
        eventually("the Engine to end", LIMIT, || match daemon.try_wait() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        });
        *daemon = spawn();
        self.wait(&mut daemon);
    }

    /// Makes the daemon stop answering: connections are accepted by the kernel, and nothing happens.
    pub fn freeze(&self) {
        self.signal(&lock(self.daemon()), Signal::SIGSTOP);
    }

    /// The end of [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal(&lock(self.daemon()), Signal::SIGCONT);
    }

    fn daemon(&self) -> &'static Mutex<Child> {
        DAEMON.get().expect("the daemon was started with this value")
    }

    #[track_caller]
    fn signal(&self, daemon: &Child, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(daemon.id()).expect("a process id"));
        kill(pid, signal).expect("send the daemon a signal");
    }

    fn wait(&self, daemon: &mut Child) {
        let start = Instant::now();
        eventually("the Engine to answer", LIMIT, || {
            if let Ok(Some(status)) = daemon.try_wait() {
                panic!("dockerd ended with {status} after {:?}: {}", start.elapsed(), log());
            }
            self.docker(&["version"]).ok().map_err(|error| format!("{error}\n{}", log()))
        });
    }

    /// A first container leaves directories and control groups that are the Engine's own.
    fn warm_up(&self) {
        let archive = Path::new(DIR).join("busybox.tar");
        busybox_archive(&archive, BUSYBOX, "no node").expect("write the busybox image");
        self.load(&archive);
        fs::remove_file(&archive).expect("remove the archive");
        self.docker(&["network", "create", "warm-up"]).success();
        self.docker(&["run", "--rm", "--network", "warm-up", BUSYBOX, "/bin/echo"]).success();
        self.docker(&["network", "rm", "warm-up"]).success();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        // Another test's turn comes next; a daemon that was frozen has to live for it.
        self.thaw();
        let now = self.scan();
        for kind in ["container", "network", "volume"] {
            for one in now.difference(&self.before).filter(|one| one.starts_with(kind)) {
                let Some(name) = one.split(' ').nth(1) else { continue };
                let force: &[&str] = if kind == "network" { &[] } else { &["--force"] };
                let _ = self.docker(&[&[kind, "rm"], force, &[name]].concat());
            }
        }
    }
}

fn spawn() -> Child {
    let dir = Path::new(DIR);
    let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let log = fs::File::options().create(true).append(true).open(path("log")).expect("open a log");
    Command::new("dockerd")
        .args(["--config-file", &path("daemon.json"), "--pidfile", &path("pid")])
        .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
        .args([
            "--host",
            &format!("unix://{}", path("docker.sock")),
            "--storage-driver",
            "overlay2",
        ])
        .args([
            "--add-runtime",
            &format!("e2e={}", runtime().display()),
            "--default-runtime",
            "e2e",
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("share the log"))
        .stderr(log)
        .spawn()
        .expect("start dockerd, which scripts/clients installs")
}

/// The end of the daemon's log, for messages.
fn log() -> String {
    let text = fs::read_to_string(Path::new(DIR).join("log")).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn runtime() -> PathBuf {
    crate::instance::built("curtain-e2e-runtime")
}

fn lock(daemon: &Mutex<Child>) -> MutexGuard<'_, Child> {
    daemon.lock().unwrap_or_else(PoisonError::into_inner)
}
