//! Real sandboxes, each by a real shim. They need root (or the equivalent capabilities); without, they fail.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::unistd::dup;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Exit, MemoryVolume, Payload, PayloadFile, PodSetup, Remains, StopHook, VolumeSpec};
use crate::node::cgroup::Tree;
use crate::node::link::{Ended, ShimError, ShimLink};
use crate::node::sandbox::{
    Capabilities, ContainerSpec, Limits, LogSpec, Mount, MountSource, Processes, RootFs, UserSpec,
};
use crate::node::testing::TestCluster;
use crate::node::wire::Channel;

const PATIENCE: Duration = Duration::from_secs(120);

struct Pod {
    cluster: TestCluster,
    link: ShimLink,
    ended: UnboundedReceiver<Ended>,
    shim: std::process::Child,
    /// A second handle on the node's end, as the supervisor has it.
    spare: Channel,
}

impl Pod {
    async fn new(name: &str) -> Self {
        Self::with(name, false).await
    }

    /// One whose containers see each other's processes.
    async fn together(name: &str) -> Self {
        Self::with(name, true).await
    }

    async fn with(name: &str, shared_processes: bool) -> Self {
        let cluster = TestCluster::new(name);
        let (ours, theirs) = Channel::pair().unwrap();
        let inherited: OwnedFd = dup(&theirs).unwrap();
        let shim = Command::new(&cluster.config.binary)
            .args(["node", "shim", "--control-fd"])
            .arg(std::os::fd::AsRawFd::as_raw_fd(&inherited).to_string())
            .spawn()
            .unwrap();
        drop((inherited, theirs));
        let (link, ended) = ShimLink::new(ours.duplicate().unwrap()).unwrap();
        let setup = PodSetup {
            ip: Some([10, 244, 0, 7].into()),
            hostname: "the-pod".into(),
            config: cluster.config.path(),
            dir: cluster.path("pods/p"),
            files: vec![("hosts".into(), "127.0.0.1\tlocalhost\n".into())],
            shared_processes,
            memory_volumes: vec![MemoryVolume {
                path: cluster.path("pods/p/memory"),
                size: Some(1 << 20),
                mode: 0o777,
                group: None,
            }],
        };
        link.set_up(setup).await.unwrap();
        Self { cluster, link, ended, shim, spare: ours }
    }

    fn spec(&self, name: &str, words: &[&str]) -> ContainerSpec {
        let argv = ["/curtain", "program"].iter().chain(words);
        ContainerSpec {
            name: name.into(),
            attempt: 0,
            dir: self.cluster.path(&format!("pods/p/{name}")),
            root: RootFs::Own { binary: self.cluster.config.binary.clone(), authorities: None },
            read_only_root: false,
            argv: argv.map(|word| (*word).to_owned()).collect(),
            env: vec!["GREETING=hello".into()],
            cwd: String::new(),
            user: UserSpec::default(),
            mounts: Vec::new(),
            capabilities: Capabilities::default(),
            privileged: false,
            no_new_privileges: false,
            seccomp: true,
            profile: None,
            limits: Limits::default(),
            cgroup: format!("pods/p/{name}"),
            oom_score_adj: 500,
            log: LogSpec { path: self.log_path(name), max_bytes: 1 << 20, max_files: 3 },
            stdin: false,
            stdin_once: false,
            terminal: false,
            message_file: None,
            processes: Processes::Own,
            obsolete: Vec::new(),
        }
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.cluster.path(&format!("logs/p/{name}.log"))
    }

