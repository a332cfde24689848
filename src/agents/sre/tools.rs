//! Reports as tools, for other agents.

use std::time::Duration;

use curtain_control::mcp::{
    About, Access, Arg, ArgKind, Arguments, Call, CallError, Member, Output, Tool, Toolbox,
};
use curtain_control::objects::Names;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::alert::{Alert, Request, Rule};
use super::plain;
use super::rest::{Office, UPDATE, VIEW, row};
use super::store::{Kept, Stage, Wanted};

/// Reports when the caller does not say.
const DEFAULT_LIMIT: u32 = 10;
const MOST: u32 = 50;
/// How long a call waits for an analysis that it began.
const PATIENCE: Duration = Duration::from_secs(20);

/// What ids of alerts begin with that nobody but a caller raised.
const MANUAL: &str = "manual-";
/// Analyses that were asked for, at once.
const AT_ONCE: usize = 2;

const NAMESPACE: Arg = Arg::required("namespace", ArgKind::Text);
const PROJECT: Arg = Arg::required("project", ArgKind::Text);
const REPORT: Output = Output::Object(&[
    Member::text("status"),
    Member::text("report_id"),
    Member::text("summary"),
    Member::object("report"),
    Member::text("hint"),
]);

static TABLE: [Tool; 3] = [
    Tool {
        name: "list_rca_reports",
        description: "What the SRE agent found out about alerts, newest first.",
        toolsets: &["rca"],
        args: &[
            NAMESPACE,
            Arg::optional("project", ArgKind::Text),
            Arg::optional("component", ArgKind::Text).about("needs project"),
            Arg::optional("environment", ArgKind::Text),
            Arg::optional("alert_id", ArgKind::Text),
            Arg::optional("limit", ArgKind::Integer).about("1 to 50, default 10"),
        ],
        actions: &[VIEW],
        access: Access::Read,
        output: Output::Object(&[
            Member::list("reports"),
            Member { name: "total", kind: "integer" },
        ]),
    },
    Tool {
        name: "get_rca_report",
        description: "One report: causes with evidence, timeline, proposed changes.",
        toolsets: &["rca"],
        args: &[Arg::required("report_id", ArgKind::Text)],
        actions: &[VIEW],
        access: Access::Read,
        output: REPORT,
    },
    Tool {
        name: "analyze_runtime_state",
        description: "Have the SRE agent look at a component now, without an alert; waits for its report.",
        toolsets: &["rca"],
        args: &[
            NAMESPACE,
            PROJECT,
            Arg::required("component", ArgKind::Text),
            Arg::required("environment", ArgKind::Text),
            Arg::optional("description", ArgKind::Text).about("what seems to be wrong"),
        ],
        actions: &[UPDATE],
        access: Access::Create,
        output: REPORT,
    },
];

/// The toolbox over the reports.
pub(super) struct ReportTools {
    pub(super) office: Office,
    pub(super) version: String,
}

impl Toolbox for ReportTools {
    fn about(&self) -> About {
        About {
            name: "openchoreo-rca-agent",
            version: self.version.clone(),
            instructions: "What the platform's SRE agent found out about alerts: causes with evidence, and changes that \
                would help. list_rca_reports, then get_rca_report.",
        }
    }

    fn tools(&self) -> Vec<&'static Tool> {
        TABLE.iter().collect()
    }

    async fn lists(&self, call: Call<'_>, action: &'static str) -> bool {
        self.office.gate.anywhere(call.token, action).await
    }

    async fn choices(
        &self,
        call: Call<'_>,
        _: &'static Tool,
        missing: &'static str,
        given: &Arguments,
    ) -> Option<Names> {
        self.office.gate.choices(call.token, missing, given).await
    }

    async fn call(
        &self,
        call: Call<'_>,
        tool: &'static Tool,
        arguments: Arguments,
    ) -> Result<Value, CallError> {
        match tool.name {
            "list_rca_reports" => self.list(call, &arguments).await,
            "get_rca_report" => {
                let id = arguments.text("report_id");
                let kept = self.office.report(call, VIEW, id).await.map_err(CallError::new)?;
                Ok(shown(&kept))
            }
            _ => self.analyze(call, &arguments).await,
        }
    }
}

