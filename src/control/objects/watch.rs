//! Live lists.

use std::collections::BTreeSet;

use futures::{Stream, StreamExt as _, future};
use kube::runtime::watcher;

use super::{
    Error, Kind, ListQuery, Object, Objects,
    list::{label_selector, types},
    store::{Ask, check_name},
};
use crate::{authz::Via, follow, identity::Caller};

/// What a live list shows.
#[derive(Debug)]
pub enum Seen {
    /// Everything there is: at first, and again when the list had to be taken up anew.
    Snapshot(Vec<Object>),
    /// An object is new or different.
    Applied(Object),
    /// An object is gone, or out of the caller's sight.
    Deleted(Object),
}

impl Objects {
    /// Follows a list, or the one object `name` of it, as the caller may see it at every moment.
    ///
    /// `query`'s paging does not apply. The stream never ends by itself.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a bad name.
    pub fn watch(
        &self,
        caller: Caller,
        via: Via,
        kind: &'static Kind,
        query: ListQuery<'_>,
        name: Option<&str>,
    ) -> Result<impl Stream<Item = Seen> + Send + use<>, Error> {
        let mut config = watcher::Config::default();
        if let Some(labels) = label_selector(kind, query.label_selector) {
            config = config.labels(&labels);
        }
        if let Some(name) = name {
            check_name(kind, name)?;
            config = config.fields(&format!("metadata.name={name}"));
        }
        let (objects, namespace) = (self.clone(), query.namespace.to_owned());
        let filter = query.filter.map(str::to_owned);
        let visible = move |object: &Object| {
            let query = ListQuery {
                namespace: &namespace,
                filter: filter.as_deref(),
                ..ListQuery::default()
            };
            objects.is_listed(Ask { caller: &caller, via }, kind, query, object)
        };
        let typed = |mut object: Object| {
            object.types = Some(types(kind));
            object
        };
        let changes = follow::changes(self.api(kind, query.namespace)?, config);
        let mut shown = BTreeSet::new();
        Ok(changes.filter_map(move |change| {
            future::ready(match change {
                follow::Change::Reset(all) => {
                    let all: Vec<_> = all.into_iter().filter(&visible).map(typed).collect();
                    shown = all.iter().map(|object| object.metadata.name.clone()).collect();
                    Some(Seen::Snapshot(all))
                }
                follow::Change::Applied(object) if visible(&object) => {
                    shown.insert(object.metadata.name.clone());
                    Some(Seen::Applied(typed(object)))
                }
                follow::Change::Applied(object) => shown
                    .remove(&object.metadata.name)
                    .then(|| Seen::Deleted(typed(out_of_sight(&object)))),
                follow::Change::Deleted(object) => {
                    let seen = if visible(&object) { object } else { out_of_sight(&object) };
                    shown.remove(&seen.metadata.name).then(|| Seen::Deleted(typed(seen)))
                }
            })
        }))
    }
}

/// An object that was shown and may not be any more: who it is, and nothing of what it has become.
fn out_of_sight(object: &Object) -> Object {
    let from = &object.metadata;
    Object {
        types: None,
        metadata: kube::core::ObjectMeta {
            name: from.name.clone(),
            namespace: from.namespace.clone(),
            uid: from.uid.clone(),
            ..Default::default()
        },
        data: serde_json::json!({}),
    }
}
