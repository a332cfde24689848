//! Real clients against a real instance.
