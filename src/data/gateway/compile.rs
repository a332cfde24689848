//! From objects to the table, with a verdict for everything on the way; pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::filter::Filters;
use super::host::Host;
use super::router::{Backend, CompiledRule, Entry, ListenerTable, PathMatch, Port, Router, Target};
use super::types::{self, GROUP, Gateway, HttpRoute, Listener, ParentRef};
use super::world::{Key, World};

/// The table, and what to tell about its parts.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub(super) router: Router,
    pub(super) listeners: Vec<ListenerVerdict>,
    /// By route: a verdict for each reference to our Gateway.
    pub(super) routes: BTreeMap<Key, Vec<ParentVerdict>>,
}

/// What became of a listener.
#[derive(Debug)]
pub(super) struct ListenerVerdict {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) refused: Option<Refused>,
    pub(super) attached: i32,
}

/// Reason and message of bad news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What became of a route's reference to us.
#[derive(Debug)]
pub(super) struct ParentVerdict {
    pub(super) parent: ParentRef,
    /// Why it is not attached.
    pub(super) refused: Option<Refused>,
    /// Why some of its backends do not resolve.
    pub(super) unresolved: Option<Refused>,
}

fn refused<T>(reason: &'static str, message: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { reason, message: message.into() })
}

/// Compile the routes of `gateway`.
pub(super) fn compile(world: &World, key: &Key, gateway: &Gateway) -> Compiled {
    let mut compiled = Compiled::default();
    let mut tables: Vec<Option<ListenerTable>> = Vec::new();
    for (index, listener) in gateway.spec.listeners.iter().enumerate() {
        let refused = check_listener(listener, &gateway.spec.listeners[..index]).err();
        tables.push(refused.is_none().then(|| ListenerTable {
            host: Host::parse(listener.hostname.as_deref()),
            entries: Vec::new(),
        }));
        compiled.listeners.push(ListenerVerdict {
            name: listener.name.clone(),
            port: listener.port,
            refused,
            attached: 0,
        });
    }
    let mut in_order: Vec<_> = world.routes.iter().collect();
    // The older route wins a tie; the sort of entries below is stable.
    in_order.sort_by_key(|(_, route)| route.metadata.creation_timestamp.as_ref().map(|t| t.0));
    for (route_key, route) in in_order {
        let ours: Vec<_> =
            route.spec.parent_refs.iter().filter(|p| is_ours(p, route_key, key)).collect();
        if ours.is_empty() {
            continue;
        }
        let (rules, unresolved) = match compile_rules(world, route_key, route) {
            Ok((rules, unresolved)) => (Ok(rules), unresolved),
            Err(refused) => (Err(refused), None),
        };
        let mut attached = vec![false; tables.len()];
        let mut verdicts = Vec::new();
        for parent in ours {
            let chosen = rules.as_ref().map_err(Clone::clone).and_then(|rules| {
                let chosen = attach(world, key, gateway, &tables, route_key, route, parent)?;
                Ok((rules, chosen))
            });
            let refused = match chosen {
                Ok((rules, chosen)) => {
                    for (index, hosts) in chosen {
                        let Some(table) = &mut tables[index] else { continue };
                        if !std::mem::replace(&mut attached[index], true) {
                            add(table, &hosts, rules);
                        }
                    }
                    None
                }
                Err(refused) => Some(refused),
            };
            let (parent, unresolved) = (parent.clone(), unresolved.clone());
            verdicts.push(ParentVerdict { parent, refused, unresolved });
        }
        for (verdict, attached) in compiled.listeners.iter_mut().zip(attached) {
            verdict.attached += i32::from(attached);
        }
        compiled.routes.insert(route_key.clone(), verdicts);
    }
    for (listener, table) in gateway.spec.listeners.iter().zip(tables) {
        if let Some(mut table) = table {
            table.entries.sort_by(precedence);
            let port: &mut Port = compiled.router.ports.entry(listener.port).or_default();
            port.listeners.push(table);
            port.listeners.sort_by(|a, b| a.host.precision(&b.host));
        }
    }
    compiled
}

