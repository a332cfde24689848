use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::*;

fn request(provider: &str) -> Request {
    Request { provider: provider.to_owned(), ..Request::default() }
}

/// An answer of an Engine: a part of the path that is asked for, the status and the body.
type Answer = (&'static str, u16, &'static str);

const VERSION: Answer = ("/version", 200, r#"{"ApiVersion":"1.47","Version":"27.1"}"#);
const ROOMY: Answer = ("/info", 200, r#"{"MemTotal":8000000000,"NCPU":4}"#);
const SMALL: Answer = ("/info", 200, r#"{"MemTotal":1000000000,"NCPU":4}"#);
const IMAGE: Answer = ("/images/", 200, r#"{"Id":"sha256:1","RepoTags":["kindest/node:v1.36.4"]}"#);
const NO_IMAGE: Answer = ("/images/", 404, r#"{"message":"No such image"}"#);
const REGISTRY: Answer = ("/distribution/", 200, r#"{"Descriptor":{},"Platforms":[]}"#);
const OFFLINE: Answer = ("/distribution/", 500, r#"{"message":"dial tcp: no such host"}"#);

/// A port behind which an Engine gives these answers, and none to what it does not know.
fn engine(answers: &'static [Answer]) -> Surroundings {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let asked = head.split(' ').nth(1).unwrap_or_default();
                let Some((_, status, body)) = answers.iter().find(|one| asked.contains(one.0))
                else {
                    return std::future::pending().await;
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\
                     Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                // The client may have gone away.
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    Surroundings { docker_host: Some(format!("tcp://{address}")), ..Surroundings::default() }
}

/// What `auto` makes of an Engine that gives these answers: the provider and why, or why none will do.
async fn auto(answers: &'static [Answer]) -> (String, String) {
    chosen(engine(answers)).await
}

async fn chosen(around: Surroundings) -> (String, String) {
    match choose(&Request { around, ..request(AUTO) }).await {
        Ok(choice) => (choice.provider, choice.because.unwrap_or_default()),
        // Who is not root, or not on Linux, has no embedded cluster: both reasons are said.
        Err(Error::NoProvider { kind, .. }) => {
            ("embedded".to_owned(), format!("embedded cluster, as {kind}"))
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_engine_with_the_image_or_a_way_to_it_is_taken_and_the_cost_said() {
    let (provider, because) = auto(&[VERSION, ROOMY, IMAGE]).await;
    assert_eq!(provider, "kind");
    assert!(because.contains("is there"), "{because}");
    assert_eq!(because.contains("--provider embedded"), cfg!(target_os = "linux"), "{because}");
    let (provider, because) = auto(&[VERSION, ROOMY, NO_IMAGE, REGISTRY]).await;
    assert_eq!(provider, "kind");
    assert!(because.contains("downloaded once (about 450 MB)"), "{because}");
}

#[tokio::test]
async fn an_engine_without_the_image_and_without_a_network_is_not_taken() {
    let (provider, because) = auto(&[VERSION, ROOMY, NO_IMAGE, OFFLINE]).await;
    assert_eq!(provider, "embedded");
    assert!(because.contains("kindest/node") && because.contains("no such host"), "{because}");
}

#[tokio::test]
async fn an_engine_with_too_little_memory_is_not_taken() {
    let (provider, because) = auto(&[VERSION, SMALL, IMAGE]).await;
    assert_eq!(provider, "embedded");
    assert!(because.contains("953 MiB"), "{because}");
}

#[tokio::test]
async fn an_engine_that_stops_answering_is_not_waited_for_long() {
    tokio::time::timeout(Duration::from_secs(60), async {
        // Not at all, and not any more after the greeting.
        for answers in [&[][..], &[VERSION]] {
            let (provider, because) = auto(answers).await;
            assert_eq!(provider, "embedded");
            assert!(because.contains("answer"), "{because}");
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn without_an_engine_the_embedded_cluster_is_taken() {
    let nowhere = if cfg!(unix) { "unix:///nonexistent/docker.sock" } else { "tcp://127.0.0.1:1" };
    let around = Surroundings { docker_host: Some(nowhere.to_owned()), ..Surroundings::default() };
    let (provider, because) = chosen(around.clone()).await;
    assert_eq!(provider, "embedded");
    assert!(because.contains(nowhere), "{because}");
    // Who wants nodes does not get something else.
    let nodes = Request { around: around.clone(), workers: 1, ..request(AUTO) };
    assert_eq!(choose(&nodes).await.unwrap_err().kind(), crate::Kind::Unmet);
    let error = choose(&Request { around, ..request("kind") }).await.unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Unmet);
    assert!(error.to_string().contains(nowhere), "{error}");
}

#[tokio::test]
async fn an_engine_that_cannot_run_our_program_is_refused_before_anything_is_made() {
    const OTHER: Answer = ("/info", 200, r#"{"MemTotal":8000000000,"Architecture":"riscv64"}"#);
    const ANSWERS: &[Answer] = &[VERSION, OTHER, IMAGE];
    let (provider, because) = auto(ANSWERS).await;
    assert_eq!(provider, "embedded");
    assert!(because.contains("runs on riscv64"), "{because}");
    let asked = Request { around: engine(ANSWERS), ..request("kind") };
    let error = choose(&asked).await.unwrap_err();
    assert!(matches!(error, Error::OtherArchitecture { .. }), "{error}");
    assert_eq!(error.kind(), crate::Kind::Unmet);
}

#[tokio::test]
async fn an_engine_with_containers_for_windows_is_told_to_switch() {
    const OTHER: Answer = ("/info", 200, r#"{"MemTotal":8000000000,"OSType":"windows"}"#);
    const ANSWERS: &[Answer] = &[VERSION, OTHER, IMAGE];
    let asked = Request { around: engine(ANSWERS), ..request("kind") };
    let error = choose(&asked).await.unwrap_err();
    assert!(error.to_string().contains("switch it to Linux containers"), "{error}");
    assert_eq!(error.kind(), crate::Kind::Unmet);
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_said() {
    const OLD: Answer = ("/version", 200, r#"{"ApiVersion":"1.40","Version":"19.03"}"#);
    let (provider, because) = auto(&[OLD]).await;
    assert_eq!(provider, "embedded");
    assert!(because.contains("20.10"), "{because}");
}

#[tokio::test]
async fn an_unknown_provider_and_nodes_of_one_without_are_refused() {
    let error = choose(&request("cloud")).await.unwrap_err();
    assert!(error.to_string().contains(&crate::NAMES.join(", ")), "{error}");
    if !cfg!(target_os = "linux") {
        let error = choose(&request("embedded")).await.unwrap_err();
        assert!(matches!(error, Error::NotLinux), "{error}");
        return;
    }
    let nodes = Request { workers: 2, ..request("embedded") };
    let error = choose(&nodes).await.unwrap_err();
    assert!(error.to_string().contains("--workers"), "{error}");
}

#[tokio::test]
async fn whoever_wants_to_be_offline_has_the_cluster_that_can_be() {
    let around = || engine(&[VERSION, ROOMY, IMAGE]);
    let asked = Request { offline: Some(true), around: around(), ..request("kind") };
    let error = choose(&asked).await.unwrap_err();
    assert!(matches!(error, Error::NotOffline), "{error}");
    for provider in [AUTO, "embedded"] {
        let asked = Request { offline: Some(true), around: around(), ..request(provider) };
        match choose(&asked).await {
            Ok(choice) => {
                assert_eq!((&*choice.provider, choice.settings.offline), ("embedded", true));
            }
            // Where there is no embedded cluster there is none that is offline.
            Err(error) => {
                assert!(matches!(error, Error::NoNamespaces { .. } | Error::NotLinux), "{error}");
            }
        }
    }
}
