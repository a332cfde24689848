//! Which model is to be asked: files with the names that upstream's agent knows as variables.

use std::io::ErrorKind;
use std::path::Path;

use crate::model::{Endpoint, Secret};

/// The model in `folder`; `None` when none is configured. The error is a sentence, without the key.
pub(super) async fn endpoint(folder: &Path) -> Result<Option<Endpoint>, String> {
    let Some(name) = read(folder, "RCA_MODEL_NAME").await? else { return Ok(None) };
    let key = read(folder, "RCA_LLM_API_KEY").await?.unwrap_or_default();
    let base = read(folder, "RCA_LLM_BASE_URL").await?;
    let endpoint = Endpoint::parse(&name, base.as_deref(), Secret::new(key));
    endpoint.map(Some).map_err(|error| error.to_string())
}

/// What the file `name` says; `None` when it is not there or empty.
async fn read(folder: &Path, name: &str) -> Result<Option<String>, String> {
    match tokio::fs::read_to_string(folder.join(name)).await {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("the setting {name} cannot be read: {error}")),
    }
}
