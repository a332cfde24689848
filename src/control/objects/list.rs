//! Lists, page by page, of what the caller may see.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kube::api::ListParams;
use serde::{Deserialize, Serialize};

use super::{
    Error, Kind, Object, Objects, Place, Verb,
    store::{Ask, CONTROL_PLANE_LABEL, check_name, check_namespace},
    view::text_at,
};
use crate::{
    audit::trail,
    authz::{Attributes, Decision, Question},
};

/// The most items of a page; larger wishes are cut down to it.
pub const MOST_ITEMS: usize = 100;
/// Objects fetched from the API server at once.
const CHUNK: u32 = 100;

/// What to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListQuery<'a> {
    /// The namespace; unused for cluster kinds.
    pub namespace: &'a str,
    /// The value of the kind's own filter.
    pub filter: Option<&'a str>,
    /// In Kubernetes syntax.
    pub label_selector: Option<&'a str>,
    /// Items wanted, 1 to [`MOST_ITEMS`].
    pub limit: usize,
    /// From the page before.
    pub cursor: Option<&'a str>,
}

/// A page of a list.
#[derive(Debug, Default)]
pub struct Page {
    /// Objects in the order of their names.
    pub items: Vec<Object>,
    /// Where to go on, if there may be more.
    pub next_cursor: Option<String>,
    /// The version of the list, to watch from.
    pub resource_version: Option<String>,
}

/// A place in a list: the API server's own token, and the last name that was shown.
///
/// The name alone would do; the token saves reading the list from its beginning. When the token has expired, the
/// name still finds the place, since lists are in the order of names.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    token: String,
    #[serde(rename = "a", default)]
    after: String,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, Error> {
        let malformed =
            || Error::BadRequest("the cursor is not one of ours; leave it out to begin".into());
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
        serde_json::from_slice(&json).map_err(|_| malformed())
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Objects {
    /// A page of what the caller may see: filtered one by one, and filled up.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a bad cursor or selector, [`Error::NotFound`] when the filter names nothing.
    pub async fn list(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        query: ListQuery<'_>,
    ) -> Result<Page, Error> {
        // Before the audit record: that is to name a place, and these may be anything.
        check_namespace(kind, query.namespace)?;
        let filter = query.filter.filter(|_| kind.filter.is_some());
        if let Some(name) = filter {
            check_name(kind.filter_kind(), name)?;
        }
        let (view, mut at) = (kind.action(Verb::View), kind.somewhere(query.namespace));
        if let Some(project) = filter.filter(|_| kind.filter == Some("project")) {
            at = at.project(project);
        }
        trail::asked(&view, "", &at);
        if let Some(name) = filter {
            self.peek(kind.filter_kind(), query.namespace, name).await?;
        }
        let (page, first) = self.visible(ask, kind, query).await?;
        // Of the list as a whole, what let the caller see its first item tells who let them.
        if let Some(decision) = first {
            let attributes = Attributes::default();
            let question = Question { action: &view, at: &at, attributes: &attributes };
            trail::decided(question, "", &decision);
        }
        Ok(page)
    }

    /// The same of checked names, with what let the caller see the first item; it leaves no trail.
    pub(super) async fn visible(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        query: ListQuery<'_>,
    ) -> Result<(Page, Option<Decision>), Error> {
        let limit = query.limit.clamp(1, MOST_ITEMS);
        let mut first = None;
        let mut cursor = query.cursor.map(Cursor::parse).transpose()?.unwrap_or_default();
        let mut page = Page::default();
        loop {
            let chunk = self.chunk(kind, query, &mut cursor).await?;
            let token = chunk.metadata.continue_.clone().unwrap_or_default();
            page.resource_version = chunk.metadata.resource_version.clone();
            for mut object in chunk.items {
                let name = object.metadata.name.clone().unwrap_or_default();
                if name <= cursor.after {
                    continue;
                }
                let decision = self.listed(ask, kind, query, &object);
                let Some(decision) = decision.filter(Decision::is_allowed) else { continue };
                if page.items.len() == limit {
                    page.next_cursor = Some(cursor.encode());
                    return Ok((page, first));
                }
                first.get_or_insert(decision);
                cursor.after = name;
                // Items of a list do not say what they are.
                object.types = Some(types(kind));
                page.items.push(object);
            }
            if token.is_empty() {
                return Ok((page, first));
            }
            cursor.token = token;
        }
    }

    async fn chunk(
        &self,
        kind: &'static Kind,
        query: ListQuery<'_>,
        cursor: &mut Cursor,
    ) -> Result<kube::core::ObjectList<Object>, Error> {
        let mut params = ListParams::default().limit(CHUNK);
        if let Some(labels) = label_selector(kind, query.label_selector) {
            params = params.labels(&labels);
        }
        let api = self.api(kind, query.namespace)?;
        if !cursor.token.is_empty() {
            match api.list(&params.clone().continue_token(&cursor.token)).await {
                Err(kube::Error::Api(status)) if status.code == 410 => cursor.token.clear(),
                other => return other.map_err(|error| listing(error, kind)),
            }
        }
        api.list(&params).await.map_err(|error| listing(error, kind))
    }

    /// Whether `object` belongs into the caller's list.
    pub(super) fn is_listed(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        query: ListQuery<'_>,
        object: &Object,
    ) -> bool {
        self.listed(ask, kind, query, object).is_some_and(|decision| decision.is_allowed())
    }

    /// Whether the caller may see `object`; nothing if it was not asked for.
    fn listed(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        query: ListQuery<'_>,
        object: &Object,
    ) -> Option<Decision> {
        let filtered = kind.filter.is_some()
            && query.filter.is_some_and(|value| text_at(&object.data, kind.filter_path()) != value);
        if filtered {
            return None;
        }
        let (at, action) = (kind.place_of(query.namespace, object), kind.action(Verb::View));
        let attributes = kind.attributes(query.namespace, &object.data, Verb::View);
        let question = Question { action: &action, at: &at, attributes: &attributes };
        Some(self.authorizer.decide(ask.caller.entitlements(), question))
    }
}

pub(super) fn types(kind: &Kind) -> kube::core::TypeMeta {
    let resource = kind.resource();
    kube::core::TypeMeta { api_version: resource.api_version, kind: resource.kind }
}

/// The caller's selector, and for namespaces the platform's own.
pub(super) fn label_selector(kind: &Kind, asked: Option<&str>) -> Option<String> {
    let own = (kind.place == Place::Namespace).then(|| format!("{CONTROL_PLANE_LABEL}=true"));
    match (own, asked.filter(|asked| !asked.is_empty())) {
        (Some(own), Some(asked)) => Some(format!("{own},{asked}")),
        (own, asked) => own.or(asked.map(str::to_owned)),
    }
}

fn listing(error: kube::Error, kind: &Kind) -> Error {
    match Error::from_kube(error, kind, "") {
        Error::BadRequest(reason) => Error::BadRequest(format!("invalid label selector: {reason}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursor = Cursor { token: "opaque".into(), after: "web".into() };
        let back = Cursor::parse(&cursor.encode()).expect("cursor");
        assert_eq!((back.token, back.after), (cursor.token, cursor.after));
        assert!(matches!(Cursor::parse("!"), Err(Error::BadRequest(_))));
    }
}
