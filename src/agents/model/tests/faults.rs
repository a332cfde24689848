//! Providers that are busy, broken, slow or of another mind; and the key, which nobody sees.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_busy_provider_is_asked_again() {
    for script in ["openai_busy", "anthropic_busy"] {
        let provider = Provider::playing(script).await;
        let Outcome { answer, trail } = answer(&provider, &Tools::saying("")).await;
        // Only what was answered counts.
        assert_eq!((answer, trail.steps), (good(), 1), "{script}");
        let asked = provider.asked();
        assert_eq!((asked.len(), &asked[0].body), (3, &asked[2].body));
    }
}

#[tokio::test]
async fn what_will_not_get_better_is_not_tried_again_and_no_error_shows_the_key() {
    for (script, words) in [
        (
            "openai_key",
            "127.0.0.1 does not take the key (401): Incorrect API key provided: [secret]. [2J You can",
        ),
        ("openai_quota", "refuses the request (429): You exceeded your current quota, [secret]"),
        ("anthropic_unknown_model", "refuses the request (404): model: model-x with [secret]"),
        ("openai_page", "127.0.0.1 does not answer as its kind of API does"),
        ("openai_broken", "127.0.0.1 is busy or broken after 4 tries (500): broken [secret]"),
    ] {
        let provider = Provider::playing(script).await;
        let failure = failure(&provider, &Tools::saying("")).await;
        assert!(failure.to_string().contains(words), "{script}: {failure}");
        for shown in [failure.to_string(), format!("{failure:?}")] {
            assert!(!shown.contains("hidden"), "{shown}");
        }
        provider.asked();
    }
    assert!(!format!("{:?}", Provider::playing("openai_key").await.endpoint()).contains("hidden"));
}

#[tokio::test]
async fn the_key_is_in_its_header_only() {
    let provider = Provider::playing("anthropic_answers").await;
    answer(&provider, &Tools::saying("")).await;
    for asked in provider.asked() {
        assert!(!asked.body.to_string().contains("hidden"));
        let shown = asked.headers.iter().filter(|(_, value)| value.contains("hidden"));
        assert_eq!(shown.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-api-key"]);
    }
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told_apart() {
    let provider = Provider::playing("openai_ready").await;
    let mut endpoint = provider.endpoint();
    assert_eq!(ping(&endpoint).await.expect("ready").as_deref(), Some("model-x"));

    // A listener that accepts and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("an address").port();
    endpoint.url = format!("http://127.0.0.1:{port}/v1/chat/completions").parse().expect("a URL");
    endpoint.timeout = Duration::from_millis(50);
    let slow = ping(&endpoint).await.expect_err("slow");
    assert_eq!(slow, Error::Slow { host: "127.0.0.1".into(), seconds: 0 });

    drop(silent);
    endpoint.timeout = Duration::from_secs(30);
    let nobody = ping(&endpoint).await.expect_err("nobody");
    assert!(matches!(nobody, Error::Unreachable(_)), "{nobody}");
}
