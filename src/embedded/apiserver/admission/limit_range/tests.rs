//! One document and one limit at a time.

use super::*;

fn of(resources: Value) -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": resources}]}})
}

#[test]
fn what_a_container_does_not_say_is_filled_in() {
    let limits = [
        json!({"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}),
        json!({"type": "Pod", "default": {"disk": "1"}}),
    ];
    let mut one = of(json!({"limits": {"cpu": "2"}}));
    one["spec"]["initContainers"] = json!([{"name": "i"}]);
    fill_in(&mut one, &limits);
    let resources = &one["spec"]["containers"][0]["resources"];
    let filled = json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m"}});
    assert_eq!(resources, &filled);
    assert_eq!(
        one["metadata"]["annotations"][ANNOTATION],
        "LimitRanger plugin set: cpu request for container c; memory limit for container c; cpu request for init container i; cpu, memory limit for init container i"
    );
    let mut full = of(json!({"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1"}}));
    fill_in(&mut full, &limits);
    assert!(full["metadata"]["annotations"].is_null());
}

#[test]
fn bounds_are_told_in_the_words_of_real_servers() {
    let found = |limit: Value, resources: Value| {
        let mut errors = Vec::new();
        pod(&of(resources), &limit, &mut errors);
        errors
    };
    let container = |bound: Value| {
        let mut limit = bound;
        limit["type"] = "Container".into();
        limit
    };
    let cpu = |request: &str, limit: &str| json!({"requests": {"cpu": request}, "limits": {"cpu": limit}});
    for (limit, resources, expected) in [
        (
            container(json!({"min": {"cpu": "200m"}})),
            cpu("0.1", "1"),
            "minimum cpu usage per Container is 200m, but request is 100m",
        ),
        (
            container(json!({"min": {"cpu": "200m"}})),
            json!({}),
            "minimum cpu usage per Container is 200m.  No request is specified",
        ),
        (
            container(json!({"max": {"cpu": "1"}})),
            cpu("1", "1001m"),
            "maximum cpu usage per Container is 1, but limit is 1001m",
        ),
        (
            container(json!({"max": {"cpu": "1"}})),
            json!({"requests": {"cpu": "1"}}),
            "maximum cpu usage per Container is 1.  No limit is specified",
        ),
        (
            container(json!({"maxLimitRequestRatio": {"cpu": "2"}})),
            cpu("100m", "250m"),
            "cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000",
        ),
        (
            container(json!({"maxLimitRequestRatio": {"cpu": "2"}})),
            json!({}),
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        ),
        (
            json!({"type": "Pod", "max": {"memory": "1Gi"}}),
            json!({"limits": {"memory": "2Gi"}}),
            "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
        ),
    ] {
        assert_eq!(found(limit, resources), [expected]);
    }
    let all =
        json!({"min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "2"}});
    assert_eq!(found(container(all), cpu("1", "2")), Vec::<String>::new());
}

#[test]
fn claims_are_bounded_by_what_they_request() {
    let limit = json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}});
    let found = |requests: Value| {
        let mut errors = Vec::new();
        claim(&json!({"spec": {"resources": {"requests": requests}}}), &limit, &mut errors);
        errors
    };
    assert_eq!(found(json!({"storage": "2Gi"})), Vec::<String>::new());
    assert_eq!(
        found(json!({"storage": "3Gi"})),
        ["maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"]
    );
    assert_eq!(found(json!({})).len(), 2);
}
