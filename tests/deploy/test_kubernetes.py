"""The objects of Kubernetes: valid, consistent with each other, and with our own names.

What needs a cluster is not tried here; what an API server would refuse is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from proxy.config.load import load
from proxy.observe.metrics import FAMILIES
from tests.deploy.files import (
    KUBERNETES,
    NEEDS,
    PODS,
    Object,
    documents,
    manifests,
    objects,
    server_table,
    the_only,
    unbuffered,
)

END_SECONDS = 2  # what a shutdown takes beyond drain_seconds (docs/deploying.md)
MARGIN_SECONDS = 10  # for the start of `unbuffered drain`, and for the kubelet
OLDEST = "1.29"  # the first with side-cars (docs/containers.md)
# Kinds of other projects: their schemas are in no package.
OF_OTHERS = ("monitoring.coreos.com/", "gateway.networking.k8s.io/")
FILES = [
    pytest.param(path, id=str(path.relative_to(KUBERNETES))) for path in manifests()
]


# -- what an API server would say


@pytest.mark.parametrize("version", [OLDEST, "latest"])
@pytest.mark.parametrize("path", FILES)
def test_every_object_is_valid(path: Path, version: str) -> None:
    validator = pytest.importorskip(
        "kubernetes_validate", reason=f"kubernetes-validate {NEEDS}"
    )
    for each in documents(path):
        if each["apiVersion"].startswith(OF_OTHERS):
            continue
        of = validator.latest_version() if version == "latest" else version
        validator.validate(each, of, strict=True)


def rendered(folder: Path) -> list[Any]:
    """What `kubectl apply -k` would send."""
    yaml = pytest.importorskip("yaml", reason=f"PyYAML {NEEDS}")
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]) is not None:
            break
    else:
        pytest.skip("neither kustomize nor kubectl is installed")
    done = subprocess.run(
        [*command, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # deprecated fields are told there
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("name", ["base", "example", "sidecar"])
def test_every_overlay_can_be_rendered(name: str) -> None:
    found = rendered(KUBERNETES / name)
    validator = pytest.importorskip(
        "kubernetes_validate", reason=f"kubernetes-validate {NEEDS}"
    )
    for each in found:
        if not each["apiVersion"].startswith(OF_OTHERS):
            validator.validate(each, validator.latest_version(), strict=True)
    [pod] = [each for each in found if each["kind"] == "Deployment"]
    maps = {each["metadata"]["name"] for each in found if each["kind"] == "ConfigMap"}
    assert {volume["configMap"]["name"] for volume in mounted(pod)} <= maps


def mounted(deployment: Object) -> list[Object]:
    """The volumes of a pod that are made from a ConfigMap."""
    volumes: list[Object] = deployment["spec"]["template"]["spec"]["volumes"]
    return [each for each in volumes if "configMap" in each]


def test_the_autoscaler_decides_how_many_pods_there_are() -> None:
    [pod] = [
        each
        for each in rendered(KUBERNETES / "example")
        if each["kind"] == "Deployment"
    ]
    assert "replicas" not in pod["spec"]


# -- the drain


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_as_long_as_its_drain_may_take(name: str) -> None:
    """The grace period begins with preStop, and SIGKILL ends it."""
    pod = pod_of(name)
    server = server_table(PODS[name])
    takes = server.get("drain_delay_seconds", 0) + server["drain_seconds"]
    grace = pod["terminationGracePeriodSeconds"]
    assert takes + END_SECONDS + MARGIN_SECONDS <= grace <= takes + 30
    # What the cluster autoscaler waits for, unless it is told otherwise.
    assert grace <= 600


def test_the_configuration_of_an_overlay_drains_as_the_base_has_time_for() -> None:
    keys = ("drain_delay_seconds", "drain_seconds", "port")
    base, example = (
        server_table(KUBERNETES / folder) for folder in ("base", "example")
    )
    assert [example[key] for key in keys] == [base[key] for key in keys]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_taken_out_of_the_service_before_it_drains(name: str) -> None:
    container = unbuffered(pod_of(name))
    [config] = [each for each in container["args"] if each.endswith(".toml")]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == [
        *("unbuffered", "drain", "--config", config)
    ]
    probes = {
        each: container[each]["httpGet"]["path"]
        for each in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    # A pod that drains is not ready, and must not be killed for it.
    assert probes == {
        "startupProbe": "/_unbuffered/ready",
        "readinessProbe": "/_unbuffered/ready",
        "livenessProbe": "/_unbuffered/health",
    }


def test_an_application_in_the_same_pod_outlives_the_drain() -> None:
    """Init containers that go on are stopped after the others."""
    pod = pod_of("sidecar")
    [application] = pod["initContainers"]
    assert application["restartPolicy"] == "Always"
    assert [each["name"] for each in pod["containers"]] == ["unbuffered"]


# -- rights


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_rights(name: str) -> None:
    pod = pod_of(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    rights = unbuffered(pod)["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    for each in [*pod["containers"], *pod.get("initContainers", [])]:
        assert each["securityContext"]["allowPrivilegeEscalation"] is False
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", PODS)
def test_the_configuration_can_be_reloaded(name: str) -> None:
    """A mount with subPath is never updated, and a hashed name restarts all pods."""
    container = unbuffered(pod_of(name))
    assert "--watch" in container["args"]
    assert not [each for each in container["volumeMounts"] if "subPath" in each]
    [made] = documents(PODS[name] / "kustomization.yaml")
    [generated] = made["configMapGenerator"]
    assert generated["options"]["disableNameSuffixHash"] is True


@pytest.mark.parametrize("name", PODS)
def test_what_the_secret_may_leave_out_is_left_out(name: str) -> None:
    """`optional: true` for the variable means that no pod fails to start without it."""
    needed = {
        each["name"]: "x" * 32
        for each in unbuffered(pod_of(name))["env"]
        if not each["valueFrom"].get("secretKeyRef", {}).get("optional")
    }
    load(PODS[name] / "config.toml", needed)


# -- names that have to agree


def test_everything_selects_the_pods_of_the_deployment() -> None:
    labels = the_only("Deployment", KUBERNETES / "base")["spec"]["template"]
    labels = labels["metadata"]["labels"]
    found = {}
    for each in objects():
        if each["metadata"]["name"] != "unbuffered":
            continue
        spec = each["spec"]
        match each["kind"]:
            case "Deployment" | "PodDisruptionBudget" | "ServiceMonitor":
                found[each["kind"]] = spec["selector"]["matchLabels"]
            case "Service":
                found["Service"] = spec["selector"]
            case "NetworkPolicy":
                found["NetworkPolicy"] = spec["podSelector"]["matchLabels"]
    assert sorted(found) == [
        *("Deployment", "NetworkPolicy", "PodDisruptionBudget"),
        *("Service", "ServiceMonitor"),
    ]
    for kind, selector in found.items():
        assert selector.items() <= labels.items(), kind


def test_every_port_is_that_of_the_service() -> None:
    [port] = the_only("Service")["spec"]["ports"]
    container = unbuffered(pod_of("base"))
    [of_pod] = container["ports"]
    assert port["targetPort"] == of_pod["name"]
    assert of_pod["containerPort"] == server_table(PODS["base"])["port"]
    [monitored] = the_only("ServiceMonitor")["spec"]["endpoints"]
    assert monitored["port"] == port["name"]
    [rule] = the_only("Ingress")["spec"]["rules"]
    [path] = rule["http"]["paths"]
    assert path["backend"]["service"] == {
        "name": "unbuffered",
        "port": {"name": port["name"]},
    }
    [routed] = the_only("HTTPRoute")["spec"]["rules"]
    assert routed["backendRefs"] == [{"name": "unbuffered", "port": port["port"]}]


def test_the_autoscaler_counts_what_the_adapter_makes_of_our_metrics() -> None:
    folder = KUBERNETES / "components" / "autoscaling"
    [values] = documents(folder / "adapter-rules.yaml")
    [rule] = values["rules"]["custom"]
    [metric] = the_only("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    known = {f"unbuffered_{name}" for name, _, _ in FAMILIES}
    for query in (rule["seriesQuery"], rule["metricsQuery"]):
        assert set(re.findall(r"\bunbuffered_\w+", query)) <= known


def pod_of(name: str) -> Object:
    deployment = the_only("Deployment", PODS[name])
    pod = deployment["spec"]["template"]["spec"]
    assert isinstance(pod, dict)
    return pod
