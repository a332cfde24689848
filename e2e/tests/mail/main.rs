//! An alert becomes mail on a server that others wrote, and on one that does not prove who it is, or has no TLS, nothing.

#![allow(clippy::unwrap_used)]

mod outside;
mod server;

use std::time::Duration;

use curtain_e2e::{Clients, Instance, eventually, get, post_as};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use outside::Outside;
use server::MailServer;

const LIMIT: Duration = Duration::from_secs(60);

/// A channel of the environment that writes to somebody by the server at `port`.
fn channel(name: &str, port: u16, body: &str) -> Value {
    let secret = |key: &str| json!({"secretKeyRef": {"name": "mail-login", "key": key}});
    json!({
        "apiVersion": "openchoreo.dev/v1alpha1", "kind": "ObservabilityAlertsNotificationChannel",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"environment": "development", "type": "email", "emailConfig": {
            "from": "curtain@example.org", "to": ["ops@example.org", "dev@example.org"],
            "smtp": {
                "host": Outside::ADDRESS.to_string(), "port": port, "tls": {"insecureSkipVerify": false},
                "auth": {"username": secret("name"), "password": secret("password")},
            },
            "template": {"subject": "[${alertSeverity}] ${alertName} für ${component}", "body": body},
        }},
    })
}

/// Lines of the greeter about trouble, told to `channels`.
fn rule(channels: &[&str]) -> [Value; 2] {
    let component = json!({"spec": {"traits": [{
        "kind": "ClusterTrait", "name": "observability-alert-rule", "instanceName": "trouble",
        "parameters": {
            "description": "Somebody looks for \"trouble\"", "severity": "critical",
            "source": {"type": "log", "query": "trouble"},
            "condition": {"window": "30s", "interval": "1s", "operator": "gt", "threshold": 0},
        },
    }]}});
    let actions = json!({"notifications": {"channels": channels}});
    let binding = json!({"spec": {"traitEnvironmentConfigs": {"trouble": {"actions": actions}}}});
    [component, binding]
}

#[test]
fn an_alert_is_mail_where_the_server_proves_itself_and_else_a_failure_with_its_reason() {
    let mut instance = Instance::prepare();
    let outside = Outside::open(instance.scratch());
    let serve = |tls: Option<bool>| {
        let files = tls.map(|trusted| outside.certificate(trusted));
        let files = files.as_ref().map(|[certificate, key]| [certificate.as_path(), key.as_path()]);
        MailServer::start(&instance.clients, Outside::ADDRESS, files)
    };
    let servers = [serve(Some(true)), serve(Some(false)), serve(None)];
    instance.start();
    let url = instance.curtain(&["demo", "deploy", "greeter"]).success();

    let login = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "mail-login", "namespace": "default"},
        "stringData": {"name": MailServer::NAME, "password": MailServer::PASSWORD},
    });
    let body = "${alertDescription} in ${project}/${component}.\n.\nIt is ${alertValue} > ${alertThreshold}.";
    let [good, stranger, bare] = [0, 1, 2].map(|at: usize| servers[at].port);
    let manifests = [
        login,
        channel("good", good, body),
        channel("stranger", stranger, body),
        channel("bare", bare, body),
        channel("unwritten", good, "${nothing}"),
    ]
    .map(|one| one.to_string())
    .join("\n---\n");
    let release = Clients::KUBECTLS[1];
    instance.kubectl_file(release, &["apply", "--validate=false"], &manifests).success();
    let [component, binding] = rule(&["good", "stranger", "bare", "unwritten"]);
    for (object, change) in
        [("component/greeter", component), ("releasebinding/greeter-development", binding)]
    {
        let change = ["patch", object, "--type=merge", "-p", &change.to_string()];
        instance.kubectl(release, &change).success();
    }
    eventually("the rule", LIMIT, || {
        let rules = ["get", "observabilityalertrules", "-A", "-o", "name"];
        let rules = instance.kubectl(release, &rules).ok()?;
        if rules.contains("trouble") { Ok(()) } else { Err(rules) }
    });

    let since = Timestamp::now();
    let trouble = format!("{}trouble", url.trim());
    let mail = eventually("mail", LIMIT, || {
        get(&trouble)?;
        servers[0].mail(Duration::from_secs(2))
    });
    assert_eq!(mail["from"], "curtain@example.org", "{mail}");
    assert_eq!(mail["to"], json!(["ops@example.org", "dev@example.org"]), "{mail}");
    assert_eq!((&mail["login"], &mail["tls"]), (&json!(MailServer::NAME), &json!(true)), "{mail}");
    let headers = &mail["headers"];
    assert_eq!(headers["Subject"], "[critical] trouble für greeter", "{mail}");
    assert_eq!(headers["From"], "curtain@example.org", "{mail}");
    assert_eq!(headers["To"], "ops@example.org, dev@example.org", "{mail}");
    assert_eq!(headers["Auto-Submitted"], "auto-generated", "{mail}");
    let text = mail["body"].as_str().unwrap();
    let begin = "Somebody looks for \"trouble\" in default/greeter.\n.\nIt is ";
    assert!(text.starts_with(begin) && text.trim_end().ends_with(" > 0."), "{mail}");

    // What did not arrive is tried again, or given up where that cannot help, and the list says why.
    let token = instance.token("admin");
    let list = format!("{}/observer/api/v1alpha1/notifications/query", instance.endpoint("portal"));
    let place = json!({"namespace": "default", "project": "default", "component": "greeter",
        "environment": "development"});
    eventually("what became of each", LIMIT, || {
        let end = Timestamp::now() + SignedDuration::from_secs(1);
        let asked = json!({"startTime": since.to_string(), "endTime": end.to_string(),
            "limit": 100, "searchScope": place});
        let found = post_as(&token, &list, &asked)?;
        for (channel, state, attempts, why) in [
            ("good", "delivered", 1, ""),
            ("stranger", "pending", 3, "TLS: invalid peer certificate: UnknownIssuer"),
            ("bare", "pending", 3, "the server offers no STARTTLS, and passwords are not sent"),
            ("unwritten", "dead", 1, "template.body: "),
        ] {
            let all = found["notifications"].as_array().into_iter().flatten();
            let is = |one: &&Value| one["channel"] == channel && one["event"] == "trigger";
            let Some(one) = all.rev().find(is) else { return Err(found.to_string()) };
            let tried = one["attempts"].as_u64() >= Some(attempts);
            let said = one["error"].as_str().is_some_and(|error| error.contains(why));
            if one["state"] != state || !tried || !said {
                return Err(format!("{channel}: {one}"));
            }
            assert!(!one.to_string().contains(MailServer::PASSWORD), "{one}");
        }
        Ok(())
    });
    for unproven in &servers[1..] {
        unproven.mail(Duration::ZERO).expect_err("mail for nobody who proves himself");
    }
    drop(servers);
    drop(outside);
    instance.down();
}
