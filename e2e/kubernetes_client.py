"""The Python client against a cluster: kubernetes_client.py KUBECONFIG IMAGE. Says "done" when all was as it should be."""

import sys
import threading

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

kubeconfig, image = sys.argv[1:]
config.load_kube_config(kubeconfig)
core = client.CoreV1Api()
namespace = "python"
core.create_namespace({"metadata": {"name": namespace}})

# The dynamic client: discovery, create, apply, patch, list by label, delete.
objects = dynamic.DynamicClient(client.ApiClient())
maps = objects.resources.get(api_version="v1", kind="ConfigMap")
made = maps.create(namespace=namespace, body={"metadata": {"name": "a", "labels": {"l": "1"}}, "data": {"k": "1"}})
assert made.metadata.uid, made
applied = maps.server_side_apply(
    namespace=namespace,
    name="a",
    body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"m": "2"}},
    field_manager="python",
)
assert applied.data.to_dict() == {"k": "1", "m": "2"}, applied
patched = maps.patch(
    namespace=namespace, name="a", body={"data": {"k": None}}, content_type="application/merge-patch+json"
)
assert patched.data.to_dict() == {"m": "2"}, patched
assert [one.metadata.name for one in maps.get(namespace=namespace, label_selector="l=1").items] == ["a"]
try:
    maps.create(namespace=namespace, body={"metadata": {"name": "a"}})
    raise AssertionError("a second object of the same name")
except ApiException as error:
    assert error.status == 409, error

# A watch, while another thread writes.
seen = []
version = core.list_namespaced_config_map(namespace).metadata.resource_version


def write():
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "b"}})
    core.patch_namespaced_config_map("b", namespace, {"data": {"k": "1"}})
    core.delete_namespaced_config_map("b", namespace)


writer = threading.Thread(target=write)
writer.start()
events = watch.Watch()
for event in events.stream(
    core.list_namespaced_config_map, namespace, resource_version=version, timeout_seconds=60
):
    seen.append((event["type"], event["object"].metadata.name))
    if event["type"] == "DELETED":
        events.stop()
writer.join()
assert seen == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")], seen

# A typed object, and a program in it.
container = client.V1Container(name="main", image=image)
spec = client.V1PodSpec(containers=[container], termination_grace_period_seconds=1)
for event in watch.Watch().stream(core.list_namespaced_service_account, namespace, timeout_seconds=60):
    if event["object"].metadata.name == "default":
        break
core.create_namespaced_pod(namespace, client.V1Pod(metadata=client.V1ObjectMeta(name="p"), spec=spec))
for event in watch.Watch().stream(core.list_namespaced_pod, namespace, timeout_seconds=60):
    if event["object"].status.phase == "Running":
        break
else:
    raise AssertionError("the pod does not run")
said = stream(
    core.connect_get_namespaced_pod_exec,
    "p",
    namespace,
    command=["sh", "-c", "echo out; echo err >&2"],
    stdout=True,
    stderr=True,
    _preload_content=False,
)
said.run_forever(timeout=30)
assert (said.read_stdout(), said.read_stderr(), said.returncode) == ("out\n", "err\n", 0)
core.delete_namespace(namespace)
print("done")