    async fn end_of(&mut self, wanted: &str) -> Exit {
        let ended = async {
            loop {
                match self.ended.recv().await.unwrap() {
                    Ended::Container { name, exit, .. } if name == wanted => return exit,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the container ends")
    }

    async fn run(&mut self, spec: ContainerSpec) -> Exit {
        let name = spec.name.clone();
        self.link.start(spec).await.unwrap();
        self.end_of(&name).await
    }

    /// Texts of the log, without times.
    fn log(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.log_path(name)).unwrap_or_default();
        let lines = text.lines().map(|line| line.splitn(4, ' ').skip(3).collect::<String>());
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.shim.kill();
        let _ = self.shim.wait();
    }
}

#[tokio::test]
async fn exit_codes_and_output_are_kept() {
    let mut pod = Pod::new("exit").await;
    let exit = pod.run(pod.spec("three", &["exit", "3"])).await;
    assert_eq!((exit.code, exit.signal, exit.oom_killed), (3, None, false));

    assert_eq!(pod.run(pod.spec("hello", &["env", "GREETING"])).await.code, 0);
    assert_eq!(pod.log("hello"), "hello");
}

#[tokio::test]
async fn a_program_that_is_missing_is_named() {
    let pod = Pod::new("missing").await;
    let mut spec = pod.spec("a", &[]);
    spec.argv = vec!["no-such-program".into()];
    let error = pod.link.start(spec).await.unwrap_err().to_string();
    assert!(error.contains("no-such-program") && error.contains("$PATH"), "{error}");
    // Nothing is left of the attempt.
    assert!(pod.link.state().await.unwrap().containers.is_empty());
}

#[tokio::test]
async fn the_sandbox_holds() {
    let mut pod = Pod::new("holds").await;
    pod.run(pod.spec("pids", &["list", "/proc"])).await;
    let pids: Vec<String> = pod
        .log("pids")
        .lines()
        .filter(|name| name.parse::<u32>().is_ok())
        .map(str::to_owned)
        .collect();
    assert_eq!(pids, ["1"], "a container sees its own processes only");

    pod.run(pod.spec("root", &["list", "/"])).await;
    let root = pod.log("root");
    let mut names: Vec<&str> = root.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["curtain", "dev", "proc", "sys", "tmp"]);

    pod.run(pod.spec("host", &["cat", "/proc/sys/kernel/hostname"])).await;
    assert_eq!(pod.log("host"), "the-pod");

    for path in ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/x"] {
        let exit = pod.run(pod.spec("write", &["write", path])).await;
        assert_eq!(exit.code, 1, "{path} must not be writable");
    }
    pod.run(pod.spec("hidden", &["cat", "/proc/timer_list"])).await;
    assert_eq!(pod.log("hidden"), "");

    pod.run(pod.spec("status", &["cat", "/proc/self/status"])).await;
    let status = pod.log("status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let bounding = u64::from_str_radix(&field("CapBnd:"), 16).unwrap();
    assert_eq!(bounding & (1 << 21), 0, "no CAP_SYS_ADMIN");
    assert_eq!(bounding & (1 << 27), 0, "no CAP_MKNOD");
    assert_eq!(field("CapEff:"), field("CapBnd:"));
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(field("NoNewPrivs:"), "0");
    assert_eq!(pod.run(pod.spec("unshare", &["unshare"])).await.code, 0, "no user namespaces");
}

#[tokio::test]
async fn an_ordinary_user_has_no_powers() {
    let mut pod = Pod::new("user").await;
    let mut spec = pod.spec("user", &["cat", "/proc/self/status"]);
    spec.user =
        UserSpec { uid: Some(1000), gid: Some(1001), groups: vec![2000], ..UserSpec::default() };
    spec.no_new_privileges = true;
    assert_eq!(pod.run(spec).await.code, 0);
    let status = pod.log("user");
    for expected in ["Uid:\t1000", "Gid:\t1001", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(expected), "{expected} in {status}");
    }
    let mut spec = pod.spec("root", &["exit", "0"]);
    spec.user.non_root = true;
    let error = pod.link.start(spec).await.unwrap_err().to_string();
    assert!(error.contains("runAsNonRoot"), "{error}");
}

