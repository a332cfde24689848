//! Messages of `openapi.v2`, as far as clients look for it: kinds, their fields, and what is sent to a path.

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Document {
    #[prost(string, tag = "1")]
    pub(in crate::openapi) swagger: String,
    #[prost(message, optional, tag = "8")]
    pub(in crate::openapi) paths: Option<Paths>,
    #[prost(message, optional, tag = "9")]
    pub(in crate::openapi) definitions: Option<Schemas>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Paths {
    #[prost(message, repeated, tag = "2")]
    pub(in crate::openapi) path: Vec<NamedPath>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct NamedPath {
    #[prost(string, tag = "1")]
    pub(in crate::openapi) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::openapi) value: Option<Path>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Path {
    #[prost(message, optional, tag = "4")]
    pub(in crate::openapi) post: Option<Operation>,
    #[prost(message, repeated, tag = "9")]
    pub(in crate::openapi) parameters: Vec<ParametersItem>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Operation {
    #[prost(string, repeated, tag = "6")]
    pub(in crate::openapi) produces: Vec<String>,
    #[prost(message, repeated, tag = "8")]
    pub(in crate::openapi) parameters: Vec<ParametersItem>,
    #[prost(message, optional, tag = "9")]
    pub(in crate::openapi) responses: Option<Responses>,
    #[prost(message, repeated, tag = "13")]
    pub(in crate::openapi) extensions: Vec<NamedAny>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct ParametersItem {
    #[prost(message, optional, tag = "1")]
    pub(in crate::openapi) parameter: Option<Parameter>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Parameter {
    #[prost(message, optional, tag = "1")]
    pub(in crate::openapi) body: Option<Body>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::openapi) other: Option<Other>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Body {
    #[prost(string, tag = "2")]
    pub(in crate::openapi) name: String,
    #[prost(bool, tag = "4")]
    pub(in crate::openapi) required: bool,
    #[prost(message, optional, tag = "5")]
    pub(in crate::openapi) schema: Option<Schema>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Other {
    #[prost(message, optional, tag = "3")]
    pub(in crate::openapi) query: Option<InQuery>,
    #[prost(message, optional, tag = "4")]
    pub(in crate::openapi) path: Option<InPath>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct InQuery {
    #[prost(string, tag = "4")]
    pub(in crate::openapi) name: String,
    #[prost(string, tag = "6")]
    pub(in crate::openapi) r#type: String,
    #[prost(bool, tag = "20")]
    pub(in crate::openapi) unique: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct InPath {
    #[prost(bool, tag = "1")]
    pub(in crate::openapi) required: bool,
    #[prost(string, tag = "4")]
    pub(in crate::openapi) name: String,
    #[prost(string, tag = "5")]
    pub(in crate::openapi) r#type: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Responses {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::openapi) code: Vec<NamedResponse>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct NamedResponse {
    #[prost(string, tag = "1")]
    pub(in crate::openapi) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::openapi) value: Option<ResponseValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct ResponseValue {
    #[prost(message, optional, tag = "1")]
    pub(in crate::openapi) response: Option<Response>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Response {
    #[prost(message, optional, tag = "2")]
    pub(in crate::openapi) schema: Option<Item>,
}

/// A message that has a schema, or several.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Item {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::openapi) schema: Vec<Schema>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Schemas {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::openapi) all: Vec<NamedSchema>,
}

impl Schemas {
    pub(in crate::openapi) fn named(&self, name: &str) -> &Schema {
        let found = self.all.iter().find(|one| one.name == name);
        found.and_then(|one| one.value.as_ref()).unwrap_or_else(|| panic!("no {name}"))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct NamedSchema {
    #[prost(string, tag = "1")]
    pub(in crate::openapi) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::openapi) value: Option<Schema>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Schema {
    #[prost(string, tag = "1")]
    pub(in crate::openapi) reference: String,
    #[prost(string, tag = "2")]
    pub(in crate::openapi) format: String,
    #[prost(message, optional, tag = "5")]
    pub(in crate::openapi) default: Option<Any>,
    #[prost(int64, tag = "11")]
    pub(in crate::openapi) max_length: i64,
    #[prost(string, repeated, tag = "19")]
    pub(in crate::openapi) required: Vec<String>,
    #[prost(message, repeated, tag = "20")]
    pub(in crate::openapi) r#enum: Vec<Any>,
    #[prost(message, optional, boxed, tag = "21")]
    pub(in crate::openapi) additional: Option<Box<Additional>>,
    #[prost(message, optional, tag = "22")]
    pub(in crate::openapi) r#type: Option<Texts>,
    #[prost(message, optional, boxed, tag = "23")]
    pub(in crate::openapi) items: Option<Box<Item>>,
    #[prost(message, optional, tag = "25")]
    pub(in crate::openapi) properties: Option<Schemas>,
    #[prost(message, repeated, tag = "31")]
    pub(in crate::openapi) extensions: Vec<NamedAny>,
}

impl Schema {
    pub(in crate::openapi) fn property(&self, name: &str) -> &Schema {
        self.properties.as_ref().expect("properties").named(name)
    }

    pub(in crate::openapi) fn r#type(&self) -> &[String] {
        self.r#type.as_ref().map_or(&[], |types| &types.value)
    }

    pub(in crate::openapi) fn extension(&self, name: &str) -> Option<serde_json::Value> {
        let found = self.extensions.iter().find(|one| one.name == name)?;
        serde_json::from_str(&found.value.as_ref()?.yaml).ok()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Additional {
    #[prost(message, optional, boxed, tag = "1")]
    pub(in crate::openapi) schema: Option<Box<Schema>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub(in crate::openapi) value: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct NamedAny {
    #[prost(string, tag = "1")]
    pub(in crate::openapi) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::openapi) value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::openapi) struct Any {
    #[prost(string, tag = "2")]
    pub(in crate::openapi) yaml: String,
}