fn check_listener(listener: &Listener, before: &[Listener]) -> Result<(), Refused> {
    if listener.protocol != "HTTP" {
        let text = format!("protocol {} is not supported, HTTP is", listener.protocol);
        return refused("UnsupportedProtocol", text);
    }
    let allowed = listener.allowed_routes.as_ref();
    let kinds = allowed.map(|allowed| allowed.kinds.as_slice()).unwrap_or_default();
    if !kinds.is_empty() && !kinds.iter().any(|k| k.kind == "HTTPRoute" && k.group == GROUP) {
        return refused("InvalidRouteKinds", "only HTTPRoute is supported");
    }
    let same =
        |other: &&Listener| other.port == listener.port && other.hostname == listener.hostname;
    match before.iter().find(same) {
        Some(other) => refused("HostnameConflict", format!("listener {} is the same", other.name)),
        None => Ok(()),
    }
}

/// Whether `parent`, written in a route called `route`, means our Gateway.
pub(super) fn is_ours(parent: &ParentRef, route: &Key, gateway: &Key) -> bool {
    parent.group.as_deref().unwrap_or(GROUP) == GROUP
        && parent.kind.as_deref().unwrap_or("Gateway") == "Gateway"
        && parent.namespace.as_deref().unwrap_or(&route.namespace) == &*gateway.namespace
        && parent.name == *gateway.name
}

/// The listeners (by index) that take the route, each with the hosts it gets there.
fn attach(
    world: &World,
    key: &Key,
    gateway: &Gateway,
    tables: &[Option<ListenerTable>],
    route_key: &Key,
    route: &HttpRoute,
    parent: &ParentRef,
) -> Result<Vec<(usize, Vec<Host>)>, Refused> {
    let named: Vec<_> = gateway
        .spec
        .listeners
        .iter()
        .enumerate()
        .filter(|(_, l)| parent.section_name.as_ref().is_none_or(|name| *name == l.name))
        .filter(|(_, l)| parent.port.is_none_or(|port| port == l.port))
        .collect();
    if named.is_empty() {
        return refused("NoMatchingParent", "the Gateway has no such listener");
    }
    let open: Vec<_> = named
        .into_iter()
        .filter(|(index, listener)| {
            tables[*index].is_some() && allows(world, key, listener, route_key)
        })
        .collect();
    if open.is_empty() {
        let text = format!("no listener takes routes of namespace {}", route_key.namespace);
        return refused("NotAllowedByListeners", text);
    }
    let wanted: Vec<Host> = match &route.spec.hostnames[..] {
        [] => vec![Host::Any],
        names => names.iter().map(|name| Host::parse(Some(name))).collect(),
    };
    let mut chosen = Vec::new();
    for (index, listener) in open {
        let host = Host::parse(listener.hostname.as_deref());
        let hosts: Vec<_> = wanted.iter().filter_map(|wanted| wanted.intersect(&host)).collect();
        if !hosts.is_empty() {
            chosen.push((index, hosts));
        }
    }
    if chosen.is_empty() {
        return refused("NoMatchingListenerHostname", "no listener serves the route's hostnames");
    }
    Ok(chosen)
}

