//! Incidents, and what the SRE agent found and proposes.

use super::{Browser, location, text};
use crate::server::{Config, router};
use curtain_role::{Instance, Shutdown};
use http::StatusCode;
use serde_json::{Value, json};

const SHOP: &str = "/namespaces/default/projects/shop";
const ACTIVE: &str = "/namespaces/default/projects/shop/incidents/active";

fn found() -> Value {
    let action = |status: &str, change: Value| {
        json!({"description": "Set <comp:greeter> back", "rationale": "it <was> so", "status": status,
            "change": change})
    };
    let level = json!({"release_binding": "greeter-development",
        "env": [{"key": "LOG_LEVEL", "value": "<info>"}], "files": [], "fields": []});
    let scale = json!({"release_binding": "greeter-development", "env": [], "files": [],
        "fields": [{"json_pointer": "/spec/componentTypeEnvironmentConfigs/replicas", "value": 2}]});
    json!({
        "alertId": "alert-active", "reportId": "alert-active_1", "status": "completed",
        "timestamp": "2026-11-22T12:59:00Z",
        "report": {
            "summary": "The <b>pool</b> ran dry",
            "result": {
                "type": "root_cause_identified",
                "root_causes": [{"summary": "Too few connections", "confidence": "high", "analysis": "see",
                    "supporting_findings": [{"observation": "timeouts", "component": "greeter",
                        "evidence": {"type": "log", "log_lines": [
                            {"timestamp": "2026-11-22T12:58:01Z", "level": "ERROR", "log": "no <connection>"}]}}]}],
                "timeline": [{"timestamp": "2026-11-22T12:57:00Z", "event": "the limit was lowered"}],
                "excluded_causes": [{"description": "The network", "rationale": "others answer"}],
                "recommendations": {"recommended_actions": [
                    action("revised", level), action("suggested", Value::Null), action("revised", scale),
                ], "observability_recommendations": [{"description": "Watch the pool"}]},
            },
            "investigation_path": [{"action": "looked", "outcome": "saw", "rationale": "why"}],
        },
    })
}

