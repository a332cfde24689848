//! What other systems say.

use std::path::Path;

use sysinfo::System;

pub(super) fn memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    Some(system.available_memory()).filter(|bytes| *bytes > 0)
}

pub(super) fn disk(path: &Path) -> Option<u64> {
    fs4::available_space(path).ok()
}

pub(super) fn kernel() -> String {
    System::kernel_version().unwrap_or_default()
}

pub(super) fn setting(_: &str) -> Option<u64> {
    None
}
