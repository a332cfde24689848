//! Compiling the world again and again, opening listeners, writing statuses.
//!
//! Requests see a change as soon as it is compiled: the statuses, which take a round trip each, are
//! written beside it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curtain_role::{Backoff, Check};
use futures::{StreamExt, stream};
use kube::Client;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::compile::{Compiled, compile, is_ours};
use super::listen::Listeners;
use super::status::{Said, conditions};
use super::types::{
    Address, GROUP, Gateway, GatewayStatus, ListenerStatus, RouteKind, RouteParentStatus,
};
use super::watch::WATCHES;
use super::world::{Key, World};
use super::write::{self, Change};
use super::{CONTROLLER_NAME, Shared};

/// When a port that could not be opened is tried again.
const PORT_AGAIN: Duration = Duration::from_secs(1);
/// Statuses written at a time.
const WRITERS: usize = 8;

/// What was compiled last, for those who write it down.
#[derive(Default)]
struct Told {
    last: Mutex<Option<(Compiled, Opened)>>,
    new: Notify,
}

/// Follow the world until the process ends.
pub(super) async fn keep(shared: Arc<Shared>, kube: Client, bind: IpAddr, ready: Check) {
    let told = Told::default();
    tokio::join!(route(&shared, bind, &ready, &told), tell(&shared, &kube, &told));
}

/// Compiles every change into the table, and opens what it asks for.
async fn route(shared: &Arc<Shared>, bind: IpAddr, ready: &Check, told: &Told) {
    let mut listeners = Listeners::new(bind);
    let mut blocked = false;
    loop {
        tokio::select! {
            () = shared.changed.notified() => {}
            () = sleep(PORT_AGAIN), if blocked => {}
        }
        // Half a world would take routes away that are there.
        let Some(mut compiled) = compile_now(shared) else { continue };
        let router = std::mem::take(&mut compiled.router);
        let ports: Vec<u16> = router.ports.keys().copied().collect();
        *shared.router.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(router);
        let opened = listeners.open(shared, &ports).await;
        blocked = opened.values().any(Result::is_err);
        if !blocked && !opened.is_empty() {
            ready.pass();
        }
        *told.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((compiled, opened));
        told.new.notify_one();
    }
}

/// Writes the statuses that do not say what was compiled; what fails is tried again.
async fn tell(shared: &Shared, kube: &Client, told: &Told) {
    let mut backoff = Backoff::default();
    loop {
        told.new.notified().await;
        while !write_down(shared, kube, told).await {
            tokio::select! {
                () = sleep(backoff.next().unwrap_or_default()) => {}
                () = told.new.notified() => {}
            }
        }
    }
}

/// Whether every status says now what it should.
async fn write_down(shared: &Shared, kube: &Client, told: &Told) -> bool {
    let changes = {
        let last = told.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((compiled, opened)) = &*last else { return true };
        let world = shared.world.read().unwrap_or_else(PoisonError::into_inner);
        changes(&world, &shared.gateway, compiled, opened)
    };
    let writes: Vec<_> = changes.iter().map(|change| write::write(kube, change)).collect();
    let written = stream::iter(writes).buffer_unordered(WRITERS);
    written.fold(true, |all, one| async move { all && one }).await
}

fn compile_now(shared: &Shared) -> Option<Compiled> {
    let world = shared.world.read().unwrap_or_else(PoisonError::into_inner);
    if world.listed < WATCHES {
        return None;
    }
    Some(match ours(&world, &shared.gateway) {
        Some(gateway) => compile(&world, &shared.gateway, gateway),
        None => Compiled::default(),
    })
}

/// Our Gateway, once its class says that it is ours.
fn ours<'a>(world: &'a World, key: &Key) -> Option<&'a Gateway> {
    let gateway = world.gateways.get(key)?;
    let class = world.classes.get(&Key::new("", &gateway.spec.gateway_class_name))?;
    (class.spec.controller_name == CONTROLLER_NAME).then_some(gateway)
}

/// How opening each port went.
pub(super) type Opened = BTreeMap<u16, Result<(), String>>;

/// The statuses that do not say yet what they should.
pub(super) fn changes(
    world: &World,
    key: &Key,
    compiled: &Compiled,
    opened: &Opened,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (class_key, class) in &world.classes {
        if class.spec.controller_name != CONTROLLER_NAME {
            continue;
        }
        let before = class.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
        let said = [Said::new("Accepted", true, "Accepted", "served by Curtain's gateway")];
        let now = conditions(&said, before, class.metadata.generation);
        if now != before {
            changes.push(Change::Class { name: class_key.name.to_string(), conditions: now });
        }
    }
    if let Some(gateway) = ours(world, key) {
        let status = gateway_status(world, key, gateway, compiled, opened);
        if gateway.status.as_ref() != Some(&status) {
            changes.push(Change::Gateway { key: key.clone(), status });
        }
    }
    for (route_key, route) in &world.routes {
        let before = route.status.as_ref().map(|s| s.parents.as_slice()).unwrap_or_default();
        let now = parents(route_key, key, compiled, before, route.metadata.generation);
        if now != before {
            let version = route.metadata.resource_version.clone();
            changes.push(Change::Route { key: route_key.clone(), version, parents: now });
        }
    }
    changes
}

