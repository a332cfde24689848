//! The objects of the platform as callers may see and change them: what REST and MCP have in common.
//!
//! A [`Kind`] is one row of a table: names, where its objects stand in the hierarchy, what lists filter by.
//! [`Objects`] does the work for every row alike: authorize, check references, fill defaults in, talk to the API
//! server of the cluster with the role's own account, and audit. The schema and its rules are the API server's.
//!
//! Invariants: nothing is read or changed before the caller was judged for exactly that object, except that an
//! object must be read to know its place; nothing is cached; a change is based on the version that was read.

mod comeback;
mod create;
mod error;
mod grants;
mod judge;
mod kinds;
mod known;
mod list;
mod release;
mod schema;
mod store;
mod unknown;
mod update;
mod view;
mod watch;

pub use error::Error;
pub use grants::Wish;
pub use kinds::{KINDS, Kind, Place, Verb, kind, kind_of};
pub use known::Names;
pub use list::{ListQuery, MOST_ITEMS, Page};
pub use schema::parameters_schema;
pub use store::{Ask, Objects};
pub use view::{DESCRIPTION, DISPLAY_NAME, condition_status, created_at, represent, text_at};
pub use watch::Seen;

/// An object of any kind, as the API server has it.
pub type Object = kube::core::DynamicObject;
