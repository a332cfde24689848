//! Waiting for the API of the embedded cluster, whose main process may end while one waits.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use curtain_embedded::ClusterConfig;

use crate::{
    Error,
    api::{self, Silence},
};

/// How much of the log an error quotes, in bytes.
const TAIL: u64 = 2_000;

/// Where the supervisor and the node write.
pub(super) fn log(config: &ClusterConfig) -> PathBuf {
    config.run_dir().join("supervisor.log")
}

/// Waits until the API is ready.
pub(super) async fn wait(config: &ClusterConfig, timeout: Duration) -> Result<(), Error> {
    let alive = || curtain_embedded::running(config);
    let silence = match api::wait(&config.admin_kubeconfig(), timeout, alive).await {
        Ok(()) => return Ok(()),
        Err(silence) => silence,
    };
    let log = log(config);
    let tail = tail(&log);
    Err(match silence {
        Silence::Dead => Error::Died { log, tail },
        Silence::Late(last) => {
            let url = format!("https://{}", config.api_address());
            Error::NotAnswering { url, waited: timeout, last, log, tail }
        }
    })
}

/// The last lines of a log, or why there are none.
fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        Ok(lines.into_iter().rev().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
    };
    read().unwrap_or_else(|error| format!("  (no log: {error})"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::tail;

    #[test]
    fn the_tail_is_the_last_lines_and_a_missing_log_is_said() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for line in 0..2_000 {
            writeln!(file, "line {line}").unwrap();
        }
        let text = tail(file.path());
        assert!(text.ends_with("  line 1999"), "{text}");
        assert_eq!(text.lines().count(), 12);
        assert!(tail("/nonexistent/log".as_ref()).contains("no log"));
    }
}
