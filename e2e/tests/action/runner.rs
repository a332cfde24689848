//! A runner of GitHub's, as far as an action sees it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use curtain_e2e::{Clients, Instance, Output, binary};

/// A runner with one job that has one step.
pub(crate) struct Runner<'a> {
    instance: &'a Instance,
    /// Its folders and the files that a step writes.
    pub(crate) dir: PathBuf,
    /// The input `binary`.
    pub(crate) binary: PathBuf,
    /// Node's own arguments.
    node: Vec<String>,
    path: String,
    /// What else is in its environment: inputs, and what it offers.
    environment: Vec<(String, String)>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(instance: &'a Instance, name: &str) -> Self {
        let dir = instance.scratch().join(name);
        for folder in ["temp", "tools"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let runner = Self {
            instance,
            dir,
            binary: binary(),
            node: Vec::new(),
            path,
            environment: Vec::new(),
        };
        runner.forget();
        runner
    }

    /// Gives steps a variable more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another step begins with empty files.
    fn forget(&self) {
        for file in ["output", "env", "state", "path", "summary"] {
            fs::write(self.dir.join(file), "").unwrap();
        }
    }

    /// Whoever runs the job is not root, but may use `sudo`: as on a hosted runner.
    pub(crate) fn for_somebody(mut self) -> Self {
        let preload = self.dir.join("somebody.js");
        fs::write(&preload, "process.getuid = () => 1001;\n").unwrap();
        self.node = vec!["--require".to_owned(), preload.display().to_string()];
        let bin = self.dir.join("bin");
        fs::create_dir_all(&bin).unwrap();
        let asked = self.dir.join("sudo-was-asked");
        let sudo = format!(
            "#!/bin/sh\necho \"$@\" >>{}\nwhile [ \"${{1#-}}\" != \"$1\" ]; do shift; done\nexec \"$@\"\n",
            asked.display()
        );
        fs::write(bin.join("sudo"), sudo).unwrap();
        fs::set_permissions(bin.join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
        self.path = format!("{}:{}", bin.display(), self.path);
        self
    }

    /// Runs main.js or post.js.
    pub(crate) fn run(&self, script: &str, fault: &str) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut node = Command::new(Clients::find().node());
        node.args(&self.node).arg(root.join("scripts/setup-curtain").join(script));
        node.env_clear().env("PATH", &self.path).env("HOME", self.instance.home());
        node.env("RUNNER_TEMP", self.dir.join("temp"))
            .env("RUNNER_TOOL_CACHE", self.dir.join("tools"));
        for (variable, file) in [
            ("GITHUB_OUTPUT", "output"),
            ("GITHUB_ENV", "env"),
            ("GITHUB_STATE", "state"),
            ("GITHUB_PATH", "path"),
            ("GITHUB_STEP_SUMMARY", "summary"),
        ] {
            node.env(variable, self.dir.join(file));
        }
        let name = self.instance.name();
        for (input, value) in
            [("NAME", name), ("BINARY", self.binary.to_str().unwrap()), ("TIMEOUT", "2m")]
        {
            node.env(format!("INPUT_{input}"), value);
        }
        node.envs(self.environment.iter().map(|(name, value)| (name, value)));
        for (name, value) in self.values("state") {
            node.env(format!("STATE_{name}"), value);
        }
        if !fault.is_empty() {
            node.env("CURTAIN_FAULT", fault);
        }
        Output::of(node)
    }

    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).unwrap()
    }

    /// What a step wrote into one of the runner's files, as the runner reads it.
    pub(crate) fn values(&self, file: &str) -> BTreeMap<String, String> {
        let text = self.text(file);
        let mut lines = text.lines();
        let mut values = BTreeMap::new();
        while let Some(line) = lines.next() {
            let (name, end) = line.split_once("<<").expect("NAME<<END");
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
            assert!(values.insert(name.to_owned(), value.join("\n")).is_none(), "{name} twice");
        }
        values
    }

    /// Files of the job that are left.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut find = Command::new("find");
        find.arg(self.dir.join("temp")).args(["-mindepth", "1", "!", "-type", "d"]);
        Output::of(find).success().lines().map(str::to_owned).collect()
    }
}
