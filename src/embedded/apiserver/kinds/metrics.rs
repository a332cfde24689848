//! `metrics.k8s.io`: what nodes and pods use, measured when somebody asks.
//!
//! Names, labels and namespaces are those of the stored objects; the rest is asked of the node.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::builtin::{CLUSTER, Line, PLAIN};
use super::columns::{Printer, name};
use super::{Pick, Strategy, ValueExt};
use crate::apiserver::Api;
use crate::apiserver::node::{NodeBackend, PodRef, Sample};
use crate::apiserver::status::ApiError;
use crate::apiserver::store::Object;
use crate::apiserver::time;
use crate::quantity::Quantity;
use crate::span::span;

pub(super) const GROUP: &str = "metrics.k8s.io";
const VERSION: &str = "metrics.k8s.io/v1beta1";

pub(super) const KINDS: &[Line] = &[
    Line {
        version: "v1beta1",
        kind: "NodeMetrics",
        plural: "nodes",
        strategy: Strategy { measure: Some(nodes), ..Strategy::PLAIN },
        columns: COLUMNS,
        ..CLUSTER
    },
    Line {
        version: "v1beta1",
        kind: "PodMetrics",
        plural: "pods",
        strategy: Strategy { measure: Some(pods), ..Strategy::PLAIN },
        columns: COLUMNS,
        ..PLAIN
    },
];

type Measured<'a> = BoxFuture<'a, Result<Vec<Arc<Object>>, ApiError>>;

fn node_of(api: &Api) -> Result<Arc<dyn NodeBackend>, ApiError> {
    let why = "the node is not running: nothing can be measured";
    api.node().ok_or_else(|| ApiError::plain(503, "ServiceUnavailable", why))
}

fn nodes<'a>(api: &'a Api, _: Option<&'a str>, pick: &'a Pick<'a>) -> Measured<'a> {
    Box::pin(async move {
        let node = node_of(api)?;
        let mut all = api.store.list(&"/nodes".into(), None).objects;
        all.retain(|object| *object.key.name == *node.name() && pick(object));
        let Some(object) = all.pop() else { return Ok(Vec::new()) };
        let Some(sample) = node.node_sample().await else { return Ok(Vec::new()) };
        let rest = json!({"usage": usage(&sample)});
        Ok(vec![measured(&object, "NodeMetrics", &sample, rest)])
    })
}

fn pods<'a>(api: &'a Api, namespace: Option<&'a str>, pick: &'a Pick<'a>) -> Measured<'a> {
    Box::pin(async move {
        let node = node_of(api)?;
        let mut all = api.store.list(&"/pods".into(), namespace).objects;
        all.retain(|object| pick(object));
        let wanted = |object: &Arc<Object>| PodRef {
            namespace: object.key.namespace.to_string(),
            name: object.key.name.to_string(),
            uid: object.uid().to_owned(),
        };
        let wanted: Vec<PodRef> = all.iter().map(wanted).collect();
        let samples = node.pod_samples(&wanted).await;
        let found = all.iter().zip(samples).filter_map(|(object, samples)| {
            // The pod was watched for as long as each of its containers was.
            let shortest = samples.iter().map(|(_, sample)| sample).min_by_key(|it| it.window)?;
            let container =
                |(name, it): &(String, Sample)| json!({"name": name, "usage": usage(it)});
            let containers: Vec<Value> = samples.iter().map(container).collect();
            let rest = json!({"containers": containers});
            Some(measured(object, "PodMetrics", shortest, rest))
        });
        Ok(found.collect())
    })
}

fn usage(sample: &Sample) -> Value {
    json!({"cpu": Quantity::nanos(sample.nanocores).to_string(),
        "memory": Quantity::bytes(sample.memory).to_string()})
}

/// The measurement of a stored object.
fn measured(of: &Object, kind: &str, sample: &Sample, mut rest: Value) -> Arc<Object> {
    let stored = of.value();
    let mut metadata = json!({"name": &*of.key.name, "creationTimestamp": time::now()});
    if !of.key.namespace.is_empty() {
        metadata["namespace"] = (*of.key.namespace).into();
    }
    if let Some(labels) = stored.at(&["metadata", "labels"]) {
        metadata["labels"] = labels.clone();
    }
    rest["kind"] = kind.into();
    rest["apiVersion"] = VERSION.into();
    rest["metadata"] = metadata;
    rest["timestamp"] = time::seconds(sample.ended).into();
    rest["window"] = span(sample.window).into();
    Arc::new(Object::new(0, of.key.clone(), &rest))
}

/// As the usual server of these kinds prints them: a pod's containers are added up.
const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("cpu", "string", 0),
        ("memory", "string", 0),
        ("Window", "string", 0),
    ],
    |object, _| {
        let own = object.at(&["usage"]).into_iter();
        let containers = object.list(&["containers"]).iter().filter_map(|it| it.at(&["usage"]));
        let used: Vec<&Value> = own.chain(containers).collect();
        let sum = |resource: &str| {
            let all = used.iter().filter_map(|usage| Quantity::of(&usage[resource]));
            Value::from(all.fold(Quantity::ZERO, |sum, one| sum + one).to_string())
        };
        vec![name(object), sum("cpu"), sum("memory"), object["window"].clone()]
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_containers_are_added_up() {
        let container =
            |cpu: &str, memory: &str| json!({"name": "c", "usage": {"cpu": cpu, "memory": memory}});
        let pod = json!({"metadata": {"name": "a"}, "window": "15s",
            "containers": [container("1500u", "1Mi"), container("500u", "512Ki")]});
        let cells = (COLUMNS.1)(&pod, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(json!(cells), json!(["a", "2m", "1536Ki", "15s"]));
    }
}
