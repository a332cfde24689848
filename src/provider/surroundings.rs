//! What the user's surroundings say about where an Engine may be. The command line reads them; this room does not.

use std::path::PathBuf;

/// Variables and folders that Docker's own tools go by.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`, or `.docker` in the user's home.
    pub docker_config: Option<PathBuf>,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}