impl ReportTools {
    async fn list(&self, call: Call<'_>, arguments: &Arguments) -> Result<Value, CallError> {
        let text = |name: &str| arguments.text(name).to_owned();
        let limit = arguments.integer("limit").map_or(Ok(DEFAULT_LIMIT), u32::try_from);
        let limit = limit.ok().filter(|limit| (1..=MOST).contains(limit));
        let wanted = Wanted {
            namespace: text("namespace"),
            project: text("project"),
            component: text("component"),
            environment: text("environment"),
            alert: text("alert_id"),
            limit: limit.ok_or_else(|| CallError(format!("limit must be from 1 to {MOST}")))?,
            ..Wanted::default()
        };
        let place = wanted.clone();
        let (reports, total) = self.office.reports(call, wanted).await.map_err(CallError::new)?;
        // Nothing found reads as if nothing had happened there.
        if total == 0 {
            self.office.exists(call, &place).await.map_err(CallError::new)?;
        }
        let plain = |kept: &Kept| {
            let mut row = row(kept);
            row["summary"] = plain::text(&kept.summary).into();
            row
        };
        let rows: Vec<Value> = reports.iter().map(plain).collect();
        Ok(json!({"reports": rows, "total": total}))
    }

    async fn analyze(&self, call: Call<'_>, arguments: &Arguments) -> Result<Value, CallError> {
        let text = |name: &str| arguments.text(name).to_owned();
        let id: String = Uuid::new_v4().simple().to_string().chars().take(12).collect();
        let rule = Rule {
            name: "asked for".to_owned(),
            description: text("description"),
            severity: "info".to_owned(),
            ..Rule::default()
        };
        let request = Request {
            namespace: text("namespace"),
            project: text("project"),
            component: text("component"),
            environment: text("environment"),
            alert: Alert {
                id: format!("{MANUAL}{id}"),
                value: Value::Null,
                timestamp: Timestamp::now(),
                rule,
            },
        };
        self.office.may(call, UPDATE, &request).await.map_err(CallError::new)?;
        let place = Wanted {
            namespace: request.namespace.clone(),
            project: request.project.clone(),
            component: request.component.clone(),
            environment: request.environment.clone(),
            ..Wanted::default()
        };
        self.office.exists(call, &place).await.map_err(CallError::new)?;
        // Alerts come first: what is asked for by hand waits for its turn with whoever asks.
        let wanted = Wanted { stage: Some(Stage::Pending), limit: u32::MAX, ..Wanted::default() };
        let pending = self.office.analyst.stored(move |store| store.list(&wanted)).await;
        let (pending, _) = pending.map_err(CallError::new)?;
        let manual = pending.iter().filter(|kept| kept.request.alert.id.starts_with(MANUAL));
        if manual.count() >= AT_ONCE {
            let why = format!("{AT_ONCE} analyses are under way already; ask again in a minute");
            return Err(CallError(why));
        }
        let kept = self.office.analyst.begin(request).await.map_err(CallError::new)?;
        let kept = self.office.analyst.ended(kept, PATIENCE).await.map_err(CallError::new)?;
        Ok(shown(&kept))
    }
}

/// A report as an agent reads it.
fn shown(kept: &Kept) -> Value {
    let mut answer = json!({"status": kept.stage.as_str(), "report_id": kept.id});
    match &kept.report {
        Some(report) => answer["report"] = plain::report(report),
        None if kept.stage == Stage::Pending => {
            answer["hint"] =
                "The analysis is under way; ask with get_rca_report in some seconds.".into();
        }
        None => answer["summary"] = plain::text(&kept.summary).into(),
    }
    answer
}
