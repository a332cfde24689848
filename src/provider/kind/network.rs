//! The network that kind's clusters share.
//!
//! It is made as kind makes it, if there is none. One that we made goes with the last cluster in it; one that was there
//! is not ours to remove.

use std::collections::HashMap;

use bollard::{
    models::{Ipam, IpamConfig, NetworkCreateRequest},
    query_parameters::{InspectNetworkOptions, ListContainersOptions, ListNetworksOptions},
};
use ring::digest;

use super::{
    engine::{Engine, is_absent, is_conflict, optional},
    names,
};
use crate::{Error, Leftover, Removed};

/// Its name, by which kind knows it.
pub(crate) const NETWORK: &str = "kind";
/// How many ranges are tried where one overlaps with another network.
const TRIES: u32 = 5;

/// Makes the network unless there is one.
pub(crate) async fn ensure(engine: &Engine) -> Result<(), Error> {
    if exists(engine).await? {
        return Ok(());
    }
    let mtu = default_mtu(engine).await?;
    for attempt in 0..TRIES {
        match create(engine, mtu.clone(), Some(range(NETWORK, attempt))).await {
            Ok(()) => return settle(engine).await,
            Err(error) if error.says("overlap") => {
                // Perhaps another command has just made the same one.
                if exists(engine).await? {
                    return Ok(());
                }
            }
            Err(error) if error.says("IPv6") || error.says("ip6tables") => {
                create(engine, mtu.clone(), None).await?;
                return settle(engine).await;
            }
            Err(error) => return Err(error),
        }
    }
    create(engine, mtu, None).await?;
    settle(engine).await
}

/// Whether there is such a network.
pub(crate) async fn exists(engine: &Engine) -> Result<bool, Error> {
    Ok(!ids(engine).await?.is_empty())
}

/// Removes the network if we made it and no container is in it, running or not.
pub(crate) async fn remove(engine: &Engine) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    for id in ids(engine).await? {
        let labels = labels(engine, &id).await?;
        if !labels.is_some_and(|labels| labels.contains_key(names::SHARED)) {
            continue;
        }
        let members = members(engine, &id).await?;
        if !members.is_empty() {
            let name = format!("{NETWORK}, which {} uses", members.join(", "));
            removed.kept.push(Leftover { kind: "network".to_owned(), name });
            continue;
        }
        match engine.api().remove_network(&id).await {
            Ok(()) => removed.count += 1,
            Err(error) if is_absent(&error) => {}
            // Somebody has just joined it: then it is theirs now.
            Err(error) if error.to_string().contains("active endpoints") => {}
            Err(error) => return Err(engine.error("remove the network kind", error)),
        }
    }
    Ok(removed)
}

/// Old Engines let two commands make two networks of one name: of those, all keep the same one.
async fn settle(engine: &Engine) -> Result<(), Error> {
    let mut found = Vec::new();
    for id in ids(engine).await? {
        let members = members(engine, &id).await?.len();
        found.push((std::cmp::Reverse(members), id));
    }
    found.sort();
    for (std::cmp::Reverse(members), id) in found.into_iter().skip(1) {
        let ours = labels(engine, &id).await?.is_some_and(|it| it.contains_key(names::SHARED));
        if ours && members == 0 {
            match engine.api().remove_network(&id).await {
                Err(error) if !is_absent(&error) => {
                    return Err(engine.error("remove a second network called kind", error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

async fn ids(engine: &Engine) -> Result<Vec<String>, Error> {
    let filters = HashMap::from([("name".to_owned(), vec![format!("^{NETWORK}$")])]);
    let options = ListNetworksOptions { filters: Some(filters) };
    let found = engine.call("list the networks", engine.api().list_networks(Some(options))).await?;
    // Some Engines take the filter as a part of the name.
    let ours = found.into_iter().filter(|network| network.name.as_deref() == Some(NETWORK));
    Ok(ours.filter_map(|network| network.id).collect())
}

async fn labels(engine: &Engine, id: &str) -> Result<Option<HashMap<String, String>>, Error> {
    let answer =
        async { optional(engine.api().inspect_network(id, None::<InspectNetworkOptions>).await) };
    let network = engine.call("look at the network kind", answer).await?;
    Ok(network.map(|network| network.labels.unwrap_or_default()))
}

/// Names of the containers in the network, stopped ones too: those cannot start again without it.
async fn members(engine: &Engine, id: &str) -> Result<Vec<String>, Error> {
    // One that was never started knows the network by its name only.
    let wanted = vec![id.to_owned(), NETWORK.to_owned()];
    let filters = HashMap::from([("network".to_owned(), wanted)]);
    let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let found = engine
        .call(
            "list the containers in the network kind",
            engine.api().list_containers(Some(options)),
        )
        .await?;
    let name = |names: Vec<String>| {
        names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default()
    };
    Ok(found.into_iter().map(|one| name(one.names.unwrap_or_default())).collect())
}

/// The MTU of the Engine's own network, if it has a special one.
async fn default_mtu(engine: &Engine) -> Result<Option<String>, Error> {
    let answer = async {
        optional(engine.api().inspect_network("bridge", None::<InspectNetworkOptions>).await)
    };
    let bridge = engine.call("look at the network bridge", answer).await?;
    Ok(bridge.and_then(|network| network.options?.remove("com.docker.network.driver.mtu")))
}

async fn create(engine: &Engine, mtu: Option<String>, v6: Option<String>) -> Result<(), Error> {
    match engine.api().create_network(request(mtu, v6)).await {
        Ok(_) => Ok(()),
        Err(error) if is_conflict(&error) => Ok(()),
        Err(error) => Err(engine.error("create the network kind", error)),
    }
}

fn request(mtu: Option<String>, v6: Option<String>) -> NetworkCreateRequest {
    let mut options = HashMap::from([(
        "com.docker.network.bridge.enable_ip_masquerade".to_owned(),
        "true".to_owned(),
    )]);
    options.extend(mtu.map(|mtu| ("com.docker.network.driver.mtu".to_owned(), mtu)));
    NetworkCreateRequest {
        name: NETWORK.to_owned(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(v6.is_some()),
        ipam: v6.map(|subnet| Ipam {
            config: Some(vec![IpamConfig { subnet: Some(subnet), ..IpamConfig::default() }]),
            ..Ipam::default()
        }),
        options: Some(options),
        labels: Some(HashMap::from([(names::SHARED.to_owned(), "true".to_owned())])),
        ..NetworkCreateRequest::default()
    }
}

/// A local IPv6 range that depends on the network's name and the attempt, as kind derives it: bytes 2 to 7 of the SHA-1
/// of both below fc00::/16.
fn range(name: &str, attempt: u32) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(name.as_bytes());
    context.update(&attempt.to_le_bytes());
    let digest = context.finish();
    let byte = |index: usize| u16::from(digest.as_ref()[index]);
    let part = |index: usize| byte(index) << 8 | byte(index + 1);
    let address = std::net::Ipv6Addr::new(0xfc00, part(2), part(4), part(6), 0, 0, 0, 0);
    format!("{address}/64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_the_one_that_kind_makes() {
        // What `kind create cluster` gives its network on every machine.
        assert_eq!(range("kind", 0), "fc00:f853:ccd:e793::/64");
        let request = request(Some("1450".into()), Some(range("kind", 0)));
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(request) });
    }
}
