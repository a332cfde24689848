//! ServiceAccounts.

use super::super::ValueExt;
use super::super::columns::{Printer, name, old};

pub(super) const COLUMNS: Printer =
    Printer(&[("Name", "string", 0), ("Secrets", "integer", 0), ("Age", "date", 0)], |o, now| {
        vec![name(o), o.list(&["secrets"]).len().into(), old(o, now)]
    });