fn allows(world: &World, gateway: &Key, listener: &Listener, route: &Key) -> bool {
    let namespaces = listener.allowed_routes.as_ref().and_then(|a| a.namespaces.as_ref());
    match namespaces.and_then(|namespaces| namespaces.from.as_deref()) {
        Some("All") => true,
        Some("Selector") => {
            let labels = world.namespaces.get(&Key::new("", &route.namespace));
            let selector = namespaces.and_then(|namespaces| namespaces.selector.as_ref());
            labels.zip(selector).is_some_and(|(labels, selector)| selects(selector, labels))
        }
        _ => route.namespace == gateway.namespace,
    }
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    equal.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|expression| {
            let value = labels.get(&expression.key);
            let listed = expression.values.iter().flatten().any(|one| Some(one) == value);
            match expression.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// A rule with its matches.
type Rule = (Arc<CompiledRule>, Vec<Matcher>);

/// A match without its host.
#[derive(Debug, Clone)]
struct Matcher {
    path: PathMatch,
    method: Option<Method>,
    headers: Vec<(http::HeaderName, String)>,
    query: Vec<(String, String)>,
}

/// The route's rules, and why some of their backends fail.
fn compile_rules(
    world: &World,
    key: &Key,
    route: &HttpRoute,
) -> Result<(Vec<Rule>, Option<Refused>), Refused> {
    let unsupported = |message| Refused { reason: "UnsupportedValue", message };
    let mut unresolved = None;
    let mut rules = Vec::new();
    for rule in &route.spec.rules {
        let matchers = match &rule.matches[..] {
            [] => vec![matcher(&types::Match::default()).map_err(unsupported)?],
            all => all.iter().map(matcher).collect::<Result<_, _>>().map_err(unsupported)?,
        };
        let mut backends = Vec::new();
        for backend in &rule.backend_refs {
            if !backend.filters.is_empty() {
                return Err(unsupported(
                    "filters of a single backend are not supported".to_owned(),
                ));
            }
            let target = match resolve(world, key, backend) {
                Ok(target) => Some(target),
                Err(refused) => {
                    unresolved.get_or_insert(refused);
                    None
                }
            };
            backends.push(Backend { weight: backend.weight.unwrap_or(1), target });
        }
        let compiled = CompiledRule {
            filters: Filters::read(&rule.filters).map_err(unsupported)?,
            backends,
            timeout: timeout(rule.timeouts.as_ref()).map_err(unsupported)?,
        };
        rules.push((Arc::new(compiled), matchers));
    }
    Ok((rules, unresolved))
}

fn matcher(from: &types::Match) -> Result<Matcher, String> {
    let regular = |what: &str| Err(format!("regular expressions for {what} are not supported"));
    let path = from.path.as_ref().and_then(|path| path.value.as_deref()).unwrap_or("/");
    let path = match from.path.as_ref().and_then(|path| path.r#type.as_deref()) {
        Some("Exact") => PathMatch::Exact(path.to_owned()),
        None | Some("PathPrefix") => PathMatch::Prefix(path.trim_end_matches('/').to_owned()),
        Some(_) => return regular("paths"),
    };
    let exact = |pattern: &types::Pattern| pattern.r#type.as_deref().is_none_or(|t| t == "Exact");
    if !from.headers.iter().all(exact) {
        return regular("headers");
    }
    if !from.query_params.iter().all(exact) {
        return regular("query parameters");
    }
    let header = |pattern: &types::Pattern| {
        let name = pattern.name.parse().map_err(|_| format!("`{}` is no header", pattern.name))?;
        Ok::<_, String>((name, pattern.value.clone().unwrap_or_default()))
    };
    let parameter = |pattern: &types::Pattern| {
        (pattern.name.clone(), pattern.value.clone().unwrap_or_default())
    };
    let method = from
        .method
        .as_ref()
        .map(|method| method.parse::<Method>().map_err(|_| format!("`{method}` is no method")));
    Ok(Matcher {
        path,
        method: method.transpose()?,
        headers: from.headers.iter().map(header).collect::<Result<_, _>>()?,
        query: from.query_params.iter().map(parameter).collect(),
    })
}

fn resolve(world: &World, route: &Key, backend: &types::BackendRef) -> Result<Target, Refused> {
    let kind = backend.kind.as_deref().unwrap_or("Service");
    if kind != "Service" || !backend.group.as_deref().unwrap_or_default().is_empty() {
        return refused("InvalidKind", format!("a backend of kind {kind} is not supported"));
    }
    let namespace = backend.namespace.as_deref().unwrap_or(&route.namespace);
    let key = Key::new(namespace, &backend.name);
    if key.namespace != route.namespace && !granted(world, route, &key) {
        let text = format!("no ReferenceGrant lets this route use Services of {namespace}");
        return refused("RefNotPermitted", text);
    }
    let Some(service) = world.services.get(&key) else {
        let text = format!("Service {namespace}/{} does not exist", backend.name);
        return refused("BackendNotFound", text);
    };
    let found = service.ports.iter().find(|port| Some(port.port) == backend.port);
    let Some(port) = found else {
        let wanted = backend.port.map_or("without a number".to_owned(), |port| port.to_string());
        let text = format!("Service {namespace}/{} has no port {wanted}", backend.name);
        return refused("BackendNotFound", text);
    };
    let host = service.cluster_ip.clone();
    let host = host.unwrap_or_else(|| format!("{}.{namespace}.svc", backend.name));
    Ok(Target { host, port: port.port, h2c: port.h2c, service: key })
}

fn granted(world: &World, route: &Key, service: &Key) -> bool {
    let in_namespace = world.grants.iter().filter(|(key, _)| key.namespace == service.namespace);
    in_namespace.map(|(_, grant)| grant).any(|grant| {
        let from = grant.from.iter().any(|from| {
            from.group == GROUP && from.kind == "HTTPRoute" && from.namespace == *route.namespace
        });
        let to = grant.to.iter().any(|to| {
            let name = to.name.as_ref().is_none_or(|name| **name == *service.name);
            to.group.is_empty() && to.kind == "Service" && name
        });
        from && to
    })
}

/// The shorter of both timeouts; `0s` switches one off.
fn timeout(timeouts: Option<&types::Timeouts>) -> Result<Option<Duration>, String> {
    let Some(timeouts) = timeouts else { return Ok(None) };
    let both = [&timeouts.request, &timeouts.backend_request];
    let read = both.into_iter().flatten().map(|text| duration(text));
    let read = read.collect::<Result<Vec<_>, _>>()?;
    Ok(read.into_iter().filter(|timeout| !timeout.is_zero()).min())
}

/// A GEP-2257 duration: `1h30m`, `10s`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no duration");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let millis = match &rest[..unit] {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return Err(bad()),
        };
        total += Duration::from_millis(number.checked_mul(millis).ok_or_else(bad)?);
        rest = &rest[unit..];
    }
    if text.is_empty() { Err(bad()) } else { Ok(total) }
}

