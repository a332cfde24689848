//! What is done on a server, a part at a time.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use serde_json::{Value, json};

use crate::Outcome;
use crate::sample::Sample;
use crate::target::{Target, object};

/// In the order of their doing: what one makes, the next one reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Durable creates by so many connections at once.
    Creates(usize),
    Get,
    /// A merge patch, which changes the object.
    Patch,
    /// A server-side apply, which changes the object.
    Apply,
    /// From the creation of a CustomResourceDefinition to the first list of its kind.
    CrdServed,
    /// All of ten thousand objects in one answer.
    List,
    /// One event to a hundred watchers.
    FanOut,
}

const LISTED: usize = 10_000;
const WATCHERS: usize = 100;
/// Nothing that is waited for takes as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// The object that is read and changed.
const ONE: &str = "one";

impl Step {
    pub(crate) const ALL: [Step; 9] = [
        Step::Creates(1),
        Step::Creates(16),
        Step::Creates(64),
        Step::Get,
        Step::Patch,
        Step::Apply,
        Step::CrdServed,
        Step::List,
        Step::FanOut,
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Creates(writers) => format!("creates_{writers}_writers"),
            Self::Get => "get".to_owned(),
            Self::Patch => "patch".to_owned(),
            Self::Apply => "apply".to_owned(),
            Self::CrdServed => "crd_served".to_owned(),
            Self::List => "list_10k".to_owned(),
            Self::FanOut => format!("fan_out_{WATCHERS}_watchers"),
        }
    }

    /// What has to be there, and is not measured.
    pub(crate) async fn prepare(self, target: &Target) -> Outcome<()> {
        match self {
            Self::Creates(1) => target.make_namespace().await,
            Self::Get => {
                let maps = target.maps().await?;
                maps.create(&PostParams::default(), &object(ONE, &json!({}))).await?;
                Ok(())
            }
            Self::List => fill(target).await,
            _ => Ok(()),
        }
    }

    pub(crate) async fn run(self, target: &Target, part: usize) -> Outcome<Sample> {
        match self {
            Self::Creates(writers) => creates(target, writers, part).await,
            Self::Get => {
                let maps = &target.maps().await?;
                timed(500, |_| async move { maps.get(ONE).await.map(drop) }).await
            }
            Self::Patch => {
                let maps = &target.maps().await?;
                timed(100, |n| async move {
                    let patch = Patch::Merge(json!({"data": {"n": format!("{part}-{n}")}}));
                    maps.patch(ONE, &PatchParams::default(), &patch).await.map(drop)
                })
                .await
            }
            Self::Apply => {
                let maps = &target.maps().await?;
                timed(100, |n| async move {
                    let data = json!({"applied": format!("{part}-{n}")});
                    let patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data});
                    let by = PatchParams::apply("bench");
                    maps.patch(ONE, &by, &Patch::Apply(patch)).await.map(drop)
                })
                .await
            }
            Self::CrdServed => crd_served(target, part).await,
            Self::List => {
                let client = &target.connect().await?;
                let path = &format!("/api/v1/namespaces/{}/configmaps", target.namespace);
                timed(5, |_| async move {
                    let request = http::Request::get(path).body(Vec::new());
                    let request = request.map_err(kube::Error::HttpError)?;
                    client.request_text(request).await.map(drop)
                })
                .await
            }
            Self::FanOut => fan_out(target, part).await,
        }
    }
}

/// How long each of so many requests takes, one after another.
async fn timed<F, R>(times: usize, request: F) -> Outcome<Sample>
where
    F: Fn(usize) -> R,
    R: Future<Output = Result<(), kube::Error>>,
{
    let mut took = Vec::new();
    for n in 0..times {
        let begin = Instant::now();
        request(n).await?;
        took.push(begin.elapsed());
    }
    Ok(Sample::Times(took))
}

