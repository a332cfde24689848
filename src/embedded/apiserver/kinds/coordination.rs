//! `coordination.k8s.io`: Leases.

use curtain_schema::FieldError;
use serde_json::Value;

use super::builtin::{Line, PLAIN};
use super::columns::{Printer, name, old};
use super::{Strategy, ValueExt};

pub(super) const KINDS: &[Line] =
    &[Line { kind: "Lease", plural: "leases", strategy: LEASE, columns: COLUMNS, ..PLAIN }];

const LEASE: Strategy =
    Strategy { validate, create_on_update: true, unconditional_update: false, ..Strategy::PLAIN };

fn validate(object: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    if object.int(&["spec", "leaseDurationSeconds"]).is_some_and(|n| n <= 0) {
        let value = object["spec"]["leaseDurationSeconds"].clone();
        errors.push(FieldError::invalid(
            "spec.leaseDurationSeconds",
            value,
            "must be greater than 0",
        ));
    }
    if object.int(&["spec", "leaseTransitions"]).is_some_and(|n| n < 0) {
        let value = object["spec"]["leaseTransitions"].clone();
        errors.push(FieldError::invalid(
            "spec.leaseTransitions",
            value,
            "must be greater than or equal to 0",
        ));
    }
}

const COLUMNS: Printer =
    Printer(&[("Name", "string", 0), ("Holder", "string", 0), ("Age", "string", 0)], |o, now| {
        vec![name(o), o.text(&["spec", "holderIdentity"]).into(), old(o, now)]
    });
