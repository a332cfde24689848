//! Clients that write a few objects, all of them the same ones, and one that watches.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    Api, DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions, WatchEvent, WatchParams,
};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::history::{Call, Key, Outcome, Sight, Span, State, Time, Version, What};
use crate::{KEYS, NAMESPACE};

/// What all clients of a run have in common.
#[derive(Debug)]
pub(crate) struct Run {
    began: Instant,
    /// The next value to write.
    values: AtomicU64,
}

impl Run {
    pub(crate) fn new() -> Run {
        Run { began: Instant::now(), values: AtomicU64::new(1) }
    }

    fn now(&self) -> Time {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(Time::MAX)
    }

    /// Reads and writes until the server is gone; returns what it asked and was answered.
    pub(crate) async fn write(
        &self,
        client: kube::Client,
        mut dice: StdRng,
    ) -> Result<Vec<Call>, String> {
        let maps = Api::<ConfigMap>::namespaced(client, NAMESPACE);
        let mut calls = Vec::new();
        loop {
            let key = dice.random_range(0..KEYS);
            let start = self.now();
            let Answer::Yes(found) = answer(maps.get_opt(&name(key)).await)? else { break };
            let found = found.as_ref().map(facts).transpose()?;
            let what = What::Read(found.map(|(_, version, value)| (version, value)));
            calls.push(Call { key, span: Span { start, end: self.now() }, what });

            // Most replace what they found, some delete it, and some create where something may be.
            let base = found.map(|(_, version, _)| version).filter(|_| dice.random_ratio(9, 10));
            let deletes = base.is_some() && dice.random_ratio(1, 4);
            let value = self.values.fetch_add(1, Ordering::Relaxed);
            let start = self.now();
            let done = match base {
                Some(base) if deletes => delete(&maps, key, base).await?,
                _ => put(&maps, key, base, value).await?,
            };
            let state = if deletes { State::Gone } else { State::Value(value) };
            let end = if done == Outcome::Unknown { Span::OPEN } else { self.now() };
            let what = What::Write { base, state, outcome: done };
            calls.push(Call { key, span: Span { start, end }, what });
            if done == Outcome::Unknown {
                break;
            }
        }
        Ok(calls)
    }

    /// Writes once more, whatever is there; returns the version.
    pub(crate) async fn last_write(
        &self,
        client: kube::Client,
        calls: &mut Vec<Call>,
    ) -> Result<Version, String> {
        let maps = Api::<ConfigMap>::namespaced(client, NAMESPACE);
        let base = match answer(maps.get_opt(&name(0)).await)? {
            Answer::Yes(found) => {
                found.as_ref().map(facts).transpose()?.map(|(_, version, _)| version)
            }
            Answer::No | Answer::Killed => None,
        };
        let (value, start) = (self.values.fetch_add(1, Ordering::Relaxed), self.now());
        let outcome = put(&maps, 0, base, value).await?;
        let what = What::Write { base, state: State::Value(value), outcome };
        calls.push(Call { key: 0, span: Span { start, end: self.now() }, what });
        match outcome {
            Outcome::Done(Some(version)) => Ok(version),
            other => Err(format!("nobody else writes, and yet the last write is {other:?}")),
        }
    }

