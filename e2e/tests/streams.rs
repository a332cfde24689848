//! kubectl joins containers, copies files, forwards ports and debugs pods: its oldest and its newest release.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use curtain_e2e::{Clients, Instance, Output, eventually, get};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(30);
const IMAGE: &str = "docker.io/library/shelf:1";

fn pods(namespace: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: {namespace}, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: {IMAGE}
    readinessProbe: {{httpGet: {{path: /, port: 8080}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: shelf, namespace: {namespace}}}
spec:
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: reader, namespace: {namespace}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - {{name: reader, image: {IMAGE}, command: [cat], stdin: true, stdinOnce: true}}
"#
    )
}

/// A kubectl of a release in a namespace of its own, in shell lines as `$K`; each may take a minute, in the foreground:
/// what has a terminal must be let use it.
struct Shell<'a> {
    instance: &'a Instance,
    release: &'static str,
    namespace: String,
}

impl Shell<'_> {
    fn line(&self, line: &str) -> Command {
        let mut command = self.instance.kubectl_shell(self.release, line);
        command.env("K", format!("timeout --foreground 60 kubectl -n {}", self.namespace));
        command
    }

    #[track_caller]
    fn run(&self, line: &str) -> String {
        Output::of(self.line(line)).success()
    }
}

/// Ended with the test, however that ends; by a signal that `timeout` passes on.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

#[test]
fn kubectl_joins_containers_copies_files_forwards_ports_and_debugs() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");
    for release in Clients::KUBECTLS {
        let shell = Shell { instance: &instance, release, namespace: release.replace('.', "-") };
        instance.kubectl_file(release, &["apply"], &pods(&shell.namespace)).success();
        shell.run("$K wait --timeout=30s --for=condition=Ready pod/web pod/reader");
        runs_programs(&shell);
        has_a_terminal(&shell);
        copies_files(&shell);
        joins(&shell);
        forwards(&shell, "pod/web", 8080);
        forwards(&shell, "service/shelf", 80);
        refuses(&shell);
        debugs(&shell);
    }
    instance.down();
}

fn runs_programs(shell: &Shell<'_>) {
    let ended = Output::of(shell.line("$K exec web -- sh -c 'echo out; echo err >&2; exit 7'"));
    assert_eq!((ended.code, ended.stdout.as_str()), (7, "out\n"), "{ended:?}");
    assert!(ended.stderr.contains("err\n"), "{ended:?}");
    assert!(ended.stderr.contains("command terminated with exit code 7"), "{ended:?}");
    // A mebibyte there and back.
    shell.run("head -c 1048576 /dev/urandom > sent && $K exec -i web -- cat < sent > back && cmp sent back");
    let wrong = Output::of(shell.line("$K exec web -c none -- echo"));
    assert!(
        wrong.code == 1 && wrong.stderr.contains("container none is not valid for pod web"),
        "{wrong:?}"
    );
    let missing = Output::of(shell.line("$K exec web -- no-such-program"));
    assert!(missing.code != 0 && missing.stderr.contains("no-such-program"), "{missing:?}");
}

