//! The style sheet, the script and the icon, compiled in and named by their content.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

struct Asset {
    /// `app-1a2b3c4d.css`: another content has another name, so it may be cached for ever.
    name: String,
    kind: &'static str,
    content: &'static str,
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset("css", "text/css; charset=utf-8", include_str!("assets/app.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| asset("js", "text/javascript; charset=utf-8", include_str!("assets/app.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("svg", "image/svg+xml", include_str!("assets/icon.svg")));

fn asset(extension: &str, kind: &'static str, content: &'static str) -> Asset {
    let digest = Sha256::digest(content.as_bytes());
    let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Asset { name: format!("app-{hash}.{extension}"), kind, content }
}

pub(crate) fn style() -> String {
    format!("/assets/{}", STYLE.name)
}

pub(crate) fn script() -> String {
    format!("/assets/{}", SCRIPT.name)
}

pub(crate) fn icon_path() -> String {
    format!("/assets/{}", ICON.name)
}

pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    match [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let headers = [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// For browsers that ask without being told.
pub(crate) async fn icon() -> Response {
    ([(header::CONTENT_TYPE, ICON.kind)], ICON.content).into_response()
}