fn add(table: &mut ListenerTable, hosts: &[Host], rules: &[Rule]) {
    for host in hosts {
        for (rule, matchers) in rules {
            table.entries.extend(matchers.iter().cloned().map(|matcher| Entry {
                host: host.clone(),
                path: matcher.path,
                method: matcher.method,
                headers: matcher.headers,
                query: matcher.query,
                rule: rule.clone(),
            }));
        }
    }
}

/// The specification's order; ties keep the order they were added in.
fn precedence(a: &Entry, b: &Entry) -> std::cmp::Ordering {
    let rank = |entry: &Entry| {
        let path = match &entry.path {
            PathMatch::Exact(_) => (0, 0),
            PathMatch::Prefix(prefix) => (1, usize::MAX - prefix.len()),
        };
        let fewer = |count: usize| usize::MAX - count;
        let method = entry.method.is_none();
        (path, method, fewer(entry.headers.len()), fewer(entry.query.len()))
    };
    a.host.precision(&b.host).then_with(|| rank(a).cmp(&rank(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_gateway_api_writes_them() {
        let millis = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(millis("10s"), Ok(10_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("1s500ms"), Ok(1500));
        for bad in ["", "s", "10", "1.5s", "-1s", "10 s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        let both =
            types::Timeouts { request: Some("5s".into()), backend_request: Some("0s".into()) };
        assert_eq!(timeout(Some(&both)), Ok(Some(Duration::from_secs(5))));
    }
}
