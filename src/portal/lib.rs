//! The web portal, an ordinary client of the public APIs.
//!
//! Pages are rendered here from what the REST API and the observer answer to the signed-in
//! person's own token: the portal has no rights and no cache of its own. Live parts of a page are
//! rendered again on the server and sent as Server-Sent Events; without JavaScript every page
//! still works.
//!
//! Invariants: a token never reaches the browser, which holds only a random session id in an
//! HttpOnly, SameSite=Strict cookie; every change is a same-origin POST; no page loads anything
//! from another host, and the content security policy says so; what is shown of others is
//! escaped by the template engine.
//!
//! Entry points: [`Config`], [`run`].

mod actions;
mod answers;
mod ask;
mod assets;
mod backend;
mod breaking;
mod chart;
mod deploy;
mod diagram;
mod diff;
mod edits;
mod error;
mod forms;
mod grants;
mod health;
mod incidents;
mod live;
mod login;
mod model;
mod overview;
mod pages;
mod projects;
mod question;
mod related;
mod remedy;
mod server;
mod session;
mod token;
mod wish;

pub use error::Error;
pub use server::{Config, run};

#[cfg(test)]
mod tests;
