//! Patches over JSON documents: JSON Patch, merge patch, strategic merge and server-side apply.
