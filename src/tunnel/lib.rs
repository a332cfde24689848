//! A byte stream over a WebSocket, shared by both ends of the cluster tunnel.
