//! The ${CEL} template language shared by bundles and the platform.
