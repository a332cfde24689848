//! Audit records as people read them: one line for each change and refusal, and one for what somebody looked at meanwhile.
//!
//! Invariant: lines are in the order of time, the newest at the bottom, where a terminal ends; what was only looked at
//! never stands between two lines as more than one line for each minute and actor.

use curtain_control::audit::{Entry, Outcome, Record, sum_up};
use jiff::Timestamp;

use crate::fit::Cut;

pub(super) const HEAD: [&str; 8] =
    ["TIME (UTC)", "WHO", "RESULT", "ACTION", "OBJECT", "WHERE", "ALLOWED BY", "WHAT"];
/// What of each column goes where the terminal is narrow: of a place, the end tells most; what was done, most of all.
pub(super) const CUTS: [Cut; 8] =
    [Cut::Never, Cut::End, Cut::Never, Cut::End, Cut::End, Cut::Start, Cut::End, Cut::EndLast];
/// The day of a time, and what is between it and the hour.
const DAY: &str = "%Y-%m-%d ";
/// Kinds of reads that one line names at most.
const MOST_KINDS: usize = 4;

/// The lines of `records`, the oldest first. Unless `all` are wanted, what was only looked at is summed up.
pub(super) fn lines(records: &[Record], all: bool) -> Vec<Vec<String>> {
    if all {
        return records.iter().map(line).collect();
    }
    sum_up(records).iter().map(summed).collect()
}

/// Leaves the day out where all `lines` are of `today`.
pub(super) fn without_today(lines: &mut [Vec<String>], today: Timestamp) {
    let day = today.strftime(DAY).to_string();
    if lines.iter().all(|line| line[0].starts_with(&day)) {
        lines.iter_mut().for_each(|line| line[0].replace_range(..day.len(), ""));
    }
}

/// A record, or several reads in one line.
fn summed(entry: &Entry<&Record>) -> Vec<String> {
    let mut line = line(entry.record);
    if entry.reads <= 1 {
        return line;
    }
    let mut kinds = entry.kinds.iter().take(MOST_KINDS).cloned().collect::<Vec<_>>().join(", ");
    if entry.kinds.len() > MOST_KINDS {
        kinds.push_str(", …");
    }
    line[3] = format!("{} reads", entry.reads);
    line[4] = kinds;
    line[5..].fill(String::new());
    line
}

/// One record in one line.
fn line(record: &Record) -> Vec<String> {
    let or = |value: &str, other: &str| if value.is_empty() { other } else { value }.to_owned();
    let at = record.at.trim_start_matches("ns/");
    let place = match record.environment.rsplit('/').next().unwrap_or_default() {
        "" => at.to_owned(),
        environment => format!("{at} {environment}"),
    };
    let what = [&record.note, &record.change, &record.reason].map(String::as_str);
    let what: Vec<&str> = what.into_iter().filter(|part| !part.is_empty()).collect();
    let result = match record.result {
        Outcome::Allowed => "allowed",
        Outcome::Denied => "denied",
        Outcome::Failed => "failed",
    };
    let allows = record.result == Outcome::Allowed;
    vec![
        record.time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        record.actor.clone(),
        result.to_owned(),
        or(&record.action, &record.call),
        record.object.clone(),
        place,
        if allows { or(&record.granted_by, &record.binding) } else { String::new() },
        what.join("; "),
    ]
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;
    use crate::{fit::fit, output::table};

    fn record(seconds: u32, more: Value) -> Record {
        let mut record = json!({
            "time": format!("2026-01-02T03:{:02}:{:02}Z", 4 + seconds / 60, seconds % 60), "actor": "claude-1",
            "actorKind": "agent", "via": "mcp", "call": "get_component", "action": "component:view",
            "object": "Component/web", "at": "ns/default/project/shop/component/web", "result": "allowed",
        });
        for (member, value) in more.as_object().expect("members") {
            record[member] = value.clone();
        }
        serde_json::from_value(record).expect("a record")
    }

    fn write(seconds: u32, more: Value) -> Record {
        let mut record = record(seconds, more);
        record.action = "releasebinding:update".to_owned();
        record.object = "ReleaseBinding/web-development".to_owned();
        record.environment = "default/development".to_owned();
        record
    }

    #[test]
    fn reads_do_not_drown_what_was_changed_and_refused() {
        let mut all: Vec<Record> = (0..40).map(|at| record(at, json!({}))).collect();
        all.push(record(40, json!({"action": "logs:view", "via": "observer"})));
        all.push(write(41, json!({"result": "denied", "reason": "no permission"})));
        all.push(record(42, json!({})));
        let grant = json!({"actor": "admin@openchoreo.dev", "actorKind": "user", "action": "grant",
            "object": "AuthzRoleBinding/claude-1", "at": "ns/default",
            "note": "scale to claude-1 in environment development until 2026-01-02T04:04:05Z"});
        all.push(record(43, grant));
        let change = "spec.componentTypeEnvironmentConfigs.replicas: 1 → 3";
        all.push(write(50, json!({"grantedBy": "admin@openchoreo.dev", "change": change})));
        all.push(record(59, json!({})));
        all.push(record(60, json!({})));
        all.push(record(61, json!({"action": "", "call": "GET /api/v1/agents", "object": ""})));
        let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
        rows.extend(lines(&all, false));
        insta::assert_snapshot!(table(&rows), @r"
        TIME (UTC)           WHO                   RESULT   ACTION                 OBJECT                          WHERE                                           ALLOWED BY            WHAT
        2026-01-02 03:04:00  claude-1              allowed  41 reads               component, logs
        2026-01-02 03:04:41  claude-1              denied   releasebinding:update  ReleaseBinding/web-development  default/project/shop/component/web development                        no permission
        2026-01-02 03:04:42  claude-1              allowed  component:view         Component/web                   default/project/shop/component/web
        2026-01-02 03:04:43  admin@openchoreo.dev  allowed  grant                  AuthzRoleBinding/claude-1       default                                                               scale to claude-1 in environment development until 2026-01-02T04:04:05Z
        2026-01-02 03:04:50  claude-1              allowed  releasebinding:update  ReleaseBinding/web-development  default/project/shop/component/web development  admin@openchoreo.dev  spec.componentTypeEnvironmentConfigs.replicas: 1 → 3
        2026-01-02 03:04:59  claude-1              allowed  component:view         Component/web                   default/project/shop/component/web
        2026-01-02 03:05:00  claude-1              allowed  2 reads                component, other
        ");
        assert_eq!(lines(&all, true).len(), all.len());
    }

    #[test]
    fn a_line_fits_the_terminal() {
        let change = "spec.workloadOverrides.container.env[LOG_LEVEL].value: info → debug";
        let record = write(0, json!({"grantedBy": "admin", "change": change}));
        let mut rows = vec![line(&record)];
        without_today(&mut rows, record.time + SignedDuration::from_hours(24));
        assert_eq!(rows[0][0], "2026-01-02 03:04:00", "another day is told");
        without_today(&mut rows, record.time + SignedDuration::from_hours(1));
        assert_eq!(rows[0][0], "03:04:00");
        assert!(fit(&mut rows, &CUTS, 140));
        assert!(table(&rows).trim_end().chars().count() <= 140, "{rows:?}");
        assert!(rows[0][5].ends_with("lopment") && rows[0][7] == change, "{rows:?}");
    }
}
