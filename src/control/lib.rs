//! The control plane's doors: REST, MCP, identity, authorization and the cluster gateway.