/// The value of a hidden field, as often as it is there.
fn fields<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let start = format!("name=\"{name}\" value=\"");
    page.split(start.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn a_component_shows_what_is_wrong_with_it() {
    let browser = Browser::signed_in().await;
    let page = browser.page(&format!("{SHOP}/components/greeter")).await;
    assert!(page.contains(&format!("href=\"{ACTIVE}\"")), "{page}");
    assert!(!page.contains("web: error rate") && !page.contains("was slow"), "{page}");
}

#[tokio::test]
async fn incidents_are_listed_and_one_is_acknowledged() {
    let browser = Browser::signed_in().await;
    let open = browser.page(&format!("{SHOP}/incidents")).await;
    assert!(open.contains(&format!("href=\"{ACTIVE}\"")) && !open.contains("was slow"), "{open}");
    let all = browser.page(&format!("{SHOP}/incidents?show=all")).await;
    assert!(all.contains("was slow"), "{all}");

    let page = browser.page(ACTIVE).await;
    assert!(page.contains("half of &lt;b&gt;all&lt;/b&gt; requests fail"), "{page}");
    assert!(page.contains("Triggered") && page.contains("There is no report yet."), "{page}");
    assert!(page.contains("you need &lt;more&gt; there"), "the alert may not be seen: {page}");
    let answer =
        browser.submit(&format!("{ACTIVE}/status"), "status=acknowledged&notes=mine").await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, ACTIVE));
    let written = browser.wire.written.lock().unwrap()[0].clone();
    assert_eq!(
        (written.1, written.2),
        ("/incidents/active".to_owned(), json!({"status": "acknowledged", "notes": "mine"}))
    );

    let resolved = format!("{SHOP}/incidents/resolved");
    let page = browser.page(&resolved).await;
    assert!(page.contains("&lt;ann&gt;") && page.contains("</strong> by itself"), "{page}");
    assert!(!page.contains(">Acknowledge<") && page.contains("asks for none"), "{page}");
    let answer = browser.submit(&format!("{resolved}/status"), "status=acknowledged").await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(answer).await.contains("cannot become acknowledged"));
    assert_eq!(
        browser.get(&format!("{SHOP}/incidents/none")).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn an_incident_stands_below_that_of_the_component_where_its_cause_is() {
    let browser = Browser::signed_in().await;
    let list = format!("{SHOP}/incidents");
    let (web, own) = ("web: error rate in &lt;development&gt;", "greeter: half of &lt;b&gt;all");
    let page = browser.page(&list).await;
    assert!(page.contains("at the start: 23 &lt;%&gt;"), "{page}");
    assert!(page.find(web) < page.find(own) && !page.contains("Also affected"), "{page}");

    let report = json!({"alertId": "alert-victim", "reportId": "v", "causeComponent": "greeter"});
    *browser.wire.causes.lock().unwrap() = vec![report.clone()];
    let page = browser.page(&list).await;
    let affected = page.find("Also affected: ").unwrap_or_else(|| panic!("{page}"));
    assert!(page.find(own) < Some(affected) && Some(affected) < page.find(web), "{page}");
    let victim = format!("{SHOP}/incidents/victim");
    let page = browser.page(SHOP).await;
    assert!(page.contains("2 open incidents, 1 cause<"), "{page}");
    assert!(page.contains("Also affected: <a href=\"") && page.contains(&victim), "{page}");
    let page = browser.page(ACTIVE).await;
    assert!(page.contains(&format!("<a href=\"{SHOP}\">Shop</a>")), "as it is called elsewhere");
    assert!(page.contains("Also affected: <a href=\"") && page.contains(&victim), "{page}");
    let page = browser.page(&victim).await;
    assert!(page.contains(&format!("Comes of <a href=\"{ACTIVE}\">greeter: half")), "{page}");
    assert!(page.contains("<p>Notified: ops: &lt;delivered&gt;</p>"), "{page}");

    // A cause without an incident of its own.
    browser.wire.causes.lock().unwrap()[0]["causeComponent"] = json!("<stock>");
    for page in [&list, &victim] {
        let page = browser.page(page).await;
        assert!(page.contains("Caused by <a") && page.contains("&lt;stock&gt;</a>"), "{page}");
    }
    // So many groups as are counted, also where the cause of several has none.
    let mut other = report;
    other["alertId"] = json!("alert-active");
    other["causeComponent"] = json!("<stock>");
    browser.wire.causes.lock().unwrap().push(other);
    let page = browser.page(&list).await;
    assert!(page.contains("2 open incidents, 1 cause<"), "{page}");
    assert_eq!((page.matches("Caused by").count(), page.matches("Affected: ").count()), (1, 2));
    let page = browser.page(SHOP).await;
    assert!(page.contains("2 open incidents, 1 cause<") && page.contains("Affected: <a"), "{page}");
}

#[tokio::test]
async fn a_report_is_shown_with_its_evidence_and_the_proposed_difference() {
    let browser = Browser::signed_in().await;
    let mut pending = found();
    pending["status"] = json!("pending");
    *browser.wire.report.lock().unwrap() = Some(pending);
    let page = browser.page(ACTIVE).await;
    assert!(
        page.contains("The agent is looking into it") && page.contains("data-fetch="),
        "{page}"
    );

    *browser.wire.report.lock().unwrap() = Some(found());
    let page = browser.page(ACTIVE).await;
    for words in [
        "The &lt;b&gt;pool&lt;/b&gt; ran dry",
        "high confidence",
        "no &lt;connection&gt;",
        "the limit was lowered",
        "The network",
        "others answer",
        "Watch the pool",
        "looked",
        "workloadOverrides.container.env[LOG_LEVEL].value",
        "<ins>&lt;info&gt;</ins>",
        "componentTypeEnvironmentConfigs.replicas",
        "Apply all as proposed",
        "<label for=\"action-0-value-0\">LOG_LEVEL</label>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.contains("/components/greeter\">greeter</a> back"), "names are links: {page}");
}

