//! OpenAPI v3 structural schemas: default, prune, validate; and the table of built-in kinds.