    /// Watches from version `last`, or from a list where the server knows it no more, until the server is gone, or until
    /// version `enough`.
    pub(crate) async fn watch(
        &self,
        client: kube::Client,
        last: Option<Version>,
        enough: Version,
        sights: &mut Vec<Sight>,
    ) -> Result<(), String> {
        let maps = Api::<ConfigMap>::namespaced(client, NAMESPACE);
        let mut last = match last {
            Some(last) => last,
            None => match self.list(&maps, sights).await? {
                Some(version) => version,
                None => return Ok(()),
            },
        };
        while last < enough {
            let from = last.to_string();
            let Answer::Yes(events) = answer(maps.watch(&WatchParams::default(), &from).await)?
            else {
                return Ok(());
            };
            let mut events = events.boxed();
            // The stream ends with the server, or with an error that says why.
            while let Ok(Some(event)) = events.try_next().await {
                let sight = match event {
                    WatchEvent::Added(map) | WatchEvent::Modified(map) => {
                        let (key, version, value) = facts(&map)?;
                        Sight::Event { key, version, state: State::Value(value) }
                    }
                    WatchEvent::Deleted(map) => {
                        let (key, version, _) = facts(&map)?;
                        Sight::Event { key, version, state: State::Gone }
                    }
                    WatchEvent::Bookmark(mark) => {
                        Sight::Bookmark(number(Some(&mark.metadata.resource_version))?)
                    }
                    WatchEvent::Error(status) if status.code == 410 => {
                        match self.list(&maps, sights).await? {
                            Some(version) => last = version,
                            None => return Ok(()),
                        }
                        break;
                    }
                    WatchEvent::Error(status) => return Err(format!("the watch: {status:?}")),
                };
                if let Sight::Event { version, .. } | Sight::Bookmark(version) = sight {
                    last = version;
                }
                sights.push(sight);
                if last >= enough {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Lists; returns the version, or nothing where the server is gone.
    pub(crate) async fn list(
        &self,
        maps: &Api<ConfigMap>,
        sights: &mut Vec<Sight>,
    ) -> Result<Option<Version>, String> {
        let start = self.now();
        let Answer::Yes(list) = answer(maps.list(&ListParams::default()).await)? else {
            return Ok(None);
        };
        let span = Span { start, end: self.now() };
        let version = number(list.metadata.resource_version.as_deref())?;
        let mut objects = BTreeMap::new();
        for map in &list.items {
            let (key, version, value) = facts(map)?;
            objects.insert(key, (version, value));
        }
        sights.push(Sight::Listed { span, version, objects });
        Ok(Some(version))
    }
}

/// What a server says, unless it was killed.
enum Answer<T> {
    Yes(T),
    /// Another object than was named is there, or none.
    No,
    Killed,
}

/// An error is an answer that no server should give.
fn answer<T>(result: kube::Result<T>) -> Result<Answer<T>, String> {
    match result {
        Ok(answer) => Ok(Answer::Yes(answer)),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Answer::No),
        Err(kube::Error::Api(status)) => Err(format!("the server answered {status:?}")),
        Err(_) => Ok(Answer::Killed),
    }
}

async fn put(
    maps: &Api<ConfigMap>,
    key: Key,
    base: Option<Version>,
    value: u64,
) -> Result<Outcome, String> {
    let name = name(key);
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        resource_version: base.map(|base| base.to_string()),
        ..ObjectMeta::default()
    };
    let data = Some(BTreeMap::from([("value".to_owned(), value.to_string())]));
    let map = ConfigMap { metadata, data, ..ConfigMap::default() };
    let answered = match base {
        Some(_) => maps.replace(&name, &PostParams::default(), &map).await,
        None => maps.create(&PostParams::default(), &map).await,
    };
    Ok(match answer(answered)? {
        Answer::Yes(map) => Outcome::Done(Some(facts(&map)?.1)),
        Answer::No => Outcome::Refused,
        Answer::Killed => Outcome::Unknown,
    })
}

async fn delete(maps: &Api<ConfigMap>, key: Key, base: Version) -> Result<Outcome, String> {
    let preconditions = Some(Preconditions { resource_version: Some(base.to_string()), uid: None });
    let params = DeleteParams { preconditions, ..DeleteParams::default() };
    Ok(match answer(maps.delete(&name(key), &params).await)? {
        Answer::Yes(_) => Outcome::Done(None),
        Answer::No => Outcome::Refused,
        Answer::Killed => Outcome::Unknown,
    })
}

fn name(key: Key) -> String {
    format!("object-{key}")
}

fn number(text: Option<&str>) -> Result<u64, String> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("{text:?} is no number"))
}

fn facts(map: &ConfigMap) -> Result<(Key, Version, u64), String> {
    let key =
        map.metadata.name.as_deref().and_then(|name| name.strip_prefix("object-")?.parse().ok());
    let key = key.ok_or_else(|| format!("an object called {:?}", map.metadata.name))?;
    let value = map.data.as_ref().and_then(|data| data.get("value")).map(String::as_str);
    Ok((key, number(map.metadata.resource_version.as_deref())?, number(value)?))
}
