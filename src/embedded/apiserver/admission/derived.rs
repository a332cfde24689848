//! What is made of the objects of a table, once for each state of it.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::super::store::{Store, Table};

/// Something made of all objects of a table.
pub(super) struct Derived<T> {
    table: Table,
    make: fn(&Value) -> Vec<T>,
    /// With the resourceVersion of the objects that it was made from.
    made: RwLock<(u64, Arc<Vec<T>>)>,
}

impl<T> Derived<T> {
    pub(super) fn new(table: &str, make: fn(&Value) -> Vec<T>) -> Self {
        Self { table: table.into(), make, made: RwLock::new((u64::MAX, Arc::default())) }
    }

    /// All there is right now, by the names of the objects.
    pub(super) fn get(&self, store: &Store) -> Arc<Vec<T>> {
        let current = store.changed(&self.table);
        {
            let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
            if made.0 == current {
                return made.1.clone();
            }
        }
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        // Read again under the lock: of two changes the later one must win.
        let current = store.changed(&self.table);
        if made.0 != current {
            let mut objects = store.list(&self.table, None).objects;
            objects.sort_by(|a, b| a.key.cmp(&b.key));
            let all = objects.iter().flat_map(|object| (self.make)(&object.value()));
            *made = (current, Arc::new(all.collect()));
        }
        made.1.clone()
    }
}