#[tokio::test]
async fn volumes_and_a_read_only_root() {
    let mut pod = Pod::new("volumes").await;
    let shared = pod.cluster.path("pods/p/volume");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::write(shared.join("key"), "value\n").unwrap();
    let mounts = vec![
        bind(shared.clone(), "/etc/config", true),
        bind(pod.cluster.path("pods/p/memory"), "/memory", false),
        bind(shared, "/data/deep/er", false),
    ];
    for (words, code) in [
        (["cat", "/etc/config/key"], 0),
        (["write", "/etc/config/new"], 1),
        (["write", "/data/deep/er/new"], 0),
        (["write", "/memory/file"], 0),
        (["cat", "/memory/file"], 0),
        (["write", "/file"], 1),
        (["write", "/dev/shm/file"], 0),
    ] {
        let mut spec = pod.spec("v", &words);
        spec.mounts.clone_from(&mounts);
        spec.read_only_root = true;
        assert_eq!(pod.run(spec).await.code, code, "{words:?}: {}", pod.log("v"));
    }
    assert!(pod.log("v").contains("value"));
}

fn bind(path: PathBuf, target: &str, read_only: bool) -> Mount {
    Mount { source: MountSource::Bind { path, sub_path: None }, target: target.into(), read_only }
}

#[tokio::test]
async fn memory_and_processes_stay_in_their_limits() {
    let mut pod = Pod::new("limits").await;
    let mut hog = pod.spec("hog", &["hog"]);
    hog.limits.memory = Some(32 << 20);
    let exit = pod.run(hog).await;
    assert_eq!((exit.code, exit.oom_killed), (137, true));

    let mut forks = pod.spec("forks", &["forks"]);
    forks.limits.pids = Some(10);
    assert_eq!(pod.run(forks).await.code, 0);
    assert_eq!(pod.log("forks"), "9");
}

#[tokio::test]
async fn what_runs_beside_a_container_takes_along_what_it_has_started() {
    let mut pod = Pod::together("beside").await;
    let mut forks = pod.spec("forks", &["forks"]);
    forks.processes = Processes::Of("main".into());
    forks.limits.pids = Some(5);
    let refused = pod.link.start(forks.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("container main does not run"), "{refused}");

    pod.link.start(pod.spec("main", &["wait"])).await.unwrap();
    assert_eq!(pod.run(forks).await.code, 0);
    assert_eq!(pod.log("forks"), "4");
    // The same where all containers are together, and then the pod's first process is there, too.
    let mut look = pod.spec("look", &["list", "/proc"]);
    look.processes = Processes::Pod;
    let mut all = pod.spec("all", &["wait"]);
    all.processes = Processes::Pod;
    pod.link.start(all).await.unwrap();
    assert_eq!(pod.run(look).await.code, 0);
    let seen = pod.log("look");
    assert_eq!(seen.lines().filter(|name| name.parse::<u32>().is_ok()).count(), 3, "{seen}");

    // Whoever writes on does not keep the end of its container from being seen.
    let mut leaves = pod.spec("leaves", &["leave", "writer"]);
    leaves.processes = Processes::Pod;
    assert_eq!(pod.run(leaves).await.code, 0);

    let group = |path: &str| Tree::of(&pod.cluster.config).unwrap().unwrap().group(path);
    for ended in ["forks", "look", "leaves"] {
        assert_eq!(group(&format!("pods/p/{ended}")).processes().len(), 0, "{ended}");
    }
    assert_eq!(group("pods/p/main").processes().len(), 1);
}