fn has_a_terminal(shell: &Shell<'_>) {
    // The program waits for the first size, which may come after its start, then for another, and tells by its code that
    // both have come.
    let program = "until [ \"$(stty size)\" = '40 100' ]; do sleep 0.1; done; stty size; \
                   until [ \"$(stty size)\" = '37 77' ]; do sleep 0.1; done; exit 5";
    let inner = format!(
        "tty; stty rows 40 cols 100; $K exec -it web -- sh -c \"{}\"",
        program.replace('"', "\\\"").replace('$', "\\$")
    );
    std::fs::write(shell.instance.scratch().join("inner"), inner).unwrap();
    let seen = shell.instance.scratch().join(format!("typescript-{}", shell.namespace));
    let line = "timeout 60 script --quiet --flush --return --command 'sh inner' \"$T\"";
    let mut command = shell.line(line);
    command.env("T", &seen);
    let mut script = Running(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let read = || std::fs::read_to_string(&seen).unwrap_or_default();
    let tty = eventually("the first size to be seen", LIMIT, || {
        let text = read();
        let tty = text.lines().find(|line| line.starts_with("/dev/")).map(str::trim);
        let found = tty.filter(|_| text.contains("40 100")).map(str::to_owned);
        found.ok_or(text)
    });
    let resized = Output::of(Command::new("stty").args(["-F", &tty, "rows", "37", "cols", "77"]));
    let status = script.0.wait().unwrap();
    assert_eq!(status.code(), Some(5), "{resized:?}; {}", read());
}

fn copies_files(shell: &Shell<'_>) {
    shell.run("$K cp sent web:/file && rm -f again && $K cp web:/file again && cmp sent again");
}

fn joins(shell: &Shell<'_>) {
    // Its log is followed beside; both see what goes through it, and its end.
    let follow = shell.line("$K logs -f reader").stdout(Stdio::piped()).spawn().unwrap();
    let mut follow = Running(follow);
    assert_eq!(shell.run("echo hello | $K attach -i reader"), "hello\n");
    let mut log = String::new();
    follow.0.stdout.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(log, "hello\n");
    let done = "$K wait --timeout=30s --for=jsonpath={.status.phase}=Succeeded pod/reader";
    shell.run(done);

    let run =
        format!("echo once | $K run once -i --rm --restart=Never --image={IMAGE} --command -- cat");
    let said = shell.run(&run);
    assert!(said.contains("once\n"), "{said}");
}

/// Starts a forward; the port of the host.
fn forward(shell: &Shell<'_>, target: &str, port: u16) -> (Running, u16) {
    let line = format!("exec $K port-forward {target} :{port} 2> forward-errors");
    let mut child = Running(shell.line(&line).stdout(Stdio::piped()).spawn().unwrap());
    let mut said = String::new();
    let mut lines = BufReader::new(child.0.stdout.take().unwrap());
    lines.read_line(&mut said).unwrap();
    let local = said.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next());
    let local = local.unwrap_or_else(|| panic!("{said:?} of {line}")).parse().unwrap();
    // What it says later must not stop it.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    (child, local)
}

fn forwards(shell: &Shell<'_>, target: &str, port: u16) {
    let (_child, local) = forward(shell, target, port);
    for _ in 0..3 {
        let answer = get(&format!("http://127.0.0.1:{local}/")).unwrap();
        assert_eq!(answer.body, "from the shelf\n", "{target}");
    }
}

fn debugs(shell: &Shell<'_>) {
    let debug = |options: &str| format!("$K debug web --image={IMAGE} {options}");
    let look = "cat /proc/1/cmdline; wget -qO- http://127.0.0.1:8080";
    shell.run(&debug(&format!("--container=look --target=web -- sh -c '{look}'")));
    let ended = "{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}";
    shell.run(&format!("$K wait --timeout=30s --for=jsonpath='{ended}'=0 pod/web"));
    let seen = shell.run("$K logs web -c look");
    assert!(seen.contains("httpd") && seen.ends_with("from the shelf\n"), "{seen}");

    let talk = "read line; echo \"it was $line\"";
    let said =
        shell.run(&format!("echo hello | {}", debug(&format!("-i -c talk -- sh -c '{talk}'"))));
    assert!(said.contains("it was hello\n"), "{said}");
    let described = shell.run("$K describe pod web");
    assert!(described.contains("Ephemeral Containers:"), "{described}");

    // In a copy of the pod, whose containers see each other.
    shell.run(&debug("--copy-to=copy --share-processes -c look -- sleep 600"));
    shell.run("$K wait --timeout=30s --for=condition=Ready pod/copy");
    let processes = shell.run("$K exec copy -c look -- busybox ps");
    assert!(processes.contains("httpd") && processes.contains("sleep 600"), "{processes}");
    let unknown = Output::of(shell.line(&debug("-c other --target=none -- true")));
    assert!(unknown.code == 1 && unknown.stderr.contains("targetContainerName"), "{unknown:?}");
}

fn refuses(shell: &Shell<'_>) {
    let (_child, local) = forward(shell, "pod/web", 9);
    assert!(get(&format!("http://127.0.0.1:{local}/")).is_err());
    let errors = shell.instance.scratch().join("forward-errors");
    eventually("the reason to be told", LIMIT, || {
        let text = std::fs::read_to_string(&errors).unwrap();
        text.contains("error forwarding port 9 to pod").then_some(()).ok_or(text)
    });
}
