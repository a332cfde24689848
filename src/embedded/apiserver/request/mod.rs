//! What a request asks for: path, query, formats and body, before anything is looked up.

pub(super) mod accept;
pub(super) mod body;
pub(super) mod path;
pub(super) mod protobuf;
pub(super) mod query;
pub(super) mod selector;
