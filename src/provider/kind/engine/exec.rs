//! Running a program in a container.

use std::time::{Duration, Instant};

use bollard::{
    container::LogOutput,
    errors::Error as Api,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWriteExt};

use super::Engine;
use crate::Error;

/// What a program came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    /// Its exit code.
    pub(crate) code: i64,
    /// What it wrote to stdout.
    pub(crate) stdout: String,
    /// What it wrote to stderr.
    pub(crate) stderr: String,
}

/// Longest line that is told to whoever listens; the rest of it is not.
const LINE: usize = 4 << 10;
/// How long the Engine may take to know how a program ended.
const ENDING: Duration = Duration::from_secs(5);
/// How often stdin is read from, in bytes.
const CHUNK: usize = 256 << 10;

impl Engine {
    /// Runs `argv` in `container` and returns what it wrote; a code other than 0 is an error.
    ///
    /// # Errors
    /// A program that cannot be started or fails.
    pub(crate) async fn run(&self, container: &str, argv: &[&str]) -> Result<String, Error> {
        let output = self.exec(container, argv, None, &|_| {}).await?;
        output.success(container, argv)
    }

    /// As [`Self::run`], with `text` on stdin.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub(crate) async fn feed(
        &self,
        container: &str,
        argv: &[&str],
        text: &str,
    ) -> Result<String, Error> {
        let mut stdin = text.as_bytes();
        let output = self.exec(container, argv, Some(&mut stdin), &|_| {}).await?;
        output.success(container, argv)
    }

    /// Runs `argv` in `container` to its end, feeding it `stdin` and telling `line` each line of its output.
    ///
    /// # Errors
    /// A program that cannot be started, or an Engine that goes away.
    pub(crate) async fn exec(
        &self,
        container: &str,
        argv: &[&str],
        stdin: Option<&mut (dyn AsyncRead + Unpin + Send)>,
        line: &(dyn Fn(&str) + Sync),
    ) -> Result<Output, Error> {
        let tried = || format!("run `{}` in {container}", argv.join(" "));
        let options = CreateExecOptions {
            cmd: Some(argv.iter().map(|word| (*word).to_owned()).collect()),
            attach_stdin: Some(stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let exec = self.call(tried(), self.docker.create_exec(container, options)).await?;
        let start = StartExecOptions { detach: false, ..StartExecOptions::default() };
        let started = self.call(tried(), self.docker.start_exec(&exec.id, Some(start))).await?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(self.error(tried(), Api::RequestTimeoutError));
        };
        let writing = async {
            let mut input = input;
            if let Some(stdin) = stdin {
                let mut stdin = tokio::io::BufReader::with_capacity(CHUNK, stdin);
                // A program that does not read to the end says why by its own output and code.
                let _ = tokio::io::copy_buf(&mut stdin, &mut input).await;
            }
            let _ = input.shutdown().await;
        };
        let reading = async {
            let mut output = output;
            let mut seen = Output::default();
            while let Some(part) = output.next().await {
                let part = part.map_err(|error| self.error(tried(), error))?;
                let text = String::from_utf8_lossy(part.as_ref()).into_owned();
                for one in text.lines() {
                    line(one.get(..LINE).unwrap_or(one));
                }
                match part {
                    LogOutput::StdErr { .. } => seen.stderr.push_str(&text),
                    _ => seen.stdout.push_str(&text),
                }
            }
            Ok::<Output, Error>(seen)
        };
        let ((), seen) = tokio::join!(writing, reading);
        let mut seen = seen?;
        seen.code = self.ended(&exec.id, tried()).await?;
        Ok(seen)
    }

    /// The exit code of a program whose output has ended: the Engine may take a moment to know it.
    async fn ended(&self, exec: &str, tried: String) -> Result<i64, Error> {
        let started = Instant::now();
        loop {
            let ended = self.call(tried.clone(), self.docker.inspect_exec(exec)).await?;
            match ended.exit_code {
                Some(code) if ended.running != Some(true) => return Ok(code),
                _ if started.elapsed() > ENDING => {
                    return Err(self.error(tried, Api::RequestTimeoutError));
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Output {
    /// What it wrote to stdout, if it ended well.
    ///
    /// # Errors
    /// [`Error::Program`] with the end of what it wrote to stderr.
    pub(crate) fn success(self, container: &str, argv: &[&str]) -> Result<String, Error> {
        if self.code == 0 {
            return Ok(self.stdout);
        }
        Err(Error::Program {
            node: container.to_owned(),
            command: argv.join(" "),
            code: self.code,
            said: last_lines(if self.stderr.trim().is_empty() {
                &self.stdout
            } else {
                &self.stderr
            }),
        })
    }
}

/// The last lines of `text`, indented.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(12);
    let lines: Vec<String> =
        lines[from..].iter().map(|line| format!("  {}", line.trim_end())).collect();
    lines.join("\n")
}
