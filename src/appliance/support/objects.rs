//! All objects of a cluster, a file for each kind.

use std::time::Duration;

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams},
    discovery::{Discovery, verbs},
};
use serde_json::{Value, json};

use super::{folder::Folder, hide::hide};

/// How long one kind may take.
const KIND: Duration = Duration::from_secs(10);
/// Objects in one answer, and of one kind.
const PAGE: u32 = 500;
const MOST: usize = 5_000;

/// Adds the objects of every kind that the cluster lists.
pub(super) async fn collect(folder: &mut Folder, client: &Client) {
    let found = folder.wait("the kinds of objects", KIND, discover(client)).await;
    for resource in found.unwrap_or_default() {
        let group = if resource.group.is_empty() { "core" } else { &resource.group };
        let what = format!("objects/{group}/{}.json", resource.plural);
        let Some((items, more)) = folder.wait(&what, KIND, list(client, &resource)).await else {
            continue;
        };
        if more {
            folder.missing(&what, format!("there are more than {MOST}"));
        }
        if !items.is_empty() {
            folder.json(what, &json!({ "apiVersion": "v1", "kind": "List", "items": items }));
        }
    }
}

/// Every kind that can be listed, each in the version that the cluster prefers.
async fn discover(client: &Client) -> Result<Vec<ApiResource>, kube::Error> {
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        Err(_) => Discovery::new(client.clone()).run().await?,
    };
    let mut found: Vec<ApiResource> = discovery
        .groups_alphabetical()
        .into_iter()
        // Events are served twice, by the old name and a new one.
        .filter(|group| group.name() != "events.k8s.io")
        .flat_map(|group| group.recommended_resources())
        .filter(|(_, can)| can.supports_operation(verbs::LIST))
        .map(|(resource, _)| resource)
        .collect();
    found.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural)));
    Ok(found)
}

/// The objects of a kind without their secrets, and whether there are more.
async fn list(client: &Client, resource: &ApiResource) -> Result<(Vec<Value>, bool), kube::Error> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let mut params = ListParams::default().limit(PAGE);
    let mut items = Vec::new();
    loop {
        let page = api.list(&params).await?;
        for item in page.items {
            let mut item = serde_json::to_value(item).map_err(kube::Error::SerdeError)?;
            // The items of a list do not say what they are.
            item["apiVersion"] = resource.api_version.as_str().into();
            item["kind"] = resource.kind.as_str().into();
            hide(&mut item);
            items.push(item);
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(_) if items.len() >= MOST => return Ok((items, true)),
            Some(token) => params = params.continue_token(&token),
            None => return Ok((items, false)),
        }
    }
}
