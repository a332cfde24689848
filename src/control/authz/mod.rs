//! What a caller may do: one decision for REST, MCP and every other door.
//!
//! Roles and bindings (`openchoreo.dev/v1alpha1`, four kinds) are followed into a pure [`Index`]; [`Authorizer`]
//! asks it and leaves an audit line for every decision about a change.
//!
//! Rules that hold here: nothing is allowed without a binding; a matching deny wins over every allow, of whichever
//! entitlement; a condition that cannot be evaluated never helps the caller; a binding of a namespace reaches
//! nothing outside it; a binding that has ended allows nothing, whether or not it is still there.

mod actions;
mod audit;
mod authorizer;
mod clock;
mod condition;
mod decide;
mod denial;
mod ends;
mod gate;
mod grant;
mod hierarchy;
mod kinds;
mod parts;
mod policy;
mod profile;
pub mod routes;
mod sweep;
mod terms;
mod watch;

pub use actions::{ACTIONS, Action, Level};
pub use audit::{Via, audit};
pub use authorizer::Authorizer;
pub use clock::Clock;
pub use condition::{Attributes, Condition};
pub use decide::{Decision, Question};
pub use denial::{DENIED, Denial};
pub use ends::{EXPIRES_AT, Ends, GRANTED_BY};
pub use gate::{Absent, Gate, GateError, Named};
pub use hierarchy::Hierarchy;
pub use kinds::{GRANT_KINDS, GrantKind, grant_kinds_help};
pub use parts::{RESTART, ROLLBACK, SCALE, parts};
pub use policy::{Binding, Effect, Index, Pattern, Policy, Role};
pub use profile::{Capability, Profile};
pub use sweep::sweep;
pub(crate) use terms::described;
pub use terms::{Granted, Terms};
pub use watch::{Policies, watch_policies};