#[tokio::test]
async fn the_first_of_a_pods_processes_is_worth_nothing_to_who_takes_it_and_its_end_is_the_shims() {
    let mut pod = Pod::together("first").await;
    let mut look = pod.spec("look", &["list", "/proc/1/root"]);
    look.processes = Processes::Pod;
    look.capabilities.add = vec!["SYS_PTRACE".into()];
    assert_eq!(pod.run(look.clone()).await.code, 0);
    let mut seen: Vec<String> = pod.log("look").lines().map(str::to_owned).collect();
    seen.sort();
    assert_eq!(seen, ["curtain", "dev", "proc", "sys", "tmp"]);
    look.name = "rights".into();
    look.log.path = pod.log_path("rights");
    look.argv = ["/curtain", "program", "cat", "/proc/1/status"].map(str::to_owned).to_vec();
    assert_eq!(pod.run(look).await.code, 0);
    let status = pod.log("rights");
    for line in ["CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{status}");
    }
    assert!(status.contains("Uid:\t65535\t65535") && status.contains("Seccomp:\t2"), "{status}");

    let group = Tree::of(&pod.cluster.config).unwrap().unwrap().group("pods/p/.pause");
    let first = group.processes().into_iter().next().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::SIGKILL).unwrap();
    let ended = async { while !matches!(pod.ended.recv().await, Some(Ended::Shim) | None) {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the shim ends");
}

#[tokio::test]
async fn a_deaf_program_is_killed_after_its_grace_period() {
    let mut pod = Pod::new("grace").await;
    // Process 1 of a namespace ignores SIGTERM unless it handles it.
    pod.link.start(pod.spec("deaf", &["wait"])).await.unwrap();
    let begin = std::time::Instant::now();
    pod.link.stop("deaf", libc::SIGTERM, Duration::from_millis(300), None).await.unwrap();
    let exit = pod.end_of("deaf").await;
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_hook_comes_before_the_signal_and_takes_of_the_grace_period() {
    let mut pod = Pod::new("hook").await;
    let seen = pod.cluster.path("pods/p/seen");
    std::fs::create_dir_all(&seen).unwrap();
    let hook = |words: &[&str]| {
        let argv = ["/curtain", "program"].iter().chain(words).map(|word| (*word).to_owned());
        Some(StopHook::Exec(argv.collect()))
    };
    let long = Duration::from_secs(600);
    // SIGKILL takes the place of a signal that the program would handle.
    for (name, hook) in [("write", hook(&["write", "/seen/file"])), ("fails", hook(&["exit", "3"]))]
    {
        let mut spec = pod.spec(name, &["wait"]);
        spec.mounts = vec![bind(seen.clone(), "/seen", false)];
        pod.link.start(spec).await.unwrap();
        pod.link.stop(name, libc::SIGKILL, long, hook).await.unwrap();
        assert_eq!(pod.end_of(name).await.signal, Some(9));
    }
    assert!(seen.join("file").exists());

    pod.link.start(pod.spec("slow", &["wait"])).await.unwrap();
    let short = Duration::from_millis(100);
    pod.link.stop("slow", libc::SIGKILL, short, hook(&["wait"])).await.unwrap();
    assert_eq!(pod.end_of("slow").await.signal, Some(9));

    // Asked again after the hook has ended, as a second deletion or the next node does, it is not run again.
    pod.link.start(pod.spec("twice", &["wait"])).await.unwrap();
    pod.link.stop("twice", libc::SIGTERM, long, hook(&["exit", "3"])).await.unwrap();
    while !matches!(pod.ended.recv().await.unwrap(), Ended::Hook { name, .. } if name == "twice") {}
    pod.link.stop("twice", libc::SIGKILL, long, Some(StopHook::Sleep(600))).await.unwrap();
    assert_eq!(pod.end_of("twice").await.signal, Some(9));

    // A hook that takes longer than any clock can tell ends with the grace period.
    pod.link.start(pod.spec("endless", &["wait"])).await.unwrap();
    let endless = Some(StopHook::Sleep(i64::MAX as u64));
    pod.link.stop("endless", libc::SIGKILL, short, endless).await.unwrap();
    assert_eq!(pod.end_of("endless").await.signal, Some(9));

    // Time that somebody uses for something ends with that, and nothing else does.
    pod.link.start(pod.spec("used", &["wait"])).await.unwrap();
    pod.link.stop("used", libc::SIGKILL, long, Some(StopHook::ENDLESS)).await.unwrap();
    pod.link.stop("used", libc::SIGKILL, long, None).await.unwrap();
    let state = pod.link.state().await.unwrap();
    let used = state.containers.iter().find(|one| one.name == "used").unwrap();
    assert!(used.exit.is_none(), "its hook goes on");
    pod.link.hook_over("used", libc::SIGKILL, long).await.unwrap();
    assert_eq!(pod.end_of("used").await.signal, Some(9));

    // Asked again with less patience, the hook is not waited for.
    pod.link.start(pod.spec("again", &["wait"])).await.unwrap();
    pod.link.stop("again", libc::SIGTERM, long, Some(StopHook::Sleep(600))).await.unwrap();
    pod.link.stop("again", libc::SIGTERM, Duration::ZERO, None).await.unwrap();
    assert_eq!(pod.end_of("again").await.signal, Some(9));
}

#[tokio::test]
async fn files_in_memory_are_seen_by_containers_and_by_nobody_else() {
    let mut pod = Pod::new("secret").await;
    let path = pod.cluster.path("pods/p/memory");
    let file = PayloadFile { bytes: b"hunter2".to_vec(), mode: 0o400 };
    let files = Payload::from([("key".to_owned(), file)]);
    let volume = VolumeSpec::Files { path: path.clone(), files, group: None };
    pod.link.volume(volume.clone()).await.unwrap();
    pod.link.volume(volume).await.unwrap();
    let mut spec = pod.spec("reader", &["cat", "/secret/key"]);
    spec.mounts = vec![bind(path.clone(), "/secret", true)];
    assert_eq!(pod.run(spec).await.code, 0);
    assert_eq!(pod.log("reader"), "hunter2");
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 0, "nothing on disk");
}

#[tokio::test]
async fn last_words_come_with_the_end_and_old_attempts_go() {
    let mut pod = Pod::new("words").await;
    let old = pod.cluster.path("pods/p/words-0");
    std::fs::create_dir_all(&old).unwrap();
    let mut spec = pod.spec("words", &["write", "/last"]);
    let file = spec.dir.join("message");
    spec.mounts = vec![bind(file.clone(), "/last", false)];
    spec.message_file = Some(file);
    spec.obsolete = vec![old.clone(), pod.cluster.path("absent")];
    assert_eq!(pod.run(spec).await.message.as_deref(), Some("x"));
    assert!(!old.exists());

    let remains = Remains {
        config: pod.cluster.config.path(),
        paths: vec![pod.cluster.path("pods/p/words"), pod.cluster.path("logs/p")],
        cgroup: Some("pods/p".into()),
        images: None,
    };
    pod.link.remove(remains).await.unwrap();
    assert!(!pod.cluster.path("pods/p/words").exists() && !pod.cluster.path("logs/p").exists());
}

#[tokio::test]
async fn logs_rotate() {
    let mut pod = Pod::new("rotate").await;
    let mut spec = pod.spec("talk", &["lines", "2000"]);
    spec.log.max_bytes = 40_000;
    assert_eq!(pod.run(spec).await.code, 0);
    let names = std::fs::read_dir(pod.cluster.path("logs/p")).unwrap();
    assert_eq!(names.count(), 3, "the current file and two older ones");
    assert!(pod.log("talk").ends_with("line 1999"));
}

#[tokio::test]
async fn a_program_can_be_run_beside_the_container() {
    let mut pod = Pod::new("exec").await;
    pod.link.start(pod.spec("main", &["wait"])).await.unwrap();
    let words = |words: &[&str]| {
        let all = ["/curtain", "program"].iter().chain(words);
        all.map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let limit = PATIENCE;
    let output = pod.link.exec("main", words(&["list", "/proc"]), limit).await.unwrap();
    assert_eq!(output.exit.code, 0);
    let text = String::from_utf8(output.text).unwrap();
    let pids = text.lines().filter(|name| name.parse::<u32>().is_ok()).count();
    assert_eq!(pids, 2, "the container's program and this one: {text}");
    let output = pod.link.exec("main", words(&["env", "GREETING"]), limit).await.unwrap();
    assert_eq!(output.text, b"hello\n");
    let output = pod.link.exec("main", words(&["exit", "4"]), limit).await.unwrap();
    assert_eq!(output.exit.code, 4);

    let slow = Duration::from_millis(200);
    let output = pod.link.exec("main", words(&["wait"]), slow).await.unwrap();
    assert_eq!(output.exit.signal, Some(9));

    let missing = pod.link.exec("main", vec!["nothing".into()], limit).await.unwrap_err();
    assert!(matches!(missing, ShimError::Refused(_)), "{missing}");
    pod.link.stop("main", 9, Duration::ZERO, None).await.unwrap();
    pod.end_of("main").await;
    assert!(pod.link.exec("main", words(&["exit", "0"]), limit).await.is_err());
}

#[test]
fn another_node_finds_everything_as_it_was() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    };
    let first = runtime();
    let (mut pod, before) = first.block_on(async {
        let mut pod = Pod::new("adopt").await;
        pod.link.start(pod.spec("main", &["wait"])).await.unwrap();
        pod.run(pod.spec("done", &["exit", "5"])).await;
        let before = pod.link.state().await.unwrap();
        (pod, before)
    });
    // The first node is gone, without a word, and who read for it.
    drop(first);
    runtime().block_on(async {
        let (link, ended) = ShimLink::new(pod.spare.duplicate().unwrap()).unwrap();
        pod.link = link;
        pod.ended = ended;
        let after = pod.link.state().await.unwrap();
        assert_eq!(after.setup, before.setup);
        let find = |name: &str| after.containers.iter().find(|one| one.name == name).unwrap();
        assert_eq!(find("done").exit.as_ref().unwrap().code, 5);
        assert_eq!(
            find("main").pid,
            before.containers.iter().find(|one| one.name == "main").unwrap().pid
        );
        assert!(pod.link.sockets().await.unwrap().dial.len() > 1);
        pod.link.stop("main", 9, Duration::ZERO, None).await.unwrap();
        assert_eq!(pod.end_of("main").await.code, 137);
    });
}

