//! Runs that end with an answer, in both shapes.

use super::*;

#[tokio::test]
async fn an_openai_model_looks_around_and_answers() {
    let (provider, tools) =
        (Provider::playing("openai_answers").await, Tools::saying("cart is sad"));
    let mut endpoint = provider.endpoint();
    let prices = Prices { input: 10.0, cached: 1.0, written: 0.0, output: 100.0 };
    endpoint.limits.cost = Some(CostLimit { usd: 1.0, prices });
    let Outcome { answer, trail } = reason(&endpoint, &tools, task()).await.expect("an answer");
    assert_eq!(answer, good());
    assert_eq!(trail.usage, Usage { input: 4500, cached: 2500, written: 0, output: 230 });
    assert!((trail.cost.unwrap() - (0.02 + 0.0025 + 0.023)).abs() < 1e-9, "{:?}", trail.cost);
    assert_eq!((trail.steps, verdicts(&trail)), (3, vec![Verdict::Answered; 3]));
    assert_eq!(trail.calls[2].arguments, json!({"component": "cache"}));
    assert_eq!((trail.calls[2].step, trail.calls[2].chars), (2, 11));
    assert_eq!(tools.called()[1].0, "query_traces");

    let asked = provider.asked();
    assert_eq!(asked[0].path, "/v1/chat/completions");
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(asked[0].headers["content-type"], "application/json");
    let body = &asked[0].body;
    assert_eq!(
        (&body["model"], &body["max_completion_tokens"]),
        (&json!("model-x"), &json!(16384))
    );
    let offered: Vec<_> =
        body["tools"].as_array().unwrap().iter().map(|t| &t["function"]["name"]).collect();
    assert_eq!(offered, ["submit", "query_logs", "query_traces"]);
    assert_eq!(body["tools"][0]["function"]["parameters"], schema());
    assert_eq!(
        (&body["messages"][0]["role"], &body["messages"][1]["role"]),
        (&json!("system"), &json!("user"))
    );
    let said = &asked[1].body["messages"];
    assert_eq!(said[2]["tool_calls"][1]["id"], "call_2");
    assert!(said[2].get("annotations").is_none(), "{said}");
    for (at, id) in [(3, "call_1"), (4, "call_2")] {
        assert_eq!((&said[at]["role"], &said[at]["tool_call_id"]), (&json!("tool"), &json!(id)));
        assert!(said[at]["content"].as_str().unwrap().contains("\ncart is sad\n"), "{said}");
    }
    assert_eq!(asked[2].body["messages"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn an_anthropic_model_looks_around_and_answers() {
    let (provider, tools) =
        (Provider::playing("anthropic_answers").await, Tools::saying("cart is sad"));
    let Outcome { answer, trail } = answer(&provider, &tools).await;
    assert_eq!(answer, good());
    assert_eq!(trail.usage, Usage { input: 4500, cached: 2500, written: 1970, output: 230 });
    assert_eq!((trail.steps, trail.cost, verdicts(&trail)), (3, None, vec![Verdict::Answered; 3]));

    let asked = provider.asked();
    assert_eq!(asked[0].path, "/v1/messages");
    assert_eq!(asked[0].headers["x-api-key"], KEY);
    assert_eq!(asked[0].headers["anthropic-version"], "2023-06-01");
    assert!(!asked[0].headers.contains_key("authorization"));
    let body = &asked[0].body;
    assert_eq!((&body["model"], &body["max_tokens"]), (&json!("model-x"), &json!(16384)));
    let offered: Vec<_> = body["tools"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(offered, ["submit", "query_logs", "query_traces"]);
    assert_eq!(body["tools"][0]["input_schema"], schema());
    let said = &asked[1].body["messages"];
    // Signed reasoning goes back as it came, or the provider refuses what follows it.
    assert_eq!(said[1]["content"][0]["signature"], "c2ln");
    assert_eq!(said[2]["content"][1]["tool_use_id"], "toolu_2");
    assert!(
        said[2]["content"][1]["content"].as_str().unwrap().contains("\ncart is sad\n"),
        "{said}"
    );
    assert!(said[2]["content"][0].get("is_error").is_none(), "{said}");
    // What was sent is read from the cache the next time.
    assert_eq!(said[2]["content"][1]["cache_control"]["type"], "ephemeral");
    assert!(said[0]["content"][0].get("cache_control").is_none(), "{said}");
}

#[tokio::test]
async fn a_wrong_answer_is_sent_back_once() {
    for (script, problem) in [
        ("openai_corrected", "it was cut off, being too long; it is no JSON object"),
        ("anthropic_corrected", "/causes is missing"),
    ] {
        let (provider, tools) = (Provider::playing(script).await, Tools::saying("fine"));
        let Outcome { answer, trail } = answer(&provider, &tools).await;
        assert_eq!((answer, trail.steps), (good(), 2), "{script}");
        let told = provider.asked()[1].body["messages"].to_string();
        assert!(told.contains(&format!("does not fit the schema: {problem}.")), "{told}");
    }
    let provider = Provider::playing("openai_wrong").await;
    let failure = failure(&provider, &Tools::saying("")).await;
    assert_eq!(failure.error, Error::Answer("/causes/0 must be string, not number".into()));
    assert_eq!((failure.trail.steps, provider.asked().len()), (2, 2));
}

#[tokio::test]
async fn an_answer_in_words_is_asked_for_as_a_call() {
    let provider = Provider::playing("openai_words").await;
    let Outcome { answer, trail } = answer(&provider, &Tools::saying("")).await;
    assert_eq!((answer, trail.steps), (good(), 2));
    let asked = provider.asked();
    assert!(asked[1].body["messages"][3]["content"].as_str().unwrap().contains("`submit`"));
    let provider = Provider::playing("openai_only_words").await;
    let failure = failure(&provider, &Tools::saying("")).await;
    assert!(failure.to_string().ends_with("but words: It was the cache, 2."), "{failure}");
    provider.asked();
}

#[tokio::test]
async fn a_refusal_is_said_in_the_models_words() {
    for (script, words) in [
        ("openai_refuses", "I cannot help with that."),
        ("anthropic_refuses", "This is about a weapon."),
    ] {
        let failure = failure(&Provider::playing(script).await, &Tools::saying("")).await;
        assert_eq!(failure.error, Error::Refused(words.into()));
        assert_eq!((failure.trail.steps, failure.trail.usage.output), (1, 20), "{script}");
    }
}
