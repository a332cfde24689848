//! README.md says what is served, and what of Kubernetes is not.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::harness::Cluster;

fn section() -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, rest) = readme.split_once("### The API of the embedded cluster\n").unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The rows of the table of what is served, as discovery has it, and all names in them.
async fn served(cluster: &Cluster) -> (Vec<String>, BTreeSet<String>) {
    let (_, groups) = cluster.get("/apis").await;
    let groups = groups["groups"].as_array().unwrap().iter();
    let versions = groups.flat_map(|group| group["versions"].as_array().unwrap());
    let versions = versions.map(|version| version["groupVersion"].as_str().unwrap().to_owned());
    let (mut rows, mut all) = (Vec::new(), BTreeSet::new());
    for version in ["v1".to_owned()].into_iter().chain(versions) {
        let root = if version == "v1" { "api" } else { "apis" };
        let (code, list) = cluster.get(&format!("/{root}/{version}")).await;
        assert_eq!(code, 200, "{version}");
        let names: Vec<&str> = list["resources"].as_array().unwrap().iter().map(name).collect();
        let mut row = format!("| `{version}` |");
        for name in names.iter().filter(|name| !name.contains('/')) {
            let _ = write!(row, "{} `{name}`", if row.ends_with('|') { "" } else { "," });
            let subresources =
                names.iter().filter_map(|sub| sub.strip_prefix(*name)?.strip_prefix('/'));
            let subresources: Vec<_> = subresources.map(|sub| format!("`{sub}`")).collect();
            if !subresources.is_empty() {
                let _ = write!(row, " ({})", subresources.join(" "));
            }
        }
        rows.push(row + " |");
        all.extend(names.into_iter().map(str::to_owned));
    }
    (rows, all)
}

fn name(resource: &Value) -> &str {
    resource["name"].as_str().unwrap()
}

#[tokio::test]
async fn what_is_served_and_what_is_not_is_what_the_readme_says() {
    let cluster = Cluster::start().await;
    let section = section();
    let (served, all) = served(&cluster).await;
    let table: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(table, served, "README.md must have these rows:\n{}", served.join("\n"));

    let (_, missing) = section.split_once("It has none of these").unwrap();
    let mut names = 0;
    for name in missing.split("\n\n").next().unwrap().split('`').skip(1).step_by(2) {
        names += 1;
        if name.starts_with('/') {
            assert_eq!(cluster.get(name).await.0, 404, "{name}");
            continue;
        }
        assert!(!all.contains(name), "{name} is served");
    }
    assert!(names > 20, "the list cannot be read");
}
