//! A word from the model when the agent starts, so that a wrong key or name is in the log before the first alert.

use std::path::Path;
use std::time::Duration;

use super::endpoint;
use crate::model::ping;

/// How long a word may take, further tries included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Logs whether a model is configured in `folder`, answers, and as what. Whatever comes of it, the agent works: the
/// settings are read again for each analysis, and without an answer the rules' word stands.
pub(in crate::sre) async fn greet(folder: &Path) {
    match said(folder).await {
        Ok(words) => tracing::info!("{words}"),
        Err(why) => {
            tracing::warn!(why, "the model cannot be asked; until it can, the rules' word stands")
        }
    }
}

async fn said(folder: &Path) -> Result<String, String> {
    let Some(endpoint) = endpoint(folder).await? else {
        return Ok("no model is configured: the rules alone look for causes".to_owned());
    };
    let pinged = tokio::time::timeout(PATIENCE, ping(&endpoint)).await;
    let pinged = pinged.map_err(|_| {
        format!("the model {} says nothing within {} s", endpoint.model, PATIENCE.as_secs())
    })?;
    let name = pinged.map_err(|error| format!("the model {}: {error}", endpoint.model))?;
    let name = name.unwrap_or_else(|| "it does not say what".to_owned());
    Ok(format!("the model {} answers, as {name}", endpoint.model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::provider::Provider;

    #[tokio::test]
    async fn what_answers_and_what_does_not_is_said_without_the_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = async || said(folder.path()).await;
        assert!(said().await.expect("fine").starts_with("no model is configured"));
        let set = |provider: &Provider| {
            let (name, base) = provider.settings();
            for (file, text) in [
                ("RCA_MODEL_NAME", name.as_str()),
                ("RCA_LLM_BASE_URL", &base),
                ("RCA_LLM_API_KEY", "k3y"),
            ] {
                std::fs::write(folder.path().join(file), text).expect("writes");
            }
        };
        set(&Provider::playing("openai_ready").await);
        assert_eq!(said().await.expect("ready"), "the model model-x answers, as model-x");
        set(&Provider::playing("openai_key").await);
        let why = said().await.expect_err("a wrong key");
        assert!(why.contains("does not take the key") && !why.contains("k3y"), "{why}");
    }
}
