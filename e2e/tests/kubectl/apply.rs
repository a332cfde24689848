//! Declared objects: apply in its ways, diff, replace, edit and the patches.

use crate::Shell;

fn map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: one}}}}\ndata: {{k: \"{value}\"}}\n"
    )
}

pub(crate) fn all_ways(shell: &Shell<'_>) {
    shell.file("a.yaml", &map("a", "1"));
    shell.file("a2.yaml", &map("a", "2"));
    shell.file("both.yaml", &format!("{}---\n{}", map("a", "1"), map("b", "1")));
    shell.file("kustomization.yaml", "resources: [a.yaml]\nnamePrefix: kustomized-\n");
    shell.does(&[
        ("$K apply -f a.yaml", &["configmap/a created"]),
        ("$K apply -f a.yaml", &["configmap/a unchanged"]),
        ("$K diff -f a.yaml", &[]),
        ("$K diff -f a2.yaml; test $? = 1", &["-  k: \"1\"", "+  k: \"2\""]),
        ("$K apply -f a2.yaml --dry-run=server", &["configmap/a configured (server dry run)"]),
        ("$K apply -f a2.yaml", &["configmap/a configured"]),
        ("$K apply view-last-applied configmap/a", &["k: \"2\""]),
        ("$K apply -f both.yaml", &["configmap/a configured", "configmap/b created"]),
        (
            "$K apply -f a.yaml --prune -l set=one --prune-allowlist=core/v1/ConfigMap",
            &["configmap/a unchanged", "configmap/b pruned"],
        ),
        ("$K apply -k .", &["configmap/kustomized-a created"]),
        ("$K apply --server-side -f a.yaml", &["configmap/a serverside-applied"]),
    ]);
    shell.is_refused(&[(
        "$K apply --server-side --field-manager=other -f a2.yaml",
        &["Apply failed with 1 conflict", "conflict with \"kubectl\"", ".data.k"],
    )]);
    shell.does(&[
        (
            "$K apply --server-side --field-manager=other --force-conflicts -f a2.yaml",
            &["configmap/a serverside-applied"],
        ),
        ("$K get configmap a --show-managed-fields -o yaml", &["manager: other", "operation: Apply"]),
        ("$K replace -f a.yaml", &["configmap/a replaced"]),
        ("$K replace --force -f a.yaml", &["configmap \"a\" deleted", "configmap/a replaced"]),
        ("KUBE_EDITOR='sed -i s/k:.*/k:\\ edited/' $K edit configmap a", &["configmap/a edited"]),
        ("KUBE_EDITOR=true $K edit configmap a", &["Edit cancelled, no changes made"]),
        ("$K patch configmap a --type=merge -p '{\"data\":{\"m\":\"1\"}}'", &["configmap/a patched"]),
        (
            "$K patch configmap a --type=merge -p '{\"data\":{\"m\":\"1\"}}'",
            &["configmap/a patched (no change)"],
        ),
        (
            "$K patch configmap a --type=json -p '[{\"op\":\"remove\",\"path\":\"/data/m\"}]'",
            &["configmap/a patched"],
        ),
        (
            "$K patch deployment web -p '{\"spec\":{\"template\":{\"spec\":{\"terminationGracePeriodSeconds\":1,\
             \"containers\":[{\"name\":\"shelf\",\"env\":[{\"name\":\"P\",\"value\":\"1\"}]}]}}}}'",
            &["deployment.apps/web patched"],
        ),
        ("$K get deployment web -o jsonpath='{..containers[0].image}'", &[crate::IMAGE]),
        (
            "$K patch deployment web --subresource=scale --type=merge -p '{\"spec\":{\"replicas\":2}}'",
            &["scale.autoscaling/web patched"],
        ),
    ]);
    shell.is_refused(&[
        (
            "$K patch configmap a --type=json -p '[{\"op\":\"test\",\"path\":\"/data/k\",\"value\":\"no\"}]'",
            &["the server rejected our request due to an error in our request"],
        ),
        (
            "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: wrong}\\ndta: {}\\n' | $K apply -f -",
            &["unknown field \"dta\""],
        ),
    ]);
}
