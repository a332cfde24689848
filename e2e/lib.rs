//! Real clients against a real instance.
//!
//! Every test brings up an instance of its own with the binary that was built beside it, in a home directory of its
//! own, and ends by proving that nothing is left: [`Instance::down`] asks the instance, and [`Residue`] asks the
//! machine. The clients (kubectl, Helm, MCP SDKs, a browser) are those that `scripts/clients` installs.
//!
//! A test that panics still takes its instance down (`Drop`), and never touches another one. Tests with an instance run
//! in namespaces of their own (`e2e/apart`), one at a time in each program: what they find on the machine is theirs.
//!
//! [`Engine`] is a Docker Engine in the same namespaces, for the provider that makes clusters with one, and holds a node
//! image made for the purpose.

mod actions_cache;
mod apart;
mod archive;
mod browser;
mod clients;
mod engine;
mod evidence;
mod http;
mod image;
mod instance;
mod loopback;
mod mcp;
mod node_image;
mod registry;
mod releases;
mod residue;
mod space;
mod visitor;
mod wait;

pub use actions_cache::{ActionsCache, Weather};
pub use browser::Browser;
pub use clients::{Clients, Output, piped};
pub use engine::Engine;
pub use http::{Answer, get, get_as, post_as, post_form, put_as};
pub use image::busybox_archive;
pub use instance::{Instance, binary};
pub use mcp::{Agent, Server};
pub use registry::Registry;
pub use releases::Releases;
pub use residue::Residue;
pub use space::Space;
pub use visitor::Visitor;
pub use wait::eventually;