/// As many objects as get made in a second.
async fn creates(target: &Target, writers: usize, part: usize) -> Outcome<Sample> {
    let connections = try_join_all((0..writers).map(|_| target.maps())).await?;
    let begin = Instant::now();
    let end = begin + Duration::from_secs(1);
    let work = connections.into_iter().enumerate().map(|(writer, maps)| async move {
        let mut made = 0;
        while Instant::now() < end {
            let name = format!("w{writers}-{part}-{writer}-{made}");
            maps.create(&PostParams::default(), &object(&name, &json!({}))).await?;
            made += 1;
        }
        Ok::<usize, kube::Error>(made)
    });
    let count = try_join_all(work).await?.into_iter().sum();
    Ok(Sample::Done { what: "object", count, took: begin.elapsed() })
}

/// Ten thousand objects, and no others.
async fn fill(target: &Target) -> Outcome<()> {
    let maps = target.maps().await?;
    maps.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    let create = |n: usize| {
        let maps = maps.clone();
        let object = object(&format!("l-{n}"), &json!({}));
        async move { maps.create(&PostParams::default(), &object).await.map(drop) }
    };
    futures::stream::iter((0..LISTED).map(create)).buffer_unordered(64).try_collect::<()>().await?;
    Ok(())
}

/// Five new kinds, one after another, each of them away again.
async fn crd_served(target: &Target, part: usize) -> Outcome<Sample> {
    let client = target.connect().await?;
    let group = target.group();
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut took = Vec::new();
    for n in 0..5 {
        let plural = format!("things{part}{n}");
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": plural, "singular": format!("thing{part}{n}"), "kind": format!("Thing{part}{n}")},
                "versions": [version],
            },
        });
        let create = http::Request::post(definitions)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&definition)?)?;
        let begin = Instant::now();
        client.request::<Value>(create).await?;
        let list = format!("/apis/{group}/v1/namespaces/{}/{plural}", target.namespace);
        loop {
            match client.request_text(http::Request::get(&list).body(Vec::new())?).await {
                Ok(_) => break,
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    if begin.elapsed() > PATIENCE {
                        return Err(format!("{list} is not served after {PATIENCE:?}").into());
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        took.push(begin.elapsed());
        let away = http::Request::delete(format!("{definitions}/{plural}.{group}"));
        client.request::<Value>(away.body(Vec::new())?).await?;
    }
    Ok(Sample::Times(took))
}

/// Some hundred new objects, each of them seen by all watchers.
async fn fan_out(target: &Target, part: usize) -> Outcome<Sample> {
    const EVENTS: usize = 500;
    let maps = target.maps().await?;
    let rv = maps.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
    let rv = rv.unwrap_or_default();
    let watch = async || {
        let maps = target.maps().await?;
        let selected = WatchParams::default().labels(&format!("fan={part}"));
        Outcome::Ok(maps.watch(&selected, &rv).await?.boxed())
    };
    let watches = try_join_all((0..WATCHERS).map(|_| watch())).await?;
    let begin = Instant::now();
    let watchers: Vec<_> = watches
        .into_iter()
        .map(|mut watch| {
            tokio::spawn(async move {
                let mut seen = 0;
                while seen < EVENTS {
                    let event = watch.try_next().await?.ok_or("a watch ended early")?;
                    seen += usize::from(matches!(event, kube::api::WatchEvent::Added(_)));
                }
                Outcome::Ok(seen)
            })
        })
        .collect();
    let create = |n: usize| {
        let maps = maps.clone();
        let object = object(&format!("fan-{part}-{n}"), &json!({"fan": part.to_string()}));
        async move { maps.create(&PostParams::default(), &object).await.map(drop) }
    };
    futures::stream::iter((0..EVENTS).map(create)).buffer_unordered(8).try_collect::<()>().await?;
    let mut count = 0;
    for watcher in watchers {
        count += tokio::time::timeout(PATIENCE, watcher).await???;
    }
    Ok(Sample::Done { what: "event", count, took: begin.elapsed() })
}