#[tokio::test]
async fn what_is_applied_is_what_was_seen_in_one_write_with_the_persons_token() {
    let browser = Browser::signed_in().await;
    *browser.wire.report.lock().unwrap() = Some(found());
    let page = browser.page(ACTIVE).await;
    let (indices, seen) = (fields(&page, "indices"), fields(&page, "seen"));
    assert_eq!(indices, ["0", "0", "1", "2", "2", "0,2"], "{page}");
    let path = format!("{ACTIVE}/report");
    let all = format!("decision=apply&indices=0%2C2&seen={}", seen[5].replace(',', "%2C"));

    browser.wire.denied.lock().unwrap().push("default/development".to_owned());
    let answer = browser.submit(&path, &all).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let page = text(answer).await;
    assert!(
        page.contains("you need releasebinding:update in &lt;default/development&gt;"),
        "{page}"
    );
    assert!(page.contains("The network"), "the rest is there: {page}");
    assert!(browser.wire.written.lock().unwrap().is_empty(), "the report was not told of it");
    browser.wire.denied.lock().unwrap().clear();

    let answer = browser.submit(&path, &all).await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, ACTIVE));
    let written = std::mem::take(&mut *browser.wire.written.lock().unwrap());
    assert_eq!(written.len(), 2, "{written:?}");
    let (method, at, body, version) = &written[0];
    assert_eq!((method.as_str(), version.as_deref()), ("PUT", Some("\"7\"")));
    assert_eq!(at, "/namespaces/default/releasebindings/greeter-development");
    let env = json!([{"key": "LOG_LEVEL", "value": "<info>"}]);
    assert_eq!(body["spec"]["workloadOverrides"]["container"]["env"], env);
    assert_eq!(body["spec"]["componentTypeEnvironmentConfigs"], json!({"replicas": 2}));
    assert_eq!(written[1].1, "/reports/alert-active_1");
    assert_eq!(written[1].2, json!({"appliedIndices": [0, 2], "dismissedIndices": []}));

    // Somebody changed the binding since: nothing is written.
    browser
        .wire
        .change_binding("greeter-development", |one| one["metadata"]["generation"] = json!(9));
    let answer = browser.submit(&path, &all).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert!(browser.wire.written.lock().unwrap().is_empty());

    let answer = browser.submit(&path, "decision=dismiss&indices=1").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let told = browser.wire.written.lock().unwrap()[0].2.clone();
    assert_eq!(told, json!({"appliedIndices": [], "dismissedIndices": [1]}));
    for wrong in ["decision=apply&indices=1", "decision=apply&indices=9", "decision=x&indices=0"] {
        let answer = browser.submit(&path, wrong).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[tokio::test]
async fn a_proposed_value_can_be_edited_and_only_that() {
    let browser = Browser::signed_in().await;
    *browser.wire.report.lock().unwrap() = Some(found());
    let page = browser.page(ACTIVE).await;
    let seen = fields(&page, "seen");
    let path = format!("{ACTIVE}/report");
    let apply = |index: usize, seen: &str, more: &str| {
        format!("decision=apply&indices={index}&seen={seen}&{more}")
    };
    for more in ["value-0=many", "value-0=-1", "value-1=x", "value-releaseName=x"] {
        let answer = browser.submit(&path, &apply(2, seen[3], more)).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{more}");
    }
    assert!(browser.wire.written.lock().unwrap().is_empty());

    let answer = browser.submit(&path, &apply(2, seen[3], "value-0=5")).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let written = std::mem::take(&mut *browser.wire.written.lock().unwrap());
    assert_eq!(written[0].2["spec"]["componentTypeEnvironmentConfigs"], json!({"replicas": 5}));
    let told = &written[1].2;
    assert_eq!(told["appliedIndices"], json!([2]));
    assert_eq!(
        (&told["edits"][0]["index"], &told["edits"][0]["fields"][0]["value"]),
        (&json!(2), &json!(5))
    );

    // Several at once are as proposed, or not at all.
    let page = browser.page(ACTIVE).await;
    let both = fields(&page, "seen")[5].replace(',', "%2C");
    let both = format!("decision=apply&indices=0%2C2&seen={both}&value-0=5");
    let answer = browser.submit(&path, &both).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(answer).await.contains("only as they are proposed"));
    assert!(browser.wire.written.lock().unwrap().is_empty());

    // The longest value has room, however it is encoded.
    let page = browser.page(ACTIVE).await;
    let longest = format!("value-0={}", "%2F".repeat(16 << 10));
    let answer = browser.submit(&path, &apply(0, fields(&page, "seen")[0], &longest)).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let written = std::mem::take(&mut *browser.wire.written.lock().unwrap());
    let env = &written[0].2["spec"]["workloadOverrides"]["container"]["env"];
    assert_eq!(env[0]["value"], "/".repeat(16 << 10));

    // What nobody edited is told as before.
    let page = browser.page(ACTIVE).await;
    let seen = fields(&page, "seen");
    let answer = browser.submit(&path, &apply(0, seen[0], "value-0=%3Cinfo%3E")).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let told = browser.wire.written.lock().unwrap()[1].2.clone();
    assert_eq!(told, json!({"appliedIndices": [0], "dismissedIndices": []}));
}

