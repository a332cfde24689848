//! Evidence, as it would be gathered of a shop in trouble.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::sre::alert::{Alert, Request, Rule, Source};
use crate::sre::evidence::{
    Call, Component, Condition, Deployment, Event, Evidence, Lines, Setting, Value as Set,
};
use crate::sre::report::Range;

/// Seconds after the beginning of all this.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).expect("a time")
}

/// The alert comes at this second; what led to it happened ten seconds before.
pub(super) const ALERT: i64 = 100;
const CHANGE: i64 = ALERT - 10;

/// What is sent when `component` has an alert of the rule `rule`.
pub(super) fn request(component: &str, rule: &str) -> Request {
    Request {
        namespace: "default".into(),
        project: "shop".into(),
        component: component.into(),
        environment: "development".into(),
        alert: Alert {
            id: format!("{component}-{rule}"),
            value: json!(42),
            timestamp: at(ALERT),
            rule: Rule {
                name: rule.into(),
                severity: "critical".into(),
                source: Source { metric: metric(rule).into(), ..Source::default() },
                ..Rule::default()
            },
        },
    }
}

/// What rules of the shop measure.
fn metric(rule: &str) -> &str {
    match rule {
        "errors" => "http_error_rate",
        "slow" => "http_latency_p99",
        other => other,
    }
}

pub(super) struct World(pub(super) Evidence);

impl World {
    /// A shop that is well, and an alert: web calls checkout and cart, checkout calls payment and mail.
    pub(super) fn new(component: &str, rule: &str) -> World {
        let start = at(ALERT).saturating_sub(SignedDuration::from_secs(90)).expect("a time");
        let range = Range { start, end: at(ALERT + 5) };
        let calls = [
            ("load", "web"),
            ("web", "checkout"),
            ("web", "cart"),
            ("checkout", "payment"),
            ("checkout", "mail"),
        ];
        let mut world = World(Evidence {
            request: request(component, rule),
            range,
            calls: Vec::new(),
            components: Default::default(),
            gaps: Vec::new(),
        });
        for (from, to) in calls {
            let (from, to) = (from.to_owned(), to.to_owned());
            world.0.calls.push(Call { from, to, rate: 2.0, p99: 20.0, ..Call::default() });
        }
        for name in ["load", "web", "checkout", "cart", "payment", "mail"] {
            let component = world.component(name);
            component.state.pods = "1/1".into();
            component.state.p99 = 60.0;
            component.deployment = Some(Deployment {
                binding: format!("{name}-development"),
                release: format!("{name}-2"),
                previous: Some(format!("{name}-1")),
                image: "shop:2".into(),
                status: "Ready".into(),
                resources: json!({"limits": {"memory": "64Mi"}}),
                ..Deployment::default()
            });
        }
        for (from, to) in [("checkout", "payment"), ("checkout", "mail"), ("web", "cart")] {
            let deployment = world.component(from).deployment.as_mut().expect("deployed");
            deployment.targets.push((format!("{to}.cell.svc.cluster.local"), to.into()));
        }
        world
    }

    pub(super) fn component(&mut self, name: &str) -> &mut Component {
        self.0.components.entry(name.to_owned()).or_default()
    }

    fn deployment(&mut self, name: &str) -> &mut Deployment {
        self.component(name).deployment.as_mut().expect("deployed")
    }

    /// A part of the calls fails, and of what is answered to everybody.
    pub(super) fn fails(mut self, from: &str, to: &str, part: f64) -> World {
        let call = self.0.calls.iter_mut().find(|call| call.from == from && call.to == to);
        call.expect("a call").failed = part;
        self.component(to).state.failed = part;
        self
    }

    /// Calls take long.
    pub(super) fn slow(mut self, from: &str, to: &str, milliseconds: f64) -> World {
        let call = self.0.calls.iter_mut().find(|call| call.from == from && call.to == to);
        call.expect("a call").p99 = milliseconds;
        self.component(to).state.p99 = milliseconds;
        self
    }

    /// It wrote this.
    pub(super) fn error(mut self, name: &str, text: &str) -> World {
        self.component(name).lines.push(Lines {
            level: "ERROR".into(),
            text: text.into(),
            count: 7,
            first: at(ALERT - 8),
            last: at(ALERT),
            trace: None,
        });
        self
    }

    /// This happened to its pod.
    pub(super) fn event(mut self, name: &str, reason: &str, message: &str) -> World {
        self.component(name).events.push(Event {
            warning: true,
            reason: reason.into(),
            message: message.into(),
            object: format!("Pod/{name}-1"),
            count: 2,
            last: Some(at(ALERT - 1)),
        });
        self
    }

    /// The platform finds this wrong with it.
    pub(super) fn complains(mut self, name: &str, complaint: &str) -> World {
        self.component(name).state.complaints.push(complaint.into());
        self
    }

    /// A pod of it is not well.
    pub(super) fn unwell(mut self, name: &str, why: &str) -> World {
        self.component(name).state.pods = "0/1".into();
        self.deployment(name).unwell.push((format!("{name}-1"), why.into()));
        self
    }

    /// Its environment sets a variable, since shortly before the alert.
    pub(super) fn set(mut self, name: &str, key: &str, value: &str) -> World {
        let deployment = self.deployment(name);
        deployment.overrides.push(Setting::written(key, value));
        deployment.changed = Some(at(CHANGE));
        self
    }

    /// The same, and since long.
    pub(super) fn set_before(self, name: &str, key: &str, value: &str) -> World {
        let mut world = self.set(name, key, value);
        world.deployment(name).changed = Some(at(-1000));
        world
    }

    /// The same from a Secret.
    pub(super) fn set_from(mut self, name: &str, key: &str, secret: &str) -> World {
        let setting = Setting { key: key.into(), value: Set::From(secret.into()) };
        let deployment = self.deployment(name);
        deployment.overrides.push(setting);
        deployment.changed = Some(at(CHANGE));
        self
    }

    /// Its release binding is not ready.
    pub(super) fn unmet(mut self, name: &str, status: &str, message: &str) -> World {
        let deployment = self.deployment(name);
        deployment.status = status.into();
        deployment
            .conditions
            .push(Condition { r#type: "ReleaseSynced".into(), message: message.into() });
        self
    }
}
