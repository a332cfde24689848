//! An instance of the test's own.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::Value;

use crate::{Clients, Engine, Output, Residue, Space, apart, busybox_archive, evidence};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A running instance in a home of its own, down again when dropped.
#[derive(Debug)]
pub struct Instance {
    name: String,
    home: tempfile::TempDir,
    scratch: tempfile::TempDir,
    before: Residue,
    up: Value,
    /// The clients to try it with.
    pub clients: Clients,
    gone: bool,
    environment: Vec<(String, String)>,
    /// Who `curtain` is run by, if that is not who runs the test.
    user: Option<u32>,
    /// The Engine, of an instance that has one to itself.
    engine: Option<Engine>,
    /// Of an instance in an [`Engine`], the Engine's.
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Instance {
    /// Runs `curtain up` and takes its JSON answer.
    #[track_caller]
    pub fn up() -> Self {
        let mut instance = Self::prepare();
        instance.start();
        instance
    }

    /// Brings a prepared instance up.
    #[track_caller]
    pub fn start(&mut self) {
        let text = self.curtain(&self.up_words()).success();
        self.up = serde_json::from_str(&text).expect("`up -o json` prints one JSON object");
        assert_eq!(self.up["ready"], true, "{text}");
    }

    /// The words after `curtain` that bring it up.
    pub fn up_words(&self) -> Vec<&str> {
        vec!["up", "-o", "json"]
    }

    /// An instance that is not up yet: a name, a home and a scan of the machine.
    #[track_caller]
    pub fn prepare() -> Self {
        match std::env::var("CURTAIN_E2E_PROVIDER").as_deref() {
            Ok("kind") => {
                let engine = Engine::start();
                let image = engine.load_node_image();
                let mut instance = Self::prepare_kind(&engine, &image);
                instance.engine = Some(engine);
                instance
            }
            Ok("embedded" | "") | Err(_) => Self::with(Some(apart::turn())),
            Ok(other) => panic!("CURTAIN_E2E_PROVIDER is {other}: embedded or kind is expected"),
        }
    }

    /// An instance that is not up yet and will be a cluster of node containers, made of `image` in `engine`.
    #[track_caller]
    pub fn prepare_kind(engine: &Engine, image: &str) -> Self {
        // The turn is the Engine's, which outlives the instance.
        let mut instance = Self::with(None);
        instance.set("DOCKER_HOST", &engine.host());
        instance.set("CURTAIN_PROVIDER", "kind");
        instance.set("CURTAIN_NODE_IMAGE", image);
        instance
    }

    /// Gives every `curtain` and client of this instance a variable more.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.environment.push((variable.to_owned(), value.to_owned()));
    }

    /// Lets the user with this id, who needs no account, run every `curtain`; clients stay those of who runs the test.
    pub fn set_user(&mut self, user: u32) {
        // Where the program is, that user may not get to.
        fs::copy(binary(), self.scratch().join("curtain")).expect("copy the program");
        for path in [self.home(), self.scratch()] {
            chown(path, Some(user), Some(user)).expect("give a folder to the user");
        }
        self.user = Some(user);
    }

    #[track_caller]
    fn with(turn: Option<MutexGuard<'static, ()>>) -> Self {
        let clients = Clients::find();
        let home =
            tempfile::Builder::new().prefix("curtain-e2e-").tempdir().expect("temporary home");
        let scratch = tempfile::Builder::new().prefix("e2e-scratch-").tempdir().expect("scratch");
        let before = Residue::scan(home.path());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("e2e-{}-{number}", std::process::id());
        Self {
            name,
            home,
            scratch,
            before,
            up: Value::Null,
            clients,
            gone: false,
            environment: Vec::new(),
            user: None,
            engine: None,
            _turn: turn,
        }
    }

    /// The answer of `up`.
    pub fn facts(&self) -> &Value {
        &self.up
    }

    /// The name given by `--name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The home directory that the instance and its clients see.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A folder for what the test itself and its clients write, outside of the home that is scanned.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// One of the printed endpoints.
    #[track_caller]
    pub fn endpoint(&self, name: &str) -> String {
        let url = self.up["endpoints"][name].as_str();
        url.unwrap_or_else(|| panic!("no endpoint {name} in {}", self.up)).to_owned()
    }

    /// The kubeconfig that `up` printed.
    #[track_caller]
    pub fn kubeconfig(&self) -> PathBuf {
        self.up["kubeconfig"].as_str().expect("`up` prints the kubeconfig").into()
    }

