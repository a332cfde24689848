//! get and list.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::super::Api;
use super::super::reply::{self, Reply};
use super::super::request::accept::Shape;
use super::super::status::ApiError;
use super::super::store::{HistoryError, Key, Object, Page};
use super::{Context, show};

/// Encoded lists leave in pieces of about this size.
const PIECE: usize = 64 << 10;

pub(super) fn get(api: &Api, context: &Context) -> Result<Reply, ApiError> {
    context.check_namespace(api, false)?;
    if let Some(asked) = context.query.number::<u64>("resourceVersion")? {
        let current = api.store.rv();
        if asked > current {
            return Err(ApiError::too_large(asked, current));
        }
    }
    let object = api
        .store
        .get(&context.resource.table, &context.key())
        .ok_or_else(|| context.not_found())?;
    show::object(context, 200, &object)
}

/// Why the list as of `asked` cannot be given.
fn unreachable(asked: u64) -> impl Fn(HistoryError) -> ApiError {
    move |error| match error {
        HistoryError::TooOld { .. } => {
            ApiError::expired("The resourceVersion for the provided list is too old.")
        }
        HistoryError::TooLarge { current } => ApiError::too_large(asked, current),
    }
}

/// Where the next page begins.
struct Token {
    rv: u64,
    after: Key,
}

impl Token {
    fn encode(&self) -> String {
        BASE64.encode(
            json!({"v": 1, "rv": self.rv, "ns": *self.after.namespace, "name": *self.after.name})
                .to_string(),
        )
    }

    fn decode(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_slice(&BASE64.decode(text).ok()?).ok()?;
        let after = Key::new(value["ns"].as_str()?, value["name"].as_str()?);
        Some(Self { rv: value["rv"].as_u64()?, after })
    }
}

fn page(api: &Api, context: &Context, token: Option<&Token>) -> Result<Page, ApiError> {
    let (table, scope) = (&context.resource.table, context.scope());
    if let Some(token) = token {
        return api.store.list_at(table, scope, token.rv).map_err(unreachable(token.rv));
    }
    let asked = context.query.number::<u64>("resourceVersion")?.filter(|rv| *rv != 0);
    let matching = context.query.get("resourceVersionMatch");
    match (asked, matching) {
        (Some(rv), Some("Exact")) => api.store.list_at(table, scope, rv).map_err(unreachable(rv)),
        (Some(rv), _) => {
            let page = api.store.list(table, scope);
            if rv > page.rv { Err(ApiError::too_large(rv, page.rv)) } else { Ok(page) }
        }
        _ => Ok(api.store.list(table, scope)),
    }
}

pub(super) fn answer(api: &Api, context: &Context) -> Result<Reply, ApiError> {
    context.check_namespace(api, false)?;
    let (labels, fields) = (context.labels()?, context.fields()?);
    let limit = context.query.number::<i64>("limit")?.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| *limit > 0);
    let token = match context.query.get("continue") {
        Some(text) => {
            let token = Token::decode(text);
            Some(token.ok_or_else(|| {
                ApiError::bad_request("continue key is not valid: it was not made by this server")
            })?)
        }
        None => None,
    };
    if token.is_some() && context.query.get("resourceVersion").is_some_and(|rv| rv != "0") {
        let why = "specifying resource version is not allowed when using continue";
        return Err(ApiError::bad_request(why));
    }
    let Page { rv, mut objects } = page(api, context, token.as_ref())?;
    if let Some(token) = &token {
        objects.retain(|object| object.key > token.after);
    }
    if !labels.is_empty() || !fields.is_empty() {
        let resource = &context.resource;
        objects.retain(|object| labels.matches(object) && show::has(resource, &fields, object));
    }
    let mut metadata = json!({"resourceVersion": rv.to_string()});
    if let Some(limit) = limit
        && objects.len() > limit
    {
        // Real servers give no count when a selector is set.
        if labels.is_empty() && fields.is_empty() {
            metadata["remainingItemCount"] = (objects.len() - limit).into();
        }
        objects.truncate(limit);
        if let Some(last) = objects.last() {
            metadata["continue"] = Token { rv, after: last.key.clone() }.encode().into();
        }
    }
    send(context, metadata, objects)
}

/// The objects as a list in the shape that the client wants.
pub(super) fn send(
    context: &Context,
    metadata: Value,
    objects: Vec<Arc<Object>>,
) -> Result<Reply, ApiError> {
    let shape = context.shape()?;
    if shape == Shape::Table {
        let rows = show::RowObject::of(context)?;
        let documents: Vec<_> = objects.iter().map(|o| show::value(&context.resource, o)).collect();
        let mut table = show::table(&context.resource, &documents, rows, String::new(), true);
        table["metadata"] = metadata;
        return Ok(reply::json(200, &table));
    }
    let (kind, api_version) = match shape {
        Shape::Metadata => ("PartialObjectMetadataList", "meta.k8s.io/v1".to_owned()),
        _ => (context.resource.list_kind.as_str(), context.resource.api_version()),
    };
    let head = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[",
        json!(kind),
        json!(api_version)
    );
    Ok(reply::reply(200, "application/json", encoded(context, shape, head, objects)))
}

/// A list is concatenation: pieces are made as the client takes them.
fn encoded(
    context: &Context,
    shape: Shape,
    head: String,
    objects: Vec<Arc<Object>>,
) -> reply::Body {
    let resource = context.resource.clone();
    let mut buffer = BytesMut::from(head.as_bytes());
    let mut objects = objects.into_iter();
    let mut first = true;
    let mut next_piece = move || -> Option<Bytes> {
        let mut more = true;
        while buffer.len() < PIECE && more {
            match objects.next() {
                Some(object) => {
                    if !first {
                        buffer.put_u8(b',');
                    }
                    first = false;
                    buffer.put_slice(&show::item(&resource, shape, &object));
                }
                None => more = false,
            }
        }
        (!buffer.is_empty()).then(|| buffer.split().freeze())
    };
    let Some(start) = next_piece() else { return reply::full(Bytes::new()) };
    if start.len() < PIECE {
        let mut whole = BytesMut::from(start);
        whole.put_slice(b"]}\n");
        return reply::full(whole.freeze());
    }
    let tail = futures::stream::once(async { Bytes::from_static(b"]}\n") });
    let pieces = futures::stream::once(async { start })
        .chain(futures::stream::iter(std::iter::from_fn(next_piece)));
    reply::stream(pieces.chain(tail).map(Ok).boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_their_encoding_and_others_are_refused() {
        let token = Token { rv: 7, after: Key::new("ns", "a") };
        let decoded = Token::decode(&token.encode()).unwrap();
        assert_eq!((decoded.rv, decoded.after), (7, Key::new("ns", "a")));
        assert!(Token::decode("x").is_none() && Token::decode("").is_none());
    }
}