#[tokio::test]
async fn a_question_is_asked_where_there_is_a_model_and_its_answer_is_text() {
    let browser = Browser::signed_in().await;
    let mut report = found();
    *browser.wire.report.lock().unwrap() = Some(report.clone());
    assert!(!browser.page(ACTIVE).await.contains("Ask about this report"));
    report["chat"] = json!(true);
    *browser.wire.report.lock().unwrap() = Some(report);
    let page = browser.page(ACTIVE).await;
    assert!(page.contains("<label for=\"question\">Ask about this report</label>"), "{page}");

    let path = format!("{ACTIVE}/question");
    let answer = browser.submit(&path, "question=+What+is+%3Cit%3E%3F+").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let shown = location(&answer).to_owned();
    // Loaded again, it shows the same and asks nobody.
    for _ in 0..2 {
        let page = browser.page(&shown).await;
        for words in ["What is &lt;it&gt;?", "It is &lt;b&gt;the pool&lt;/b&gt;", "The network"] {
            assert!(page.contains(words), "{words}: {page}");
        }
    }
    assert_eq!(browser.wire.written.lock().unwrap().len(), 1);
    let other = shown.replace("/active?", "/victim?");
    for gone in [format!("{ACTIVE}?answer=99"), other] {
        let page = browser.page(&gone).await;
        assert!(page.contains("not kept any more") && !page.contains("the pool&lt;/b"), "{page}");
    }
    let asked = browser.wire.written.lock().unwrap()[0].2.clone();
    assert_eq!(
        (&asked["reportId"], &asked["messages"][0]["content"]),
        (&"alert-active_1".into(), &"What is <it>?".into())
    );

    let failed = browser.submit(&path, "question=fail").await;
    assert_eq!(failed.status(), StatusCode::BAD_GATEWAY);
    assert!(text(failed).await.contains("no steps are left"));
    let longest = format!("question={}", "%E5%95%8F".repeat(2000));
    assert_eq!(browser.submit(&path, &longest).await.status(), StatusCode::SEE_OTHER);
    let long = format!("question={}", "x".repeat(2001));
    for wrong in ["question=+", &long] {
        let answer = browser.submit(&path, wrong).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn a_proposal_about_another_project_is_not_offered() {
    let browser = Browser::signed_in().await;
    *browser.wire.report.lock().unwrap() = Some(found());
    browser.wire.change_binding("greeter-development", |binding| {
        binding["spec"]["owner"]["projectName"] = json!("other");
    });
    let page = browser.page(ACTIVE).await;
    assert!(
        page.contains("does not belong to project shop") && !page.contains(">Apply<"),
        "{page}"
    );
}

#[tokio::test]
async fn without_an_sre_agent_an_incident_is_shown_all_the_same() {
    let mut browser = Browser::signed_in().await;
    let url = browser.wire.serve().await;
    let config = Config {
        bind: ([127, 0, 0, 1], 0).into(),
        health: ([127, 0, 0, 1], 0).into(),
        api_url: url.clone(),
        observer_url: url,
        sre_url: "http://127.0.0.1:1".to_owned(),
        instance: Instance::new("test"),
        allowed_hosts: Vec::new(),
    };
    browser.app = router(&config, Shutdown::on_signals().unwrap());
    let answer = browser.get("/login?code=good").await;
    let cookie = answer.headers()[http::header::SET_COOKIE].to_str().unwrap().to_owned();
    cookie.split(';').next().unwrap().clone_into(&mut browser.cookie);
    let page = browser.page(ACTIVE).await;
    assert!(page.contains("No SRE agent answers: 127.0.0.1:1 cannot be reached"), "{page}");
    assert!(page.contains("Triggered") && page.contains("Acknowledge"), "{page}");
    for page in [SHOP.to_owned(), format!("{SHOP}/incidents"), ACTIVE.to_owned()] {
        let page = browser.page(&page).await;
        let words = "Which incidents belong together is not known: 127.0.0.1:1 cannot be reached";
        assert!(page.contains(words) && page.contains("greeter: half of"), "{page}");
    }
}
