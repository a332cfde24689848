//! Observability: collect, store, query, REST and MCP.
