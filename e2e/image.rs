//! A container image made of Debian's static busybox.

use std::{fs, io, path::Path};

use serde_json::json;

use crate::archive::Image;

/// Applets that get a link in `/bin`.
const APPLETS: [&str; 11] =
    ["sh", "httpd", "wget", "nc", "sleep", "cat", "echo", "nslookup", "hostname", "stty", "tar"];

/// Writes an archive as `docker save` does, holding one image `reference` with busybox and its links; `marker` lands
/// in `/www/index.html`, so that two images can be told apart by what they serve.
pub fn busybox_archive(path: &Path, reference: &str, marker: &str) -> io::Result<()> {
    let busybox = fs::read("/bin/busybox")?;
    let mut image = Image::create(path)?;
    image.layer(|layer| {
        layer.file("bin/busybox", &busybox, 0o755)?;
        for applet in APPLETS {
            layer.link(&format!("bin/{applet}"), "busybox")?;
        }
        layer.file("www/index.html", format!("{marker}\n").as_bytes(), 0o644)?;
        layer.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)
    })?;
    image.finish(
        reference,
        &json!({
            "Env": ["PATH=/bin"],
            "ExposedPorts": {"8080/tcp": {}},
            "Cmd": ["/bin/httpd", "-f", "-v", "-p", "8080", "-h", "/www"],
            "WorkingDir": "/",
        }),
    )
}
