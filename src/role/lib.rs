//! What every role shares: runtime, shutdown, health, kube client, DNS and back-off.
