//! Names that two definitions want.

use serde_json::{Value, json};

use super::custom::{WIDGETS, cluster, definition, widget};
use super::harness::Cluster;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GADGETS: &str = "/apis/example.dev/v1/namespaces/default/gadgets";

/// Wants the kind of the widgets and one of their short names.
fn gadgets() -> Value {
    let mut gadgets = definition();
    gadgets["metadata"]["name"] = "gadgets.example.dev".into();
    gadgets["spec"]["names"] = json!({"plural": "gadgets", "singular": "gadget", "kind": "Widget",
        "listKind": "GadgetList", "shortNames": ["gd"]});
    gadgets
}

fn conditions(definition: &Value) -> Vec<String> {
    let list = definition["status"]["conditions"].as_array().unwrap().iter();
    let text = |c: &Value, field: &str| c[field].as_str().unwrap().to_owned();
    list.map(|c| ["type", "status", "reason", "message"].map(|field| text(c, field)).join(" "))
        .collect()
}

async fn current(cluster: &Cluster, name: &str) -> Value {
    let (code, found) = cluster.get(&format!("{DEFINITIONS}/{name}.example.dev")).await;
    assert_eq!(code, 200, "{found}");
    found
}

/// What discovery lists of the group, with the short names.
async fn listed(cluster: &Cluster) -> Vec<(String, Value)> {
    let (_, list) = cluster.get("/apis/example.dev/v1").await;
    let list = list["resources"].as_array().unwrap().iter();
    let list = list.map(|r| (r["name"].as_str().unwrap().to_owned(), r["shortNames"].clone()));
    list.filter(|(name, _)| !name.contains('/')).collect()
}

const ACCEPTED: &str = "NamesAccepted True NoConflicts no conflicts found";
const ESTABLISHED: &str =
    "Established True InitialNamesAccepted the initial names have been accepted";

#[tokio::test]
async fn a_definition_waits_for_a_name_that_another_has_and_gets_it_with_its_end() {
    let cluster = cluster().await;
    let (code, made) = cluster.post(DEFINITIONS, gadgets()).await;
    assert_eq!(code, 201, "{made}");
    assert_eq!(
        conditions(&made),
        [
            "NamesAccepted False KindConflict \"Widget\" is already in use",
            "Established False NotAccepted not all names are accepted"
        ]
    );
    assert_eq!(
        made["status"]["acceptedNames"],
        json!({"plural": "gadgets", "singular": "gadget", "kind": "", "listKind": "GadgetList",
            "shortNames": ["gd"]})
    );
    assert_eq!(cluster.get(GADGETS).await.0, 404);
    assert_eq!(listed(&cluster).await, [("widgets".to_owned(), json!(["wd"]))]);
    let (_, index) = cluster.get("/openapi/v3/apis/example.dev/v1").await;
    assert!(index["paths"].as_object().unwrap().keys().all(|path| !path.contains("gadgets")));
    // In another group the names are free.
    let mut other = gadgets();
    other["metadata"]["name"] = "gadgets.sub.example.dev".into();
    other["spec"]["group"] = "sub.example.dev".into();
    let (_, other) = cluster.post(DEFINITIONS, other).await;
    assert_eq!(conditions(&other), [ACCEPTED, ESTABLISHED]);

    let widgets = format!("{DEFINITIONS}/widgets.example.dev");
    assert_eq!(cluster.call("DELETE", &widgets, "", "").await.0, 200);
    let accepted = async {
        while conditions(&current(&cluster, "gadgets").await) != [ACCEPTED, ESTABLISHED] {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), accepted).await.expect("a name");
    assert_eq!(cluster.get(&widgets).await.0, 404);
    let after = current(&cluster, "gadgets").await;
    assert_eq!(after["status"]["acceptedNames"], after["spec"]["names"]);
    assert_eq!(listed(&cluster).await, [("gadgets".to_owned(), json!(["gd"]))]);
    let (code, made) = cluster.post(GADGETS, widget("a", json!({"size": 3}))).await;
    assert_eq!(code, 201, "{made}");
}

