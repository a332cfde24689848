//! Content negotiation: what the client wants to read.

use super::super::status::ApiError;

/// How objects are shown in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// As they are.
    Object,
    /// As rows of a `meta.k8s.io/v1` Table.
    Table,
    /// Metadata only.
    Metadata,
}

/// The aggregated-discovery format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiscoveryFormat {
    /// One document per group version.
    Classic,
    /// `apidiscovery.k8s.io` `v2` or `v2beta1`.
    Aggregated(&'static str),
}

/// How the OpenAPI document of version 2 is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenApiFormat {
    /// As JSON.
    Json,
    /// As a message of gnostic's.
    Protobuf,
}

impl OpenApiFormat {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => SWAGGER_PROTOBUF,
        }
    }
}

const SWAGGER_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// What it was called before somebody noticed that a media type must not have such a sign.
const SWAGGER_PROTOBUF_ONCE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

struct Choice<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

fn choices(accept: &str) -> impl Iterator<Item = Choice<'_>> {
    accept.split(',').map(|choice| {
        let mut parts = choice.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|p| p.split_once('=')).collect();
        Choice { media, parameters }
    })
}

impl Choice<'_> {
    fn get(&self, name: &str) -> &str {
        self.parameters.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
    }

    fn json(&self) -> bool {
        matches!(self.media, "application/json" | "application/*" | "*/*" | "")
    }
}

/// The first acceptable shape; 406 if there is none.
pub(crate) fn shape(accept: &str) -> Result<Shape, ApiError> {
    for choice in choices(accept).filter(Choice::json) {
        match choice.get("as") {
            "" => return Ok(Shape::Object),
            "Table" if choice.get("v") == "v1" => return Ok(Shape::Table),
            "PartialObjectMetadata" | "PartialObjectMetadataList" if choice.get("v") == "v1" => {
                return Ok(Shape::Metadata);
            }
            _ => {}
        }
    }
    Err(ApiError::not_acceptable())
}

/// Which discovery document; classic unless an aggregated one is named first.
pub(crate) fn discovery(accept: &str) -> DiscoveryFormat {
    for choice in choices(accept).filter(Choice::json) {
        match (choice.get("as"), choice.get("v")) {
            ("APIGroupDiscoveryList", "v2") => return DiscoveryFormat::Aggregated("v2"),
            ("APIGroupDiscoveryList", "v2beta1") => return DiscoveryFormat::Aggregated("v2beta1"),
            ("", _) => return DiscoveryFormat::Classic,
            _ => {}
        }
    }
    DiscoveryFormat::Classic
}

/// Which document of version 2; 406 if there is none.
pub(crate) fn openapi(accept: &str) -> Result<OpenApiFormat, ApiError> {
    let format = |choice: Choice<'_>| match choice.media {
        SWAGGER_PROTOBUF | SWAGGER_PROTOBUF_ONCE => Some(OpenApiFormat::Protobuf),
        _ => choice.json().then_some(OpenApiFormat::Json),
    };
    choices(accept).find_map(format).ok_or_else(ApiError::not_acceptable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_acceptable_choice_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(shape(table).unwrap(), Shape::Table);
        assert_eq!(shape("").unwrap(), Shape::Object);
        assert_eq!(shape("*/*").unwrap(), Shape::Object);
        assert_eq!(
            shape("application/vnd.kubernetes.protobuf, application/json").unwrap(),
            Shape::Object
        );
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(shape(metadata).unwrap(), Shape::Metadata);
        assert_eq!(shape("application/vnd.kubernetes.protobuf").unwrap_err().code, 406);
        let aggregated =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(discovery(aggregated), DiscoveryFormat::Aggregated("v2"));
        assert_eq!(discovery("application/json"), DiscoveryFormat::Classic);
    }
}
