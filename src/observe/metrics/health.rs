//! How components are, and which of them is not well.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::names::{CPU, CPU_LIMIT, MEMORY, MEMORY_LIMIT, READY, RESTARTS};
use super::scan::{Moment, Scan};
use super::topology::{Edge, Topology};
use super::wire::Value;
use crate::asked::Place;

/// Series that tell how a component is.
pub(super) const NAMES: [&str; 6] = [CPU, CPU_LIMIT, MEMORY, MEMORY_LIMIT, READY, RESTARTS];

/// Of requests, this part has to fail,
const FAILING: f64 = 0.05;
/// of the limit of memory, this part has to be in use,
const FULL: f64 = 0.9;
/// and of the processor's this, for a component not to be well.
const BUSY: f64 = 0.95;

/// Seconds without a measurement after which a component has no pods any more.
const PRESENT: i64 = 60;

/// Seconds without a failure after which one is told to be over, if good answers came since.
const OVER: i64 = 60;

/// How a component is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) pods: u64,
    pub(super) ready: u64,
    pub(super) restarts: u64,
    /// Part of the limit, if there is one.
    pub(super) cpu: Option<f64>,
    /// Part of the limit, if there is one.
    pub(super) memory: Option<f64>,
}

/// Finds states while going through what is stored.
pub(super) struct States<'a> {
    scan: &'a Scan,
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    /// The newest moment; what is there at the moment is of it.
    last: i64,
    pods: u64,
    ready: f64,
    memory: f64,
    memory_limit: f64,
    cpu: f64,
    cpu_limit: f64,
    restarts: f64,
}

