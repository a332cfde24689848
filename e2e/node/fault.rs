//! What goes wrong on purpose, so that those who make nodes can be tested for it: the variable `CURTAIN_NODE_FAULT` of
//! the container, set by a variant of the image.

use std::{env, thread::sleep, time::Duration};

use crate::Outcome;

/// Longer than anybody waits for a node; bounded all the same.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Goes wrong if the container is to at this `point`: `<point>-fails` or `<point>-hangs`.
pub(crate) fn at(point: &str) -> Outcome {
    let fault = env::var("CURTAIN_NODE_FAULT").unwrap_or_default();
    match fault.strip_prefix(point) {
        Some("-fails") => Err(format!("{point} fails, as CURTAIN_NODE_FAULT={fault} asks for")),
        Some("-hangs") => {
            eprintln!("{point} hangs, as CURTAIN_NODE_FAULT={fault} asks for");
            sleep(FOR_EVER);
            Err(format!("{point} hung for {FOR_EVER:?}"))
        }
        _ => Ok(()),
    }
}
