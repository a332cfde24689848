//! Parts of an action that can be granted alone.
//!
//! To update a release binding is to change everything about how a component runs somewhere. Who holds the action may do
//! all of it; who holds a part may make a change that is that and nothing else; who is denied a part may make no update
//! that has it in it, whatever they hold. To make a binding, or to remove one, is no update and has no parts: there is
//! nothing that it would scale, restart or take back. Who shall not come to the same that way is denied those, too.

/// To set another number of replicas.
pub const SCALE: &str = "releasebinding:scale";
/// To start the pods anew.
pub const RESTART: &str = "releasebinding:restart";
/// To go back to an earlier release.
pub const ROLLBACK: &str = "releasebinding:rollback";

/// The parts of `action`.
pub fn parts(action: &str) -> &'static [&'static str] {
    match action {
        "releasebinding:update" => &[SCALE, RESTART, ROLLBACK],
        _ => &[],
    }
}

/// `action` and its parts.
pub(super) fn with_parts(action: &str) -> impl Iterator<Item = &str> {
    std::iter::once(action).chain(parts(action).iter().copied())
}
