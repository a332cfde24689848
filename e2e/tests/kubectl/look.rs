//! Everything that reads.

use crate::Shell;

pub(crate) fn at_things(shell: &Shell<'_>) {
    shell.does(&[
        ("$K get pods -o wide", &["NOMINATED NODE", "READINESS GATES"]),
        (
            "$K get all",
            &["deployment.apps/web", "service/exposed", "job.batch/once", "replicaset.apps/"],
        ),
        ("$K get pods,deployments -o name", &["pod/once", "deployment.apps/web"]),
        ("$K get deployment web -o yaml", &["apiVersion: apps/v1", "kind: Deployment"]),
        ("$K get deployment web -o jsonpath='{.status.readyReplicas}'", &["1"]),
        ("$K get pods -o custom-columns=N:.metadata.name,P:.status.phase", &["once", "Succeeded"]),
        ("$K get configmap c -o go-template='{{.data.a}}'", &["1"]),
        ("$K get configmaps --sort-by=.metadata.name -o name", &["configmap/a\nconfigmap/c\n"]),
        ("$K get pods --field-selector=status.phase=Succeeded -o name", &["pod/once"]),
        (
            "$K get configmaps --chunk-size=1 -o name",
            &["configmap/a", "configmap/c", "configmap/kube-root-ca.crt"],
        ),
        ("$K get pods --show-labels -L app", &["APP", "LABELS"]),
        ("$K get pods -A -o name", &["pod/once"]),
        (
            "$K get configmaps -w --output-watch-events --request-timeout=2s | head -4",
            &["ADDED", "kube-root-ca.crt"],
        ),
        (
            "$K describe deployment web",
            &["StrategyType:", "RollingUpdate", "Events:", "ScalingReplicaSet"],
        ),
        ("$K describe pod once", &["Status:", "Succeeded", "Started"]),
        ("$K describe node", &["Allocated resources:", "Non-terminated Pods:", "Capacity:"]),
        ("$K events --for deployment/web", &["ScalingReplicaSet"]),
        ("$K get events --field-selector=reason=ScalingReplicaSet", &["Scaled up replica set"]),
        ("$K logs deployment/web --tail=1", &[]),
        ("$K logs job/once", &[]),
        ("kubectl explain deployment.spec.strategy", &["KIND:", "rollingUpdate"]),
        ("kubectl explain pods --recursive", &["ephemeralContainers", "volumeMounts"]),
        ("kubectl api-resources --api-group=apps", &["statefulsets", "controllerrevisions"]),
        (
            "kubectl api-resources --verbs=list --namespaced -o name",
            &["pods", "ingresses.networking.k8s.io"],
        ),
        ("kubectl api-versions", &["apps/v1", "autoscaling/v2"]),
        ("kubectl version", &["Client Version", "Server Version"]),
        ("kubectl cluster-info", &["is running at"]),
        ("kubectl get --raw /readyz", &["ok"]),
        ("kubectl get --raw '/api/v1/namespaces?limit=1'", &["NamespaceList"]),
    ]);
    shell.is_refused(&[
        ("$K get nothings", &["the server doesn't have a resource type \"nothings\""]),
        ("$K explain pods.spec.nothing", &["field \"nothing\" does not exist"]),
        ("$K get pods --field-selector=spec.nothing=1", &["field label not supported"]),
        ("kubectl get --raw /apis/none", &["the server could not find the requested resource"]),
    ]);
}
