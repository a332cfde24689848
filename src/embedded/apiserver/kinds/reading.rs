//! How stored custom resources are read: by the schemas of today, whatever these were when they were written.
//!
//! What has been written since the schemas are what they are has passed them already and is served as it is stored. (Of
//! a write that began before that and is committed after it, the next write makes up for what is missing.)

use std::collections::BTreeMap;
use std::sync::Arc;

use curtain_schema::crd::CrdSchema;

use super::super::store::Object;
use super::{Resource, ValueExt};

/// The schemas of a definition.
pub(in crate::apiserver) struct Reading {
    /// The resourceVersion from which on everything was written by them.
    pub since: u64,
    /// By the `apiVersion` in which objects are stored. All versions are here, those that are not served, too.
    pub schemas: BTreeMap<String, Arc<CrdSchema>>,
}

impl Resource {
    /// The object without what its schema no longer has and with the defaults that it has got, unless that is how it is
    /// stored.
    pub(in crate::apiserver) fn reread(&self, object: &Object) -> Option<Object> {
        let reading = self.reading.as_ref()?;
        if object.rv >= reading.since {
            return None;
        }
        let mut value = object.value();
        let schema = reading.schemas.get(value.text(&["apiVersion"]))?;
        schema.prune(&mut value).ok()?;
        schema.default(&mut value);
        let read = Object::new(object.rv, object.key.clone(), &value);
        (read.bytes != object.bytes).then_some(read)
    }
}
