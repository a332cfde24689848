//! What is made of the objects of a table, once for each state of it.

use std::sync::{Arc, RwLock};

use super::{Store, Table};

/// Something made of all objects of a table.
pub(in crate::apiserver) struct Derived<T> {
    table: Table,
    /// With the resourceVersion of the objects that it was made from.
    made: RwLock<(u64, Arc<T>)>,
}

impl<T: Default> Derived<T> {
    pub(in crate::apiserver) fn new(table: &str) -> Self {
        Self { table: table.into(), made: RwLock::new((u64::MAX, Arc::default())) }
    }

    /// What it is right now, never older than the objects that a client can see: `make` makes it anew, given the table
    /// and what was made of it before.
    pub(in crate::apiserver) fn get(
        &self,
        store: &Store,
        make: impl FnOnce(&Table, &T) -> T,
    ) -> Arc<T> {
        let current = store.changed(&self.table);
        {
            let made = locked!(self.made.read());
            if made.0 == current {
                return made.1.clone();
            }
        }
        let mut made = locked!(self.made.write());
        // Read again under the lock: of two changes the later one must win.
        let current = store.changed(&self.table);
        if made.0 != current {
            *made = (current, Arc::new(make(&self.table, &made.1)));
        }
        made.1.clone()
    }
}
