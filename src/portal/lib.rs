//! The web portal, an ordinary client of the public APIs.
