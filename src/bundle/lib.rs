//! Bundles: format, images, install engine and readiness.
