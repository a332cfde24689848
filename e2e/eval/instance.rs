//! The instance that is broken, and gone again however this ends.

use std::{
    fs::File,
    io::{Seek as _, Write as _},
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use curtain_e2e::{get_as, post_as};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pack::{Case, Pack};
use crate::score::{Said, Verdict, judge};

/// How long after a fault an alert is waited for.
const ALERT: Duration = Duration::from_secs(60);
/// How long after an alert its report is waited for.
const REPORT: Duration = Duration::from_secs(90);
/// How long trouble may go on after a fault was ended.
const RECOVERY: Duration = Duration::from_secs(120);
/// After the deployment, before the healthy system is watched; and after trouble, before the next.
const SETTLING: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(250);

pub(crate) struct Instance {
    binary: PathBuf,
    home: tempfile::TempDir,
    name: String,
    base: String,
    token: String,
}

impl Instance {
    /// Makes one with the program that CURTAIN_EVAL_BINARY names.
    pub(crate) fn up() -> Result<Self, String> {
        let binary = std::env::var_os("CURTAIN_EVAL_BINARY").map(PathBuf::from);
        let binary = binary.ok_or("CURTAIN_EVAL_BINARY names no program; run scripts/eval")?;
        let home = tempfile::tempdir().map_err(|error| format!("no folder for it: {error}"))?;
        let name = format!("eval-{}", std::process::id());
        let (base, token) = (String::new(), String::new());
        let mut instance = Self { binary, home, name, base, token };
        let facts = instance.run(&["up", "-o", "json"])?;
        let facts: Value = serde_json::from_str(&facts)
            .map_err(|error| format!("`up` printed no JSON: {error}"))?;
        let api = facts["endpoints"]["portal"].as_str().ok_or("`up` names no portal")?;
        instance.base = api.trim_end_matches('/').to_owned();
        instance.token = instance.run(&["token", "--as", "admin"])?.trim().to_owned();
        Ok(instance)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).args(["--name", &self.name]).env("CURTAIN_HOME", self.home.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        printed(self.command(arguments).stdin(Stdio::null()).output(), &arguments.join(" "))
    }

    /// Runs `curtain` with `arguments`.
    pub(crate) fn curtain(&self, arguments: &[String]) -> Result<(), String> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run(&arguments).map(drop)
    }

    /// The alerts that began since, the first one first.
    fn alerts(&self, pack: &Pack, since: Timestamp) -> Result<Vec<Value>, String> {
        let place = json!({"namespace": pack.namespace, "project": pack.project,
            "environment": pack.environment});
        let asked = json!({"startTime": since.to_string(), "endTime": Timestamp::now().to_string(),
            "searchScope": place, "limit": 100, "sortOrder": "asc"});
        let url = format!("{}/observer/api/v1alpha1/alerts/query", self.base);
        let mut answer = post_as(&self.token, &url, &asked)?;
        match answer["alerts"].take() {
            Value::Array(alerts) => Ok(alerts),
            _ => Err(format!("alerts cannot be read: {answer}")),
        }
    }

    /// How many alerts there are while nothing is wrong.
    pub(crate) fn watch(&self, pack: &Pack, time: Duration) -> Result<usize, String> {
        sleep(SETTLING);
        let since = Timestamp::now();
        sleep(time);
        let alerts = self.alerts(pack, since)?;
        for alert in &alerts {
            crate::report(&format!("false alarm: {}", alert["metadata"]));
        }
        Ok(alerts.len())
    }

    /// Makes a fault, has `agent` or the built-in one look at the first alert, and ends it.
    pub(crate) fn try_case(
        &self,
        pack: &Pack,
        case: &Case,
        agent: Option<&str>,
    ) -> Result<Verdict, String> {
        let (since, clock) = (Timestamp::now(), Instant::now());
        self.curtain(&case.make)?;
        let found = until(ALERT, || Ok(self.alerts(pack, since)?.into_iter().next()))?;
        let alert = found.is_some().then(|| clock.elapsed());
        let clock = Instant::now();
        let report = match (found, agent) {
            (None, _) => None,
            (Some(alert), None) => self.report(pack, &alert)?,
            (Some(alert), Some(agent)) => Some(ask(agent, &alert)?),
        };
        let took = report.is_some().then(|| clock.elapsed());
        self.curtain(&case.end)?;
        let calm = || {
            let open = self.alerts(pack, since)?;
            let over = open.iter().all(|alert| alert["resolvedAt"].is_string());
            Ok(over.then_some(()))
        };
        if until(RECOVERY, calm)?.is_none() {
            let seconds = RECOVERY.as_secs();
            return Err(format!("{}: alerts go on {seconds} s after its end", case.name));
        }
        sleep(SETTLING);
        let said = report.as_ref().map_or(Said::Nothing, |report| judge(report, case));
        let summary = report.as_ref().and_then(|report| report["summary"].as_str());
        let summary = summary.unwrap_or("no report").to_owned();
        Ok(Verdict { said, alert, report: took, summary })
    }

    /// The built-in agent's report about `alert`, if there is one in time.
    fn report(&self, pack: &Pack, alert: &Value) -> Result<Option<Value>, String> {
        let id = alert["alertId"].as_str().unwrap_or_default();
        let base = format!("{}/sre-agent/api/v1/rca-agent/reports", self.base);
        let listed = format!(
            "{base}?namespace={}&project={}&alertId={id}&status=completed",
            pack.namespace, pack.project
        );
        until(REPORT, || {
            let found = get_as(&self.token, &listed)?;
            let Some(report) = found["reports"][0]["reportId"].as_str() else { return Ok(None) };
            Ok(Some(get_as(&self.token, &format!("{base}/{report}"))?["report"].take()))
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = self.run(&["down"]) {
            crate::report(&format!("the instance could not be taken down: {error}"));
        }
    }
}

/// Tries until there is something, for `limit` at most.
fn until<T>(
    limit: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>, String>,
) -> Result<Option<T>, String> {
    let begun = Instant::now();
    loop {
        if let Some(found) = attempt()? {
            return Ok(Some(found));
        }
        if begun.elapsed() > limit {
            return Ok(None);
        }
        sleep(PAUSE);
    }
}

/// What another agent says about `alert`.
fn ask(agent: &str, alert: &Value) -> Result<Value, String> {
    let mut input: File = tempfile::tempfile().map_err(|error| error.to_string())?;
    let written = writeln!(input, "{alert}").and_then(|()| input.rewind());
    written.map_err(|error| format!("cannot write the alert: {error}"))?;
    let output = Command::new("sh").args(["-c", agent]).stdin(input).output();
    let text = printed(output, agent)?;
    serde_json::from_str(&text).map_err(|error| format!("`{agent}` printed no report: {error}"))
}

fn printed(output: std::io::Result<Output>, what: &str) -> Result<String, String> {
    let output = output.map_err(|error| format!("cannot run `{what}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{what}` ended with {}: {}", output.status, said.trim()))
}
