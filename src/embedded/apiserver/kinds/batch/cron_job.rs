//! CronJobs: Jobs by the clock.

use curtain_schema::FieldError;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::super::columns::{
    Printer, container_columns, name, old as age, or_none, selector as selector_column,
};
use super::super::template::one_of;
use super::super::{Strategy, ValueExt, check};
use super::spec;
use crate::apiserver::time;
use crate::cron::Schedule;

pub(super) const CRON_JOB: Strategy = Strategy { default, validate, ..Strategy::PLAIN };

/// The Jobs' names are eleven characters longer, and must be labels.
const MAX_NAME: usize = 52;

fn default(object: &mut Value) {
    let spec = object.sub("spec");
    spec.default_to("concurrencyPolicy", "Allow");
    spec.default_to("suspend", false);
    spec.default_to("successfulJobsHistoryLimit", 3);
    spec.default_to("failedJobsHistoryLimit", 1);
    if spec.at(&["jobTemplate", "spec"]).is_some() {
        spec::default_pods(&mut spec["jobTemplate"]["spec"]);
    }
}

fn validate(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let name = object.text(&["metadata", "name"]);
    if old.is_none() && name.len() > MAX_NAME {
        let why = format!("must be no more than {MAX_NAME} characters");
        errors.push(FieldError::invalid("metadata.name", name.into(), why));
    }
    match spec.text(&["schedule"]) {
        "" => errors.push(FieldError::required("spec.schedule", "")),
        schedule => validate_schedule(schedule, errors),
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]
    {
        check::non_negative(spec, "spec", field, errors);
    }
    let zone = spec.at(&["timeZone"]);
    if old.is_none_or(|old| old.at(&["spec", "timeZone"]) != zone)
        && let Some(zone) = zone.and_then(Value::as_str)
    {
        validate_zone(zone, errors);
    }
    let policies = ["Allow", "Forbid", "Replace"];
    one_of(spec, "concurrencyPolicy", &policies, "spec.concurrencyPolicy", errors);
    let job = &spec["jobTemplate"]["spec"];
    spec::validate(job, "spec.jobTemplate.spec", errors);
    if let Some(selector) = job.at(&["selector"]) {
        let why = "`selector` will be auto-generated";
        errors.push(FieldError::invalid("spec.jobTemplate.spec.selector", selector.clone(), why));
    }
    if job["manualSelector"] == true {
        let path = "spec.jobTemplate.spec.manualSelector";
        errors.push(FieldError::not_supported(path, true.into(), &["nil", "false"]));
    }
}

fn validate_schedule(schedule: &str, errors: &mut Vec<FieldError>) {
    let wrong = if schedule.contains("TZ") {
        Some("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned())
    } else {
        Schedule::parse(schedule).err()
    };
    if let Some(why) = wrong {
        errors.push(FieldError::invalid("spec.schedule", schedule.into(), why));
    }
}

fn validate_zone(zone: &str, errors: &mut Vec<FieldError>) {
    let why = if zone.is_empty() {
        "timeZone must be nil or non-empty string".to_owned()
    } else if zone.eq_ignore_ascii_case("Local") {
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
            .to_owned()
    } else if TimeZone::get(zone).is_err() {
        format!("unknown time zone {zone}")
    } else {
        return;
    };
    errors.push(FieldError::invalid("spec.timeZone", zone.into(), why));
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Schedule", "string", 0),
        ("Timezone", "string", 0),
        ("Suspend", "boolean", 0),
        ("Active", "integer", 0),
        ("Last Schedule", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let job = &o["spec"]["jobTemplate"]["spec"];
        let suspended = match o["spec"]["suspend"].as_bool() {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        };
        let last = match o.text(&["status", "lastScheduleTime"]) {
            "" => String::new(),
            at => time::age(at, now),
        };
        let [containers, images] = container_columns(&job["template"]["spec"]);
        vec![
            name(o),
            o.text(&["spec", "schedule"]).into(),
            or_none(o.text(&["spec", "timeZone"])),
            suspended.into(),
            o.list(&["status", "active"]).len().into(),
            or_none(&last),
            age(o, now),
            containers,
            images,
            selector_column(job.at(&["selector"])),
        ]
    },
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cron(spec: Value) -> Value {
        let pods = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]});
        let mut cron = json!({"metadata": {"name": "nightly"}, "spec": {"schedule": "0 3 * * *",
            "jobTemplate": {"spec": {"template": {"spec": pods}}}}});
        curtain_json::merge_patch(&mut cron["spec"], &spec);
        default(&mut cron);
        cron
    }

    fn errors(cron: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        validate(cron, None, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_left_out_is_what_real_servers_fill_in() {
        let cron = cron(json!({"timeZone": "Europe/Berlin"}));
        assert_eq!(errors(&cron), Vec::<String>::new());
        let mut spec = cron["spec"].clone();
        spec["jobTemplate"]["spec"]["template"] = Value::Null;
        insta::assert_json_snapshot!("defaults", spec);
    }

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        let job = |spec: Value| json!({"jobTemplate": {"spec": spec}});
        for (spec, expected) in [
            (json!({"schedule": ""}), "spec.schedule: Required value"),
            (
                json!({"schedule": "* *"}),
                "spec.schedule: Invalid value: \"* *\": expected exactly 5 fields, found 2: [* *]",
            ),
            (
                json!({"schedule": "TZ=UTC * * * * *"}),
                "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (
                json!({"timeZone": "Mars/Olympus"}),
                "spec.timeZone: Invalid value: \"Mars/Olympus\": unknown time zone Mars/Olympus",
            ),
            (
                json!({"concurrencyPolicy": "Sometimes"}),
                "spec.concurrencyPolicy: Unsupported value: \"Sometimes\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
            ),
            (
                json!({"failedJobsHistoryLimit": -1}),
                "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                job(json!({"manualSelector": true})),
                "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            ),
            (
                job(json!({"template": {"spec": {"restartPolicy": "Always"}}})),
                "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
        ] {
            assert_eq!(errors(&cron(spec)), [expected]);
        }
        let mut long = cron(json!({}));
        long["metadata"]["name"] = "n".repeat(53).into();
        assert!(errors(&long)[0].ends_with("must be no more than 52 characters"));
    }

    #[test]
    fn cron_jobs_print_as_kubectl_prints_them() {
        let mut cron = cron(json!({}));
        cron["status"] = json!({"active": [{}], "lastScheduleTime": "2026-01-01T00:00:00Z"});
        let cells = (COLUMNS.1)(&cron, "2026-01-01T00:01:00Z".parse().unwrap());
        assert_eq!(json!(cells[..6]), json!(["nightly", "0 3 * * *", "<none>", "False", 1, "60s"]));
    }
}