impl<'a> States<'a> {
    pub(super) fn new(scan: &'a Scan) -> States<'a> {
        States { scan, seen: vec![Seen::default(); scan.owners.len()] }
    }

    pub(super) fn moment(&mut self, owner: usize, moment: Moment) {
        let seen = &mut self.seen[owner];
        // Coarser moments come after finer ones, and are older.
        if moment.time > seen.last {
            let Seen { cpu, cpu_limit, restarts, .. } = *seen;
            *seen = Seen { last: moment.time, cpu, cpu_limit, restarts, ..Seen::default() };
        }
    }

    pub(super) fn value(&mut self, moment: Moment, series: usize, value: &Value) {
        let series = &self.scan.series[series];
        let seen = &mut self.seen[series.owner];
        let value = match value {
            Value::Gauge(value) | Value::Increase(value) => *value,
            Value::Requests(_) => return,
        };
        match series.name.as_str() {
            RESTARTS => seen.restarts += value,
            CPU => seen.cpu += value * moment.ticks as f64,
            CPU_LIMIT => seen.cpu_limit += value * moment.ticks as f64,
            _ if moment.time < seen.last => {}
            READY => {
                seen.pods += 1;
                seen.ready += value;
            }
            MEMORY => seen.memory += value,
            _ => seen.memory_limit += value,
        }
    }

    /// States by the name of the component.
    pub(super) fn finish(self) -> BTreeMap<String, State> {
        let part = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let newest = self.seen.iter().map(|seen| seen.last).max().unwrap_or(0);
        let state = |seen: Seen| {
            let Seen { restarts, cpu, cpu_limit, .. } = seen;
            // What was not measured lately is not there any more.
            let now = if seen.last < newest - PRESENT { Seen::default() } else { seen };
            State {
                pods: now.pods,
                ready: now.ready.floor() as u64,
                restarts: restarts as u64,
                cpu: part(cpu, cpu_limit),
                memory: part(now.memory, now.memory_limit),
            }
        };
        let names = self.scan.owners.iter().map(|owner| owner.component.clone());
        names.zip(self.seen.into_iter().map(state)).collect()
    }
}

/// Why a component is not well, in the order of importance. Empty when it is.
pub(super) fn complaints(topology: &Topology, place: &Place, component: &str) -> Vec<String> {
    let state = topology.states.get(component).copied().unwrap_or_default();
    let mut all = Vec::new();
    if state.ready < state.pods {
        all.push(format!("{} of {} pods ready", state.ready, state.pods));
    }
    if state.restarts > 0 {
        all.push(format!("{} restarts", state.restarts));
    }
    let asked = topology.asked_of(place, component);
    if asked.failed > 0 && asked.failing() >= FAILING {
        let statuses: Vec<String> =
            asked.statuses.iter().map(|(status, count)| format!("{status} x{count}")).collect();
        let share = 100.0 * asked.failing();
        let origin = origin(topology, place, component);
        let statuses = statuses.join(", ");
        let over = said(over(topology, asked.recovered()));
        all.push(format!(
            "{share:.0} % of {} requests failed ({statuses}); {origin}{over}",
            asked.all.count
        ));
    }
    for edge in &topology.edges {
        let refused = edge.connections.refused();
        if refused == 0.0 || refused < FAILING * edge.connections.forwarded {
            continue;
        }
        let over = said(over(topology, edge.connects_again()));
        if edge.target.is_in(place)
            && edge.target.name(place) == component
            && edge.connections.failed > 0.0
        {
            let from = edge.source.name(place);
            all.push(format!(
                "{} connections from {from} were not accepted{over}",
                edge.connections.failed
            ));
        }
        if edge.source.is_in(place)
            && edge.source.name(place) == component
            && edge.connections.denied > 0.0
        {
            let to = edge.target.name(place);
            all.push(format!("{} connections to {to} were denied{over}", edge.connections.denied));
        }
    }
    let full = |name: &str, part: Option<f64>, most: f64| {
        let part = part.filter(|part| *part >= most)?;
        Some(format!("{name} at {:.0} % of its limit", part * 100.0))
    };
    all.extend(full("memory", state.memory, FULL));
    all.extend(full("processor", state.cpu, BUSY));
    all
}

/// When what went wrong until then, and well since, is over: not before it had some time to come back.
fn over(topology: &Topology, since: Option<i64>) -> Option<Timestamp> {
    let since = since.filter(|at| *at + OVER <= topology.newest)?;
    Timestamp::from_second(since).ok()
}

/// That it is over, to follow what went wrong.
fn said(over: Option<Timestamp>) -> String {
    over.map_or_else(String::new, |at| format!("; none since {at}, it seems over"))
}

/// Where failures of a component come from, as far as its own calls tell. What is over is told as such.
fn origin(topology: &Topology, place: &Place, component: &str) -> String {
    let (mut now, mut before) = (Vec::new(), Vec::new());
    for edge in topology.calls_of(place, component) {
        let name = edge.target.name(place);
        match (fails(topology, edge), fails_no_more(topology, edge)) {
            (true, _) => now.push(name),
            (_, Some(at)) => before.push(format!("{name} (until {at})")),
            (false, None) => {}
        }
    }
    let unread = unread_calls(topology, place, component);
    match (now.as_slice(), before.as_slice(), unread.as_slice()) {
        ([], [], []) => "its own calls do not fail, so it starts here".to_owned(),
        ([], [], unread) => format!(
            "none of its own calls is seen to fail, but how those to {} end is not seen, for they are encrypted or no \
             HTTP: see its errors in traces and logs",
            unread.join(", ")
        ),
        ([], before, _) => format!("its calls to {} failed, too", before.join(", ")),
        (now, [], _) => format!("its calls to {} fail, too", now.join(", ")),
        (now, before, _) => format!(
            "its calls to {} fail, too, and those to {} did",
            now.join(", "),
            before.join(", ")
        ),
    }
}

/// Whether too many requests of an edge have failed; whether any of its connections came to nothing.
fn failures(edge: &Edge) -> (bool, bool) {
    let requests = edge.asked.failed > 0 && edge.asked.failing() >= FAILING;
    (requests, edge.connections.refused() > 0.0)
}

/// Whether calls fail, and that is not over.
fn fails(topology: &Topology, edge: &Edge) -> bool {
    let (requests, connections) = failures(edge);
    (requests && over(topology, edge.asked.recovered()).is_none())
        || (connections && over(topology, edge.connects_again()).is_none())
}

/// Until when calls failed that do not any more.
fn fails_no_more(topology: &Topology, edge: &Edge) -> Option<Timestamp> {
    let (requests, connections) = failures(edge);
    let requests = over(topology, edge.asked.recovered()).filter(|_| requests);
    let connections = over(topology, edge.connects_again()).filter(|_| connections);
    requests.max(connections).filter(|_| !fails(topology, edge))
}

/// Whom a component calls without its requests being seen, so that nothing is known of how they end.
fn unread_calls(topology: &Topology, place: &Place, component: &str) -> Vec<String> {
    let unread = |edge: &&Edge| edge.unread() > 0.0 && edge.target.is_in(place);
    let names: BTreeSet<String> = topology
        .calls_of(place, component)
        .filter(unread)
        .map(|edge| edge.target.name(place))
        .collect();
    names.into_iter().collect()
}