#[tokio::test]
async fn containers_die_with_their_shim() {
    let mut pod = Pod::new("death").await;
    pod.link.start(pod.spec("main", &["wait"])).await.unwrap();
    let pid = pod.link.state().await.unwrap().containers[0].pid;
    pod.shim.kill().unwrap();
    pod.shim.wait().unwrap();
    let gone = async {
        while crate::node::supervisor::ProcessRecord::of(pid).is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the container dies");
    assert!(matches!(pod.link.state().await, Err(ShimError::Gone)));
}

#[tokio::test]
async fn what_containers_have_written_is_measured_beside_everything_else() {
    let mut pod = Pod::new("measure").await;
    let volume = pod.cluster.path("pods/p/volume");
    std::fs::create_dir_all(volume.join("many")).unwrap();
    for number in 0..20_000 {
        std::fs::write(volume.join("many").join(number.to_string()), "").unwrap();
    }
    let mut writer = pod.spec("writer", &["write", "/data/file"]);
    writer.mounts = vec![bind(volume.clone(), "/data", false)];
    assert_eq!(pod.run(writer).await.code, 0);
    let paths = || vec![volume.clone(), pod.cluster.path("none")];
    let (first, second) = tokio::join!(pod.link.measure(paths()), pod.link.measure(paths()));
    // One goes on, whichever came first.
    let (found, refused) = match (first, second) {
        (Ok(found), Err(refused)) | (Err(refused), Ok(found)) => (found, refused.to_string()),
        both => panic!("{both:?}"),
    };
    assert_eq!(found.usage.iter().map(|one| one.inodes).collect::<Vec<_>>(), [20_003, 0]);
    assert!(found.usage[0].bytes >= 4096 && !found.incomplete, "{found:?}");
    assert!(refused.contains("ask again"), "{refused}");
    assert_eq!(pod.link.measure(paths()).await.unwrap(), found);
}
