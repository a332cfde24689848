//! Who one is, and what one may.

use crate::Shell;

pub(crate) fn who_may_what(shell: &Shell<'_>) {
    shell.does(&[
        ("kubectl auth whoami", &["Username", "Groups", "system:masters"]),
        ("kubectl auth whoami --as=somebody -o jsonpath='{.status.userInfo.username}'", &["somebody"]),
        ("$K auth can-i create pods", &["yes"]),
        ("$K auth can-i list pods --as=system:serviceaccount:$N:sa", &["yes"]),
        ("$K auth can-i --list --as=system:serviceaccount:$N:sa", &["deployments.apps", "[get list]"]),
        ("kubectl auth can-i get /metrics --as=somebody", &["yes"]),
        ("$K get role reads -o yaml > role.yaml && $K auth reconcile -f role.yaml", &["reconciled"]),
        (
            "token=$($K create token sa); kubectl --kubeconfig=/dev/null --server=$(kubectl config view --minify \
             -o jsonpath='{.clusters[0].cluster.server}') --insecure-skip-tls-verify --token=$token -n $N get pods -o name",
            &["pod/once"],
        ),
    ]);
    shell.is_refused(&[
        ("$K auth can-i delete pods --as=system:serviceaccount:$N:sa", &["no"]),
        (
            "$K delete pod once --as=system:serviceaccount:$N:sa",
            &[
                "pods \"once\" is forbidden: User \"system:serviceaccount:",
                "cannot delete resource \"pods\"",
            ],
        ),
    ]);
}
