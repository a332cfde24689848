//! The agent as a whole: what it says of all kinds of trouble, and how it works.

mod chat;
mod faults;
mod model;
mod service;
mod store;
mod tools;
mod world;
