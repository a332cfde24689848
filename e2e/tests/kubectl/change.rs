//! Workloads as they change, and the end of things.

use crate::Shell;

pub(crate) fn workloads(shell: &Shell<'_>) {
    shell.does(&[
        ("$K rollout status deployment/web --timeout=60s", &["successfully rolled out"]),
        (
            "$K expose deployment web --name=exposed --port=80 --target-port=8080",
            &["service/exposed exposed"],
        ),
        ("$K scale deployment web --replicas=1", &["deployment.apps/web scaled"]),
        (
            "$K autoscale deployment web --min=1 --max=3 --cpu-percent=80",
            &["horizontalpodautoscaler.autoscaling/web autoscaled"],
        ),
        ("$K set env deployment/web A=1", &["deployment.apps/web env updated"]),
        ("$K set env deployment/web --list", &["A=1"]),
        (
            "$K set resources deployment web --limits=memory=64Mi",
            &["deployment.apps/web resource requirements updated"],
        ),
        (
            "$K set serviceaccount deployment web sa",
            &["deployment.apps/web serviceaccount updated"],
        ),
        ("$K set selector service exposed app=web", &["service/exposed selector updated"]),
        ("$K set image deployment/web shelf=$I-none", &["deployment.apps/web image updated"]),
        ("$K rollout history deployment/web", &["REVISION", "CHANGE-CAUSE"]),
        ("$K rollout undo deployment/web", &["deployment.apps/web rolled back"]),
        ("$K rollout pause deployment/web", &["deployment.apps/web paused"]),
        ("$K rollout resume deployment/web", &["deployment.apps/web resumed"]),
        ("$K rollout restart deployment/web", &["deployment.apps/web restarted"]),
        ("$K rollout status deployment/web --timeout=60s", &["successfully rolled out"]),
        ("$K rollout history deployment/web --revision=1", &["Pod Template:", crate::IMAGE]),
        ("$K label deployment web tier=front", &["deployment.apps/web labeled"]),
        ("$K label deployment web tier=back --overwrite", &["deployment.apps/web labeled"]),
        ("$K get deployments -l tier=back -o name", &["deployment.apps/web"]),
        ("$K label deployment web tier-", &["deployment.apps/web unlabeled"]),
        ("$K annotate deployment web note=x", &["deployment.apps/web annotated"]),
        ("$K annotate deployment web note-", &["deployment.apps/web annotated"]),
        ("$K run once --image=$I --restart=Never --command -- sleep 0", &["pod/once created"]),
        (
            "$K wait --for=jsonpath='{.status.phase}'=Succeeded pod/once --timeout=60s",
            &["pod/once condition met"],
        ),
        (
            "$K wait --for=condition=complete job/once job/now --timeout=60s",
            &["job.batch/now condition met"],
        ),
        ("kubectl taint nodes --all $N=x:PreferNoSchedule", &["tainted"]),
        ("kubectl taint nodes --all $N-", &["untainted"]),
        ("kubectl cordon $(kubectl get nodes -o name)", &["cordoned"]),
        ("kubectl get nodes", &["SchedulingDisabled"]),
        ("kubectl uncordon $(kubectl get nodes -o name)", &["uncordoned"]),
    ]);
    shell.is_refused(&[
        (
            "$K label deployment web app=other",
            &["'app' already has a value (web), and --overwrite is false"],
        ),
        (
            "$K scale deployment web --current-replicas=5 --replicas=1",
            &["Expected replicas to be 5, was 1"],
        ),
        (
            "$K rollout undo deployment/web --to-revision=99",
            &["unable to find specified revision 99"],
        ),
        ("$K wait --for=condition=Never deployment/web --timeout=1s", &["timed out waiting"]),
    ]);
}

pub(crate) fn deletions(shell: &Shell<'_>) {
    shell.does(&[
        ("$K delete hpa web", &["\"web\" deleted"]),
        ("$K delete deployment web --cascade=orphan", &["deployment.apps \"web\" deleted"]),
        ("$K get replicasets -l app=web -o name", &["replicaset.apps/web-"]),
        ("$K delete replicasets -l app=web --cascade=foreground", &["replicaset.apps \"web-"]),
        ("test -z \"$($K get pods -l app=web -o name)\"", &[]),
        ("$K delete configmap none --ignore-not-found", &[]),
        ("$K delete configmap c a --now", &["configmap \"c\" deleted", "configmap \"a\" deleted"]),
        ("$K delete jobs --all", &["job.batch \"once\" deleted", "job.batch \"now\" deleted"]),
        ("$K delete -f both.yaml --ignore-not-found", &[]),
        ("kubectl delete clusterrole,clusterrolebinding $N", &["deleted"]),
        ("kubectl delete priorityclass $N-low", &["deleted"]),
        ("kubectl delete namespace $N", &["namespace \"", "deleted"]),
    ]);
    shell.is_refused(&[
        ("kubectl get namespace $N", &["not found"]),
        ("kubectl delete configmap none", &["configmaps \"none\" not found"]),
    ]);
}
