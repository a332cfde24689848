//! `kubectl create` with each of its generators.

use crate::Shell;

pub(crate) fn every_generator(shell: &Shell<'_>) {
    shell.does(&[
        ("$K create configmap c --from-literal=a=1 --from-literal=b=2", &["configmap/c created"]),
        ("$K get configmap c -o jsonpath='{.data.a}{.data.b}'", &["12"]),
        ("$K create secret generic s --from-literal=k=v", &["secret/s created"]),
        (
            "$K create secret docker-registry r --docker-server=reg.example --docker-username=u --docker-password=p",
            &["secret/r created"],
        ),
        ("$K get secret r -o jsonpath='{.type}'", &["kubernetes.io/dockerconfigjson"]),
        (
            "for part in certificate key; do kubectl config view --raw \
             -o jsonpath=\"{.users[0].user.client-$part-data}\" | base64 -d > $part; done; \
             $K create secret tls t --cert=certificate --key=key",
            &["secret/t created"],
        ),
        (
            "$K create deployment web --image=$I --replicas=1 --port=8080",
            &["deployment.apps/web created"],
        ),
        ("$K create job once --image=$I -- sleep 0", &["job.batch/once created"]),
        (
            "$K create cronjob nightly --image=$I --schedule='0 3 * * *' -- sleep 0",
            &["cronjob.batch/nightly created"],
        ),
        ("$K create job now --from=cronjob/nightly", &["job.batch/now created"]),
        ("$K create service clusterip a --tcp=80:8080", &["service/a created"]),
        ("$K create service nodeport b --tcp=80:8080", &["service/b created"]),
        ("$K create service loadbalancer c --tcp=80:8080", &["service/c created"]),
        ("$K create service externalname d --external-name=example.com", &["service/d created"]),
        ("$K create serviceaccount sa", &["serviceaccount/sa created"]),
        ("$K create token sa --duration=10m", &["eyJ"]),
        (
            "$K create role reads --verb=get,list --resource=pods,deployments.apps",
            &["role.rbac.authorization.k8s.io/reads created"],
        ),
        (
            "$K create rolebinding reads --role=reads --serviceaccount=$N:sa",
            &["rolebinding.rbac.authorization.k8s.io/reads created"],
        ),
        (
            "$K create clusterrole $N --verb=get --non-resource-url=/metrics",
            &["clusterrole.rbac.authorization.k8s.io/", "created"],
        ),
        (
            "$K create clusterrolebinding $N --clusterrole=$N --user=somebody",
            &["clusterrolebinding.rbac.authorization.k8s.io/", "created"],
        ),
        ("$K create quota q --hard=pods=50", &["resourcequota/q created"]),
        (
            "$K create poddisruptionbudget p --selector=app=none --min-available=1",
            &["poddisruptionbudget.policy/p created"],
        ),
        ("$K create priorityclass $N-low --value=10", &["priorityclass.scheduling.k8s.io/", "created"]),
        (
            "$K create ingress i --rule='example.com/*=a:80'",
            &["ingress.networking.k8s.io/i created"],
        ),
        (
            "$K create deployment x --image=x:1 --dry-run=client -o yaml",
            &["kind: Deployment", "image: x:1"],
        ),
        (
            "$K create deployment x --image=x:1 --dry-run=server",
            &["deployment.apps/x created (server dry run)"],
        ),
    ]);
    shell.is_refused(&[
        ("$K create configmap c", &["configmaps \"c\" already exists"]),
        ("$K get deployment x", &["deployments.apps \"x\" not found"]),
        ("$K create deployment UPPER --image=x:1", &["RFC 1123"]),
        ("$K create service clusterip z --tcp=80:99999", &["must be between 1 and 65535"]),
    ]);
}
