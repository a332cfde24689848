//! Asking for leave before the cluster is given an image.
//!
//! Invariant: what is asked here changes nothing, whatever becomes allowed meanwhile. The control plane judges who may
//! before it looks at what is asked, so the refusal is its own, and on record there.

use curtain_deploy::App;
use serde_json::{Value, json};

use super::{door::Door, objects::Former};
use crate::Error;

/// A version that no object has.
const NEVER: &str = "\"never\"";

/// Refuses who may not make of `former` what is wanted.
///
/// # Errors
/// [`Error::Denied`].
pub(super) async fn ask_leave(app: &App, door: &Door, former: &Former) -> Result<(), Error> {
    let mut writes = Vec::new();
    match &former.component {
        None => writes.push(("component:create", "components", app.component())),
        Some(there) if app.is_as_wanted(there) => {}
        Some(_) => writes.push(("component:update", "components", app.component())),
    }
    let action = if former.workload.is_some() { "workload:update" } else { "workload:create" };
    writes.push((action, "workloads", app.workload()));
    let actions: Vec<&str> = writes.iter().map(|(action, ..)| *action).collect();
    let allowed = door.allows(&actions, (&app.project, &app.name)).await?;
    for ((action, list, wanted), allowed) in writes.iter().zip(allowed) {
        if allowed {
            continue;
        }
        let object = impossible(wanted);
        let answer = if action.ends_with("create") {
            door.create(list, &object).await
        } else {
            door.replace(list, &object, Some(NEVER)).await
        };
        match answer {
            // It is allowed by now.
            Ok(()) | Err(Error::Answered { status: 400..=499, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What of `wanted` leave depends on, in a spec that no schema accepts.
fn impossible(wanted: &Value) -> Value {
    let neither = json!("asks whether it is allowed");
    json!({
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {"name": wanted["metadata"]["name"]},
        "spec": {
            "owner": wanted["spec"]["owner"],
            "componentType": wanted["spec"]["componentType"],
            "autoDeploy": neither,
            "container": neither,
            "endpoints": neither,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn app() -> App {
        App {
            name: "mine".to_owned(),
            namespace: "default".to_owned(),
            project: "default".to_owned(),
            image: "the archive".to_owned(),
            id: None,
            port: 8080,
        }
    }

    /// Answers each request as one of `answers`; returns the requests.
    fn plane(answers: Vec<(u16, Value)>) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serve = move || {
            let mut asked = Vec::new();
            for (status, answer) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut request, mut chunk) = (String::new(), [0; 4096]);
                loop {
                    let read = stream.read(&mut chunk).unwrap();
                    request.push_str(&String::from_utf8_lossy(&chunk[..read]));
                    let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| {
                        let (name, value) = line.split_once(':')?;
                        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse())
                    });
                    if body.len() >= length.map_or(0, |length: Result<usize, _>| length.unwrap()) {
                        break;
                    }
                }
                asked.push(request);
                let answer = answer.to_string();
                let length = answer.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                stream.write_all((head + &answer).as_bytes()).unwrap();
            }
            asked
        };
        (base, thread::spawn(serve))
    }

    fn ask(former: &Former, answers: Vec<(u16, Value)>) -> (Result<(), Error>, Vec<String>) {
        let (base, asked) = plane(answers);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(ask_leave(&app(), &Door::at(base), former));
        (outcome, asked.join().unwrap())
    }

    #[test]
    fn a_project_that_is_not_there_is_told_with_those_that_are() {
        let wanted = |answers| {
            let (base, asked) = plane(answers);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let outcome = runtime.block_on(Door::at(base).has_project("shoop"));
            asked.join().unwrap();
            outcome.map_err(|error| (error.kind(), error.to_string()))
        };
        let list =
            json!({"items": [{"metadata": {"name": "default"}}, {"metadata": {"name": "shop"}}]});
        let missing = || (404, json!({"error": "Project not found: shoop"}));
        let said = "there is no project \"shoop\"; there are: default, shop".to_owned();
        let told = wanted(vec![missing(), (200, list)]);
        assert_eq!(told, Err((crate::Kind::NotFound, said)));
        // Whoever may see no project is told by the control plane what they may.
        wanted(vec![(403, json!({"error": "you lack project:view"}))]).unwrap();
        wanted(vec![(200, json!({"metadata": {"name": "shoop"}}))]).unwrap();
    }

    #[test]
    fn what_is_asked_for_cannot_be_done_even_if_it_is_allowed_by_then() {
        let denied = json!([{"decision": false}, {"decision": false}]);
        let nothing = Former { component: None, workload: None };
        // The grant comes between the question and the writes.
        let invalid = || (422, json!({"error": "autoDeploy: must be a boolean"}));
        let (outcome, asked) = ask(&nothing, vec![(200, denied), invalid(), invalid()]);
        outcome.unwrap();
        assert!(asked[1].starts_with("POST") && asked[2].starts_with("POST"), "{asked:?}");
        for request in &asked[1..] {
            assert!(request.contains(r#""autoDeploy":"asks "#), "{request}");
            assert!(request.contains(r#""container":"asks "#), "{request}");
            assert!(!request.contains("the archive"), "{request}");
        }
        let there = Former { component: Some(app().component()), workload: Some(app().workload()) };
        let denied = json!([{"decision": false}]);
        let (outcome, asked) = ask(&there, vec![(200, denied), (409, json!({"error": "changed"}))]);
        outcome.unwrap();
        assert!(asked[1].starts_with("PUT"), "{asked:?}");
        assert!(asked[1].to_ascii_lowercase().contains("if-match: \"never\""), "{asked:?}");
        assert!(!asked[1].contains("the archive"), "{asked:?}");
    }

    #[test]
    fn a_refusal_is_the_control_planes_own() {
        let nothing = Former { component: None, workload: None };
        let denied = json!([{"decision": false}, {"decision": true}]);
        let refusal = (403, json!({"error": "denied: component:create"}));
        let (outcome, _) = ask(&nothing, vec![(200, denied), refusal]);
        assert!(matches!(outcome, Err(Error::Denied { .. })), "{outcome:?}");
    }
}