fn gateway_status(
    world: &World,
    key: &Key,
    gateway: &Gateway,
    compiled: &Compiled,
    opened: &Opened,
) -> GatewayStatus {
    let before = gateway.status.clone().unwrap_or_default();
    let generation = gateway.metadata.generation;
    let listeners: Vec<_> = compiled
        .listeners
        .iter()
        .map(|verdict| {
            let old = before.listeners.iter().find(|old| old.name == verdict.name);
            let old = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
            let refused = verdict.refused.as_ref();
            let is = |reason| refused.filter(|refused| refused.reason == reason);
            let tell = |condition, bad: Option<&super::compile::Refused>, good| match bad {
                Some(bad) => Said::new(condition, false, bad.reason, bad.message.clone()),
                None => Said::new(condition, true, good, ""),
            };
            let kinds = is("InvalidRouteKinds");
            let programmed = match (refused, opened.get(&verdict.port)) {
                (Some(_), _) => Said::new("Programmed", false, "Invalid", "see Accepted"),
                (None, Some(Ok(()))) => Said::new("Programmed", true, "Programmed", ""),
                (None, Some(Err(error))) => Said::new("Programmed", false, "Invalid", error),
                (None, None) => Said::new("Programmed", false, "Pending", "not open yet"),
            };
            let conflict = is("HostnameConflict");
            let conflicted = match conflict {
                Some(conflict) => {
                    Said::new("Conflicted", true, conflict.reason, conflict.message.clone())
                }
                None => Said::new("Conflicted", false, "NoConflicts", ""),
            };
            let accepted = tell("Accepted", refused.filter(|_| kinds.is_none()), "Accepted");
            let resolved = tell("ResolvedRefs", kinds, "ResolvedRefs");
            let said = [accepted, programmed, resolved, conflicted];
            let route = RouteKind { group: GROUP.to_owned(), kind: "HTTPRoute".to_owned() };
            ListenerStatus {
                name: verdict.name.clone(),
                supported_kinds: if kinds.is_some() { Vec::new() } else { vec![route] },
                attached_routes: verdict.attached,
                conditions: conditions(&said, old, generation),
            }
        })
        .collect();
    let usable = compiled.listeners.iter().any(|verdict| verdict.refused.is_none());
    let all = compiled.listeners.iter().all(|verdict| verdict.refused.is_none());
    let accepted = match (usable, all) {
        (true, true) => Said::new("Accepted", true, "Accepted", ""),
        (usable, _) => {
            Said::new("Accepted", usable, "ListenersNotValid", "see the listeners' conditions")
        }
    };
    let open = opened.values().all(Result::is_ok) && !opened.is_empty();
    let programmed = if open {
        Said::new("Programmed", true, "Programmed", "")
    } else {
        Said::new("Programmed", false, "Invalid", "not every port could be opened")
    };
    let service = world.services.get(key).and_then(|service| service.cluster_ip.clone());
    let address = service.map(|value| Address { r#type: "IPAddress".to_owned(), value });
    GatewayStatus {
        addresses: address.into_iter().collect(),
        conditions: conditions(&[accepted, programmed], &before.conditions, generation),
        listeners,
    }
}

/// The route's `status.parents`: what others wrote stays, ours is as it is now.
fn parents(
    route: &Key,
    gateway: &Key,
    compiled: &Compiled,
    before: &[RouteParentStatus],
    generation: Option<i64>,
) -> Vec<RouteParentStatus> {
    let mine = |status: &&RouteParentStatus| {
        status.controller_name == CONTROLLER_NAME && is_ours(&status.parent_ref, route, gateway)
    };
    let verdicts = compiled.routes.get(route).map(Vec::as_slice).unwrap_or_default();
    let now = verdicts.iter().map(|verdict| {
        let old = before.iter().filter(mine).find(|old| old.parent_ref == verdict.parent);
        let old = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
        let tell = |condition, bad: Option<&super::compile::Refused>| match bad {
            Some(bad) => Said::new(condition, false, bad.reason, bad.message.clone()),
            None => Said::new(condition, true, condition, ""),
        };
        let said = [
            tell("Accepted", verdict.refused.as_ref()),
            tell("ResolvedRefs", verdict.unresolved.as_ref()),
        ];
        RouteParentStatus {
            parent_ref: verdict.parent.clone(),
            controller_name: CONTROLLER_NAME.to_owned(),
            conditions: conditions(&said, old, generation),
        }
    });
    let others = before.iter().filter(|status| !mine(status)).cloned();
    others.chain(now).collect()
}
