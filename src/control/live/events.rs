//! Events of one object of a binding.

use kube::api::ListParams;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::{Ask, Error, Live, bounded, plane_error, tree::api};

/// Events shown, the newest.
const MOST_EVENTS: usize = 100;

impl Live {
    /// `{"events": […]}` of the object `kind` `object` that the binding `name` has in its plane, oldest first.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::PlaneUnavailable`].
    pub async fn events(
        &self,
        ask: Ask<'_>,
        namespace: &str,
        name: &str,
        kind: &str,
        object: &str,
    ) -> Result<Value, Error> {
        let binding = self.binding(ask, namespace, name, None).await?;
        for branch in self.branches(namespace, &binding).await? {
            let node = branch.nodes.iter().find(|node| node.kind == kind && node.name == object);
            let Some(node) = node else { continue };
            let events = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Event"));
            let fields =
                format!("involvedObject.name={},involvedObject.kind={}", node.name, node.kind);
            let params = ListParams::default().fields(&fields);
            let listed = bounded(async {
                let api = api(&branch.client, &events, &node.namespace);
                api.list(&params).await.map_err(plane_error)
            });
            let mut shown: Vec<Value> =
                listed.await?.items.iter().map(|event| shown(&event.data)).collect();
            shown.sort_by_key(|event| {
                event["lastTimestamp"].as_str().unwrap_or_default().to_owned()
            });
            shown.drain(..shown.len().saturating_sub(MOST_EVENTS));
            return Ok(json!({ "events": shown }));
        }
        Err(Error::NotFound { kind: "Resource", name: format!("{kind} {object} of {name}") })
    }
}

fn shown(event: &Value) -> Value {
    let mut shown = json!({
        "type": event["type"].as_str().unwrap_or("Normal"),
        "reason": event["reason"].as_str().unwrap_or_default(),
        "message": event["message"].as_str().unwrap_or_default(),
    });
    let mut put = |key: &str, value: &Value| {
        if !value.is_null() {
            shown[key] = value.clone();
        }
    };
    put("count", &event["count"]);
    put("firstTimestamp", &event["firstTimestamp"]);
    let last = if event["lastTimestamp"].is_null() { "eventTime" } else { "lastTimestamp" };
    put("lastTimestamp", &event[last]);
    put("source", &event["source"]["component"]);
    shown
}