    /// `curtain ARGS --name NAME`, not yet started, in the home of the test.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_for(&self.name, args)
    }

    /// `curtain ARGS --name OTHER`, not yet started, for another instance in the same home.
    pub fn command_for(&self, other: &str, args: &[&str]) -> Command {
        let mut command = self.command_without_name(args);
        command.args(["--name", other]);
        command
    }

    /// `curtain ARGS`, not yet started, in the home of the test.
    pub fn command_without_name(&self, args: &[&str]) -> Command {
        let Some(user) = self.user else {
            let mut command = self.isolated(&Command::new(binary()));
            command.args(args);
            return command;
        };
        let mut command = self.isolated(&Command::new(self.scratch().join("curtain")));
        command.args(args).uid(user).gid(user);
        command
    }

    /// The processes of the instance whose command line has `words` in a row.
    pub fn processes(&self, words: &[&str]) -> Vec<u32> {
        let home = self.home.path().to_string_lossy();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("read /proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line: Vec<_> = line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
            let ours = line.iter().any(|word| word.contains(&*home));
            if ours && line.windows(words.len()).any(|part| part == words) {
                found.push(pid);
            }
        }
        found
    }

    /// The token that `curtain token --as WHO` prints.
    #[track_caller]
    pub fn token(&self, who: &str) -> String {
        self.curtain(&["token", "--as", who]).success().trim().to_owned()
    }

    /// Runs `curtain ARGS --name NAME`.
    pub fn curtain(&self, args: &[&str]) -> Output {
        Output::of(&mut self.command(args))
    }

    /// Gives the cluster an image with busybox called `reference`, which serves `marker`.
    #[track_caller]
    pub fn load_busybox(&self, reference: &str, marker: &str) {
        let archive = self.scratch().join("busybox.tar");
        busybox_archive(&archive, reference, marker).expect("write the image");
        self.curtain(&["image", "load", archive.to_str().expect("a path in UTF-8")]).success();
    }

    /// Makes a namespace for a kubectl of [`Clients::KUBECTLS`], which takes its name.
    #[track_caller]
    pub fn space(&self, release: &'static str) -> Space<'_> {
        let name = release.replace('.', "-");
        self.kubectl(release, &["create", "namespace", &name]).success();
        Space { instance: self, release, name }
    }

    /// Runs a kubectl of [`Clients::KUBECTLS`] as the cluster's administrator.
    pub fn kubectl(&self, release: &str, args: &[&str]) -> Output {
        self.client(release, args)
    }

    /// Runs a Helm of [`Clients::HELMS`] as the cluster's administrator.
    pub fn helm(&self, release: &str, args: &[&str]) -> Output {
        self.client(release, args)
    }

    fn client(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.isolated(&Command::new(self.clients.path(program)));
        command.args(args).env("KUBECONFIG", self.kubeconfig());
        // What clients keep for themselves is not the instance's.
        for variable in ["KUBECACHEDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.scratch());
        }
        Output::of(&mut command)
    }

    /// Runs a kubectl with a manifest on disk: `kubectl ARGS -f FILE`.
    #[track_caller]
    pub fn kubectl_file(&self, release: &str, args: &[&str], manifest: &str) -> Output {
        let file = tempfile::NamedTempFile::new().expect("temporary manifest");
        std::fs::write(file.path(), manifest).expect("write the manifest");
        let path = file.path().to_string_lossy().into_owned();
        self.kubectl(release, &[args, &["-f", &path]].concat())
    }

    /// A command line in a shell, in the scratch folder, whose `kubectl` is this release as the cluster's administrator.
    pub fn kubectl_shell(&self, release: &str, line: &str) -> Command {
        let bin = self.scratch().join(format!("bin-{release}"));
        if !bin.exists() {
            std::fs::create_dir(&bin).expect("a folder for programs");
            std::os::unix::fs::symlink(self.clients.path(release), bin.join("kubectl"))
                .expect("link a program");
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.isolated(&Command::new("sh"));
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("KUBECONFIG", self.kubeconfig());
        command.env("KUBECACHEDIR", self.scratch()).current_dir(self.scratch()).args(["-c", line]);
        command
    }

    /// Runs a command line that a message gave to a person, in a shell with `curtain` and `kubectl`.
    #[track_caller]
    pub fn shell(&self, line: &str) -> Output {
        let bin = self.scratch().join("bin");
        if !bin.exists() {
            std::fs::create_dir(&bin).expect("a folder for programs");
            for (name, program) in
                [("curtain", binary()), ("kubectl", self.clients.path(Clients::KUBECTLS[1]))]
            {
                std::os::unix::fs::symlink(program, bin.join(name)).expect("link a program");
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.isolated(&Command::new("sh"));
        command.env("PATH", format!("{}:{path}", bin.display())).env("CURTAIN_NAME", &self.name);
        Output::of(command.env("KUBECACHEDIR", self.scratch()).args(["-c", line]))
    }

    /// Takes the instance down and proves that nothing is left, by its word and by the machine's.
    #[track_caller]
    pub fn down(mut self) {
        self.gone = true;
        let text = self.curtain(&["down", "-o", "json"]).success();
        let answer: Value = serde_json::from_str(&text).expect("`down -o json` prints one object");
        assert_eq!(answer["leftovers"], Value::Array(Vec::new()), "{text}");
        self.before.assert_gone_since();
    }

    /// Asserts that the machine is as it was before the instance.
    #[track_caller]
    pub fn assert_no_residue(&self) {
        self.before.assert_gone_since();
    }

    /// The command with nothing of the caller's own configuration in reach.
    pub(crate) fn isolated(&self, command: &Command) -> Command {
        let mut fresh = Command::new(command.get_program());
        fresh.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        fresh.env("HOME", self.home.path()).env("TERM", "dumb").current_dir(self.home.path());
        // Whatever Engine the machine has, the test says where its cluster comes from.
        fresh.env("CURTAIN_PROVIDER", "embedded");
        fresh.envs(self.environment.iter().map(|(name, value)| (name, value)));
        fresh
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            evidence::keep(self.home.path(), &self.name);
        }
        if !self.gone {
            let _ = self.curtain(&["down"]);
        }
    }
}

/// The binary under test: `CURTAIN_E2E_BINARY`, or the one built beside the test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("CURTAIN_E2E_BINARY") {
        return path.into();
    }
    built("curtain")
}

/// A program that was built beside the test.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("tests are in target/…/deps");
    let program = profile.join(name);
    assert!(program.exists(), "no {}: build the workspace first", program.display());
    program
}