#[tokio::test]
async fn names_can_be_changed_and_what_is_given_back_goes_to_who_waits() {
    let mut cluster = cluster().await;
    cluster.post(DEFINITIONS, gadgets()).await;
    let merge = "application/merge-patch+json";
    let path = |name: &str| format!("{DEFINITIONS}/{name}.example.dev");
    // Of what was never served, the kind can still be changed.
    let kind = r#"{"spec":{"names":{"kind":"Gadget"}}}"#;
    let (code, after) = cluster.call("PATCH", &path("gadgets"), merge, kind).await;
    assert_eq!((code, conditions(&after)), (200, vec![ACCEPTED.into(), ESTABLISHED.into()]));
    let (code, status) = cluster.call("PATCH", &path("gadgets"), merge, kind).await;
    assert_eq!(code, 200, "{status}");
    let again = kind.replace("Gadget", "Other");
    let (code, status) = cluster.call("PATCH", &path("gadgets"), merge, &again).await;
    assert_eq!(
        (code, &status["details"]["causes"][0]["field"]),
        (422, &json!("spec.names.kind")),
        "{status}"
    );

    // A name that another one has is not had in discovery, either; the definition stays established.
    let short = r#"{"spec":{"names":{"shortNames":["gd","wd"]}}}"#;
    let (_, after) = cluster.call("PATCH", &path("gadgets"), merge, short).await;
    let conflict = "NamesAccepted False ShortNamesConflict \"wd\" is already in use";
    assert_eq!(conditions(&after), [conflict, ESTABLISHED]);
    let list = |gadgets: Value, widgets: Value| {
        [("gadgets".to_owned(), gadgets), ("widgets".to_owned(), widgets)]
    };
    assert_eq!(listed(&cluster).await, list(json!(["gd"]), json!(["wd"])));
    // It is the same after a restart.
    cluster.restart().await;
    assert_eq!(listed(&cluster).await, list(json!(["gd"]), json!(["wd"])));
    let fewer = r#"{"spec":{"names":{"shortNames":["w"]}}}"#;
    let (code, _) = cluster.call("PATCH", &path("widgets"), merge, fewer).await;
    assert_eq!(code, 200);
    assert_eq!(conditions(&current(&cluster, "gadgets").await), [ACCEPTED, ESTABLISHED]);
    assert_eq!(listed(&cluster).await, list(json!(["gd", "wd"]), json!(["w"])));
    // Who writes a status cannot take names with it.
    let status = r#"{"status":{"conditions":[],"acceptedNames":{"plural":"x","kind":"Widget"}}}"#;
    let (code, after) =
        cluster.call("PATCH", &format!("{}/status", path("gadgets")), merge, status).await;
    assert_eq!((code, conditions(&after)), (200, vec![ACCEPTED.into(), ESTABLISHED.into()]));
    assert_eq!(after["status"]["acceptedNames"], after["spec"]["names"]);
    assert_eq!(cluster.get(WIDGETS).await.0, 200);
}

#[tokio::test]
async fn of_many_that_come_at_once_one_gets_the_name() {
    let cluster = Cluster::start().await;
    let many = (0..12).map(|n| {
        let mut one = gadgets();
        one["metadata"]["name"] = format!("gadgets{n}.example.dev").into();
        one["spec"]["names"] =
            json!({"plural": format!("gadgets{n}"), "singular": format!("gadget{n}"), "kind": "Gadget"});
        cluster.post(DEFINITIONS, one)
    });
    let made = futures::future::join_all(many).await;
    let mut established = 0;
    for (code, made) in made {
        assert_eq!(code, 201, "{made}");
        established += usize::from(conditions(&made).contains(&ESTABLISHED.to_owned()));
    }
    assert_eq!((established, listed(&cluster).await.len()), (1, 1));
}
