//! Where a cluster comes from: embedded, kind or existing.
