use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::State;
use axum::routing::post;
use base64::Engine as _;
use http::{HeaderMap, StatusCode};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::channel::Email;
use super::*;
use crate::alerts::delivery::Errand;
use crate::alerts::testing::{START, look, open, rule};

/// What there is to tell of an alert that just began.
fn errand(event: Event) -> Errand {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    look(&store, &rule(&json!({})), 0, 3.0);
    let mut errand = store.due(START).expect("reads").0.remove(0);
    errand.delivery.event = event;
    errand
}

fn webhook(url: &str, format: Format, template: Option<&str>) -> Webhook {
    let mut webhook = Webhook::to(url).expect("a URL");
    (webhook.format, webhook.template) = (format, template.map(str::to_owned));
    webhook.routing_key = "key".into();
    webhook
}

fn sent(event: Event, format: Format, template: Option<&str>) -> Result<Option<Value>, Attempt> {
    let body = body(&errand(event), &webhook("http://receiver.test", format, template))?;
    Ok(body.map(|body| serde_json::from_slice(&body).expect("JSON")))
}

#[test]
fn without_a_template_the_alert_is_sent_as_it_is() {
    let body = sent(Event::Trigger, Format::Json, None).expect("a body").expect("a body");
    for (word, value) in [
        ("alertName", json!("errors")),
        ("alertTimestamp", json!("2026-01-01T00:00:00Z")),
        ("alertSeverity", json!("critical")),
        ("alertThreshold", json!(2)),
        ("alertValue", json!("3")),
        ("alertType", json!("log")),
        ("namespace", json!("default")),
        ("componentId", json!("c")),
        ("notificationChannels", json!(["ops"])),
        ("incidentEnabled", json!(true)),
        ("triggerAiRca", json!(true)),
        ("triggerAiCostAnalysis", json!(false)),
    ] {
        assert_eq!(body[word], value, "{word}");
    }
    assert_eq!(sent(Event::Resolve, Format::Json, None), Ok(None));
}

