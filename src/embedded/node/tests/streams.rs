//! Joining pods and forwarding their ports, as kube-rs does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

pub(super) fn program<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["/curtain", "program"], words].concat()
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it took too long")
}

pub(super) async fn rest(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = String::new();
    within(stream.unwrap().read_to_string(&mut text)).await.unwrap();
    text
}

/// Reads until `wanted` has come.
async fn until(stream: &mut (impl AsyncRead + Unpin), wanted: &str) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let count = within(stream.read(&mut buffer)).await.unwrap();
        text.extend_from_slice(&buffer[..count]);
        let so_far = String::from_utf8_lossy(&text);
        if so_far.contains(wanted) {
            return so_far.into_owned();
        }
        assert!(count > 0, "the end before {wanted:?}: {so_far}");
    }
}

async fn status(process: &mut AttachedProcess) -> Status {
    within(process.take_status().unwrap()).await.expect("a status")
}

fn exit_code(status: &Status) -> Option<&str> {
    let causes = status.details.as_ref()?.causes.as_ref()?;
    let cause = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"))?;
    cause.message.as_deref()
}

#[tokio::test]
async fn programs_are_run_in_a_container() {
    let cluster = TestCluster::new("exec");
    start(&cluster);
    let client = client(&cluster).await;
    let api = create(&client, pod("web", &["wait"])).await;
    let no_pod = api.exec("none", ["x"], &AttachParams::default()).await;
    assert!(no_pod.is_err());
    in_phase(&api, "web", "Running").await;
    let output = AttachParams::default();

    let mut process = api.exec("web", program(&["exit", "7"]), &output).await.unwrap();
    let ended = status(&mut process).await;
    assert_eq!((ended.reason.as_deref(), exit_code(&ended)), (Some("NonZeroExitCode"), Some("7")));

    let mut process = api.exec("web", program(&["print", "hello"]), &output).await.unwrap();
    assert_eq!(rest(process.stdout()).await, "hello\n");
    let mut process = api.exec("web", program(&["complain", "no"]), &output).await.unwrap();
    assert_eq!(rest(process.stderr()).await, "no\n");
    let mut process = api.exec("web", ["no-such-program"], &output).await.unwrap();
    let failed = status(&mut process).await;
    let message = failed.message.unwrap();
    assert!(failed.code == Some(500) && message.contains("no-such-program"), "{message}");

    // What is written comes back whole, and the end of it is seen.
    let sent: String = (0..40_000).map(|number| format!("{number}\n")).collect();
    let input = AttachParams::default().stdin(true).stderr(false);
    let mut process = api.exec("web", program(&["echo"]), &input).await.unwrap();
    let mut stdin = process.stdin().unwrap();
    let (sent_now, stdout) = (sent.clone(), process.stdout());
    let writing = tokio::spawn(async move {
        stdin.write_all(sent_now.as_bytes()).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let got = rest(stdout).await;
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    within(writing).await.unwrap();
    assert_eq!(status(&mut process).await.status.as_deref(), Some("Success"));

    // More than probes may take: it is not killed after a while, but ends with its container.
    let mut process = api.exec("web", program(&["wait"]), &output).await.unwrap();
    api.delete("web", &DeleteParams::default()).await.unwrap();
    assert_eq!(exit_code(&status(&mut process).await), Some("137"));
}

#[tokio::test]
async fn a_program_has_a_terminal_of_the_size_that_it_is_told() {
    let cluster = TestCluster::new("terminal");
    start(&cluster);
    let client = client(&cluster).await;
    let mut ordinary = pod("web", &["wait"]);
    ordinary["spec"]["securityContext"] = json!({"runAsUser": 1000});
    let api = create(&client, ordinary).await;
    in_phase(&api, "web", "Running").await;
    let params = AttachParams::interactive_tty();
    let mut process = api.exec("web", program(&["sizes"]), &params).await.unwrap();
    let (mut stdin, mut stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
    let mut size = process.terminal_size().unwrap();
    for (width, height) in [(132, 43), (80, 24)] {
        size.try_send(TerminalSize { width, height }).unwrap();
        // The size travels beside the text: asked until it has arrived.
        let wanted = format!("size {width}x{height}");
        eventually("the size has arrived", async || {
            stdin.write_all(b"size\n").await.unwrap();
            until(&mut stdout, "size ").await.contains(&wanted).then_some(())
        })
        .await;
    }
    // The end of input, as it is typed.
    stdin.write_all(&[4]).await.unwrap();
    assert_eq!(status(&mut process).await.status.as_deref(), Some("Success"));

    let params = AttachParams::interactive_tty();
    let mut process = api.exec("web", program(&["env", "TERM"]), &params).await.unwrap();
    assert_eq!(rest(process.stdout()).await, "xterm\r\n");
}

#[tokio::test]
async fn a_container_is_joined_and_left() {
    let cluster = TestCluster::new("attach");
    start(&cluster);
    let client = client(&cluster).await;
    let waiting = |name: &str, words: &[&str], more: serde_json::Value| {
        let mut pod = pod(name, words);
        for (field, value) in more.as_object().unwrap() {
            pod["spec"]["containers"][0][field] = value.clone();
        }
        pod
    };
    let api = create(&client, waiting("often", &["echo"], json!({"stdin": true}))).await;
    let once = json!({"stdin": true, "stdinOnce": true});
    create(&client, waiting("once", &["echo"], once)).await;
    let terminal = json!({"stdin": true, "tty": true});
    create(&client, waiting("terminal", &["sizes"], terminal)).await;
    for name in ["often", "once", "terminal"] {
        in_phase(&api, name, "Running").await;
    }
    let params = AttachParams::default().stdin(true);

    // Its standard input stays open for the next one.
    for text in ["first\n", "second\n"] {
        let mut process = api.attach("often", &params).await.unwrap();
        let (mut stdin, mut stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
        stdin.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(until(&mut stdout, "\n").await, text);
        process.abort();
    }
    let log = eventually("the log has all", async || {
        let log = api.logs("often", &LogParams::default()).await.ok()?;
        log.contains("second").then_some(log)
    });
    assert_eq!(log.await, "first\nsecond\n");

    // Once: the end of input ends the container.
    let mut process = api.attach("once", &params).await.unwrap();
    let mut stdin = process.stdin().unwrap();
    stdin.write_all(b"only\n").await.unwrap();
    stdin.shutdown().await.unwrap();
    assert_eq!(rest(process.stdout()).await, "only\n");
    in_phase(&api, "once", "Succeeded").await;

    let params = AttachParams::interactive_tty();
    let mut process = api.attach("terminal", &params).await.unwrap();
    let mut size = process.terminal_size().unwrap();
    size.try_send(TerminalSize { width: 90, height: 30 }).unwrap();
    let (mut stdin, mut stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
    eventually("the size has arrived", async || {
        stdin.write_all(b"now\n").await.unwrap();
        until(&mut stdout, "now ").await.contains("90x30").then_some(())
    })
    .await;
    // The node that comes next finds the terminal where it was.
    kill(node_pid(&cluster).unwrap());
    eventually("the next node joins it", async || {
        let mut process = api.attach("terminal", &AttachParams::interactive_tty()).await.ok()?;
        let (mut stdin, mut stdout) = (process.stdin()?, process.stdout()?);
        stdin.write_all(b"again\n").await.ok()?;
        let text = until(&mut stdout, "again ").await;
        text.contains("again").then_some(())
    })
    .await;
}

#[tokio::test]
async fn ports_are_forwarded() {
    let cluster = TestCluster::new("forward");
    start(&cluster);
    let client = client(&cluster).await;
    let api = create(&client, pod("web", &["serve", "8080"])).await;
    in_phase(&api, "web", "Running").await;
    let answer = async || {
        let mut forward = api.portforward("web", &[8080]).await.ok()?;
        let mut stream = forward.take_stream(8080)?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.ok()?;
        let mut text = String::new();
        within(stream.read_to_string(&mut text)).await.ok()?;
        (!text.is_empty()).then_some(text)
    };
    let text = eventually("it listens", answer).await;
    assert!(text.ends_with("hello"), "{text}");
    let mut forward = api.portforward("web", &[8081]).await.unwrap();
    let error = within(forward.take_error(8081).unwrap()).await.unwrap();
    assert!(error.contains("error forwarding port 8081 to pod web"), "{error}");
}
