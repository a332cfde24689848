//! The data plane: Gateway API proxy and cluster agent.