#[test]
fn templates_of_json_stay_json_whatever_the_alert_says() {
    let template = r#"{"text": "${alertName}: ${alertDescription}", "n": "${alertThreshold}",
        "where": "${namespace}/${project}/${component}", "list": ["${alertIncidentEnabled}"]}"#;
    let body = sent(Event::Trigger, Format::Slack, Some(template)).expect("a body");
    let wanted = json!({"text": "errors: It fails \"often\"", "n": "2", "where": "default/shop/cart", "list": ["true"]});
    assert_eq!(body, Some(wanted));
    let unquoted = sent(
        Event::Trigger,
        Format::Json,
        Some(r#"{"value": ${alertValue}, "n": ${alertThreshold + 1}}"#),
    );
    assert_eq!(unquoted, Ok(Some(json!({"value": 3, "n": 3}))));
    for (template, words) in
        [(r#"{"text": "${alert.name}"}"#, "alert"), ("hello ${alertName}", "it is no JSON")]
    {
        match sent(Event::Trigger, Format::Json, Some(template)) {
            Err(Attempt::Hopeless(why)) => {
                assert!(why.starts_with("payloadTemplate: ") && why.contains(words), "{why}");
            }
            other => panic!("{template}: {other:?}"),
        }
    }
}

#[test]
fn slack_and_pagerduty_get_what_they_document() {
    let slack = sent(Event::Trigger, Format::Slack, None).expect("a body").expect("a body");
    let text = "[critical] errors in shop/cart (development): It fails \"often\"";
    assert_eq!((&slack["text"], &slack["blocks"][0]["text"]["text"]), (&json!(text), &json!(text)));
    assert_eq!(slack["blocks"][0]["text"]["type"], "mrkdwn");
    let slack = sent(Event::Resolve, Format::Slack, None).expect("a body").expect("a body");
    assert!(slack["text"].as_str().is_some_and(|text| text.starts_with("Resolved: ")), "{slack}");

    let event = sent(Event::Trigger, Format::PagerDuty, None).expect("a body").expect("a body");
    assert_eq!((&event["routing_key"], &event["event_action"]), (&json!("key"), &json!("trigger")));
    let payload = &event["payload"];
    assert_eq!(
        (&payload["severity"], &payload["source"]),
        (&json!("critical"), &json!("shop/cart"))
    );
    assert!(payload["summary"].is_string() && payload["timestamp"].is_string(), "{payload}");
    assert_eq!(event["dedup_key"].as_str().map(str::len), Some(36));
    let event = sent(Event::Resolve, Format::PagerDuty, None).expect("a body").expect("a body");
    assert_eq!((&event["event_action"], event.get("payload")), (&json!("resolve"), None));
}

#[test]
fn the_agent_for_causes_is_asked_in_upstreams_words() {
    let body = bodies::rca(&errand(Event::Rca).alert);
    assert_eq!((&body["namespace"], &body["component"]), (&json!("default"), &json!("cart")));
    let rule = &body["alert"]["rule"];
    assert_eq!(
        (&rule["source"]["query"], &rule["condition"]["threshold"]),
        (&json!("oh no"), &json!(2))
    );
}

pub(in crate::alerts) type Received = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A receiver that answers with `status`, and where it is.
pub(in crate::alerts) async fn receiver(status: StatusCode) -> (String, Received) {
    let received = Received::default();
    let take = move |State(received): State<Received>, headers: HeaderMap, body: Body| async move {
        let body = serde_json::from_slice(&body).expect("JSON");
        received.lock().expect("lock").push((headers, body));
        (status, "because")
    };
    let router = Router::new().route("/alerts", post(take)).with_state(received.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/alerts"), received)
}

#[tokio::test]
async fn a_receiver_gets_json_with_the_headers_of_the_channel() {
    let (url, received) = receiver(StatusCode::NO_CONTENT).await;
    let mut webhook = webhook(&url, Format::Json, None);
    webhook
        .headers
        .push((http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer abc")));
    let web = Web::default();
    web::post(&web, &webhook, "id-1", "{\"a\":1}".into()).await.expect("delivers");
    let (headers, body) = received.lock().expect("lock").remove(0);
    for (name, value) in [
        ("authorization", "Bearer abc"),
        ("content-type", "application/json"),
        ("curtain-delivery", "id-1"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert_eq!(body, json!({"a": 1}));

    let (url, _) = receiver(StatusCode::INTERNAL_SERVER_ERROR).await;
    let error = web::post(&web, &self::webhook(&url, Format::Json, None), "id", "{}".into()).await;
    let error = error.expect_err("refused");
    assert!(
        error.contains("500") && error.contains("because") && !error.contains("/alerts"),
        "{error}"
    );
    let nowhere = self::webhook("http://127.0.0.1:1/alerts", Format::Json, None);
    let error = web::post(&web, &nowhere, "id", "{}".into()).await.expect_err("nobody there");
    assert!(error.contains("127.0.0.1 cannot be reached"), "{error}");
}

/// A mail server with STARTTLS and a certificate that nobody knows. Returns its port and what it was told.
async fn mail_server(starttls: bool) -> (u16, Arc<Mutex<Vec<String>>>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("an address").port();
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = told.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, told) = (acceptor.clone(), noted.clone());
            tokio::spawn(async move {
                let mut plain = BufReader::new(stream);
                plain.write_all(b"220 mail.test ready\r\n").await.expect("writes");
                if converse(&mut plain, starttls, &told).await {
                    let secure = acceptor.accept(plain.into_inner()).await;
                    if let Ok(secure) = secure {
                        converse(&mut BufReader::new(secure), false, &told).await;
                    }
                }
            });
        }
    });
    (port, told)
}

/// Answers lines until the end, or until TLS is wanted.
async fn converse<W: super::smtp::Wire>(
    wire: &mut BufReader<W>,
    starttls: bool,
    told: &Mutex<Vec<String>>,
) -> bool {
    let (mut line, mut data) = (String::new(), false);
    loop {
        line.clear();
        if wire.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        let text = line.trim_end().to_owned();
        told.lock().expect("lock").push(text.clone());
        let answer = match text.split(' ').next().unwrap_or_default() {
            "." if data => "250 taken",
            _ if data => continue,
            "EHLO" if starttls => "250-mail.test\r\n250 STARTTLS",
            "EHLO" => "250-mail.test\r\n250 AUTH LOGIN PLAIN",
            "STARTTLS" => "220 go on",
            "AUTH" => "235 welcome",
            "DATA" => "354 speak",
            "RCPT" if text.contains("nobody") => "550 no such user",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        data = text == "DATA" || (data && text != ".");
        wire.write_all(format!("{answer}\r\n").as_bytes()).await.expect("writes");
        if text == "STARTTLS" {
            return true;
        }
    }
}

fn email(port: u16) -> Email {
    Email {
        from: "curtain@shop.test".into(),
        to: vec!["ops@shop.test".into(), "dev@shop.test".into()],
        host: "localhost".into(),
        port,
        any_certificate: true,
        username: "me".into(),
        password: "secret".into(),
        subject: "[${alertSeverity}] ${alertName} für\n${component}".into(),
        body: "${alertDescription}\n.\nvalue ${alertValue}".into(),
    }
}

#[tokio::test]
async fn a_mail_goes_through_starttls_and_only_to_who_proves_itself() {
    let (port, told) = mail_server(true).await;
    let errand = errand(Event::Trigger);
    mail::send(&email(port), &errand).await.expect("delivers");
    let lines = told.lock().expect("lock").clone();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start)).expect(start);
    assert!(at("STARTTLS") < at("AUTH PLAIN"), "{lines:#?}");
    let login = base64::prelude::BASE64_STANDARD.encode("\0me\0secret");
    assert_eq!(lines[at("AUTH PLAIN")], format!("AUTH PLAIN {login}"));
    assert_eq!(lines[at("MAIL FROM")], "MAIL FROM:<curtain@shop.test>");
    assert_eq!(lines.iter().filter(|line| line.starts_with("RCPT TO:<")).count(), 2);
    let encode = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
    let subject = format!("Subject: =?utf-8?B?{}?=", encode("[critical] errors für cart"));
    assert!(lines.contains(&subject), "{lines:#?}");
    assert!(lines.contains(&encode("It fails \"often\"\n.\nvalue 3")), "{lines:#?}");

    // Its certificate is from nobody.
    let careful = Email { any_certificate: false, ..email(port) };
    match mail::send(&careful, &errand).await {
        Err(Attempt::Failed(why)) => assert!(why.contains("certificate"), "{why}"),
        other => panic!("{other:?}"),
    }
    let wrong = Email { to: vec!["nobody@shop.test".into()], ..email(port) };
    match mail::send(&wrong, &errand).await {
        Err(Attempt::Failed(why)) => assert!(why.contains("550 no such user"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn mails_that_cannot_be_written_say_why() {
    let errand = errand(Event::Trigger);
    let hopeless = |email: Email| {
        let errand = errand.clone();
        async move {
            match mail::send(&email, &errand).await {
                Err(Attempt::Hopeless(why)) => why,
                other => panic!("{other:?}"),
            }
        }
    };
    let why = hopeless(Email { body: "${nothing}".into(), ..email(1) }).await;
    assert!(why.starts_with("template.body: "), "{why}");
    let why = hopeless(Email { to: vec!["a\r\nRCPT TO:<b>".into()], ..email(1) }).await;
    assert!(why.ends_with("is no address"), "{why}");
    assert!(hopeless(Email { host: String::new(), ..email(1) }).await.contains("no mail server"));
}
