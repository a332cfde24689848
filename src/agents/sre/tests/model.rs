//! With a model: what it is shown, what it may look at, and what becomes of its answer.

use std::fs;
use std::time::Duration;

use super::service::{Shop, office};
use super::world::request;
use crate::model::tests::provider::Provider;
use crate::sre::store::Stage;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_model_reasons_over_the_evidence_within_the_bounds_of_the_alert() {
    for script in ["openai_cause", "anthropic_cause"] {
        let provider = Provider::playing(script).await;
        let shop = Shop::default();
        let office = office(&shop);
        let folder = office.folder.path().join("model");
        fs::create_dir(&folder).expect("a folder");
        let (name, base) = provider.settings();
        for (file, text) in [
            ("RCA_MODEL_NAME", name.as_str()),
            ("RCA_LLM_BASE_URL", &base),
            ("RCA_LLM_API_KEY", "k3y\n"),
        ] {
            fs::write(folder.join(file), text).expect("writes");
        }
        let begun = office.analyst.begin(request("web", "errors")).await.expect("begins");
        let kept = office.analyst.ended(begun, LONG).await.expect("ends");
        assert_eq!(kept.summary, "checkout cannot use TAX_PERCENT.", "{script}");
        let report = kept.report.expect("a report");
        let cause = &report["result"]["root_causes"][0];
        assert_eq!(cause["summary"], "TAX_PERCENT is no number");
        // The rules' own evidence and their edit stay with the component that both name.
        assert_eq!(cause["supporting_findings"][0]["evidence"]["type"], "log");
        let actions = &report["result"]["recommendations"]["recommended_actions"];
        assert_eq!(actions[0]["change"]["release_binding"], "checkout-development");
        assert_eq!(actions[1]["status"], "suggested");
        let path = report["investigation_path"].to_string();
        assert!(path.contains("2 steps, 2000 tokens read, 100 written"), "{path}");
        assert!(!report.to_string().contains("k3y"));

        // It asked for another namespace, environment and time, and for a component that has nothing to do with it.
        let looks = shop.asked("query_component_logs");
        let asked = looks.last().expect("a look");
        assert_eq!(
            (&asked["namespace"], &asked["environment"]),
            (&"default".into(), &"development".into())
        );
        assert!(asked["start_time"].as_str().expect("a time") > "2025", "{asked}");
        assert!(looks.iter().all(|look| look["project"] != "bank"), "{looks:?}");
        let told = provider.asked()[1].body.to_string();
        assert!(told.contains("bank/vault is not connected with this alert"), "{told}");
    }
}

#[tokio::test]
async fn without_an_answer_of_the_model_the_rules_stand() {
    let provider = Provider::playing("openai_quota").await;
    let shop = Shop::default();
    let office = office(&shop);
    let folder = office.folder.path().join("model");
    fs::create_dir(&folder).expect("a folder");
    let (name, base) = provider.settings();
    fs::write(folder.join("RCA_MODEL_NAME"), name).expect("writes");
    fs::write(folder.join("RCA_LLM_BASE_URL"), base).expect("writes");
    let begun = office.analyst.begin(request("web", "errors")).await.expect("begins");
    let kept = office.analyst.ended(begun, LONG).await.expect("ends");
    assert_eq!(kept.stage, Stage::Completed);
    assert!(kept.summary.contains("TAX_PERCENT=\"nineteen\""), "{}", kept.summary);
    let path = kept.report.expect("a report")["investigation_path"].to_string();
    assert!(path.contains("No answer: "), "{path}");
}

#[tokio::test]
async fn a_model_that_is_not_one_is_told() {
    let shop = Shop::default();
    let office = office(&shop);
    let folder = office.folder.path().join("model");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("RCA_MODEL_NAME"), "nobody:knows").expect("writes");
    let begun = office.analyst.begin(request("web", "errors")).await.expect("begins");
    let report = office.analyst.ended(begun, LONG).await.expect("ends").report.expect("a report");
    let path = report["investigation_path"].to_string();
    assert!(path.contains("nobody:knows") && path.contains("names no model"), "{path}");
}
