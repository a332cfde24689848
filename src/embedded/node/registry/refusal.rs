//! What it means when a host does not give what it was asked for.

use http::{Response, StatusCode};
use hyper::body::Incoming;

use super::error::PullError;
use super::session::{Ask, Session};

const LARGEST_COMPLAINT: u64 = 64 << 10;
const LONGEST_COMPLAINT: usize = 200;

impl Session<'_> {
    /// What a refusal means.
    pub(super) async fn refusal(&self, answer: Response<Incoming>, ask: &Ask<'_>) -> PullError {
        let status = answer.status();
        let said = self.read(answer.into_body(), LARGEST_COMPLAINT).await;
        let said = said.ok().and_then(|bytes| complaint(&bytes));
        let (host, name) = (self.host.clone(), self.name(ask.path));
        match status {
            StatusCode::NOT_FOUND => PullError::NotFound { host, name },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let said = said.unwrap_or_else(|| status.to_string());
                let next = match self.credentials.is_empty() {
                    true => {
                        "there may be no such image, or it takes credentials: put them into a Secret of type \
                         kubernetes.io/dockerconfigjson and name it in imagePullSecrets of the pod or its ServiceAccount"
                    }
                    false => {
                        "check the name of the image and what the Secrets in imagePullSecrets hold for this host"
                    }
                };
                PullError::Denied { host, name, why: format!("{said}; {next}") }
            }
            status => {
                let said = said.map(|said| format!(": {said}")).unwrap_or_default();
                PullError::Answer { host, why: format!("says {status}{said}") }
            }
        }
    }
}

/// What a registry says that went wrong: `{"errors": [{"message": …}]}`. Only plain text of it, and not much.
fn complaint(bytes: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let first = document["errors"].as_array()?.first()?;
    let text =
        first["message"].as_str().filter(|text| !text.is_empty()).or(first["code"].as_str())?;
    let plain = |letter: &char| !letter.is_control() && letter.is_ascii();
    Some(text.chars().filter(plain).take(LONGEST_COMPLAINT).collect())
}
