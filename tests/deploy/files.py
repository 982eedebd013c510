"""What deploy/ has, read: objects of Kubernetes, their configurations, compose."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = DEPLOY / "compose.yaml"
NEEDS = "is not installed: pip install --group deploy"
Object = dict[str, Any]
# What is not an object of the cluster, by its name.
NOT_APPLIED = ("kustomization.yaml", "adapter-rules.yaml")
# A configuration, and the pod that has it mounted.
PODS = {
    "base": KUBERNETES / "base",
    "sidecar": KUBERNETES / "sidecar",
}


def documents(path: Path) -> list[Any]:
    """What a YAML file holds."""
    yaml = pytest.importorskip("yaml", reason=f"PyYAML {NEEDS}")
    with path.open(encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def manifests() -> list[Path]:
    """The files with objects of a cluster."""
    found = sorted(KUBERNETES.rglob("*.yaml"))
    return [path for path in found if path.name not in NOT_APPLIED]


def objects() -> Iterator[Object]:
    for path in manifests():
        yield from documents(path)


def the_only(kind: str, folder: Path = KUBERNETES) -> Object:
    """The only object of a kind in a folder."""
    [found] = [
        each
        for path in sorted(folder.rglob("*.yaml"))
        if path.name not in NOT_APPLIED
        for each in documents(path)
        if each["kind"] == kind
    ]
    assert isinstance(found, dict)
    return found


def unbuffered(pod: Object) -> Object:
    """The container of a pod that runs Unbuffered."""
    [found] = [each for each in pod["containers"] if each["name"] == "unbuffered"]
    assert isinstance(found, dict)
    return found


def server_table(folder: Path) -> dict[str, Any]:
    """`[server]` of the configuration in a folder."""
    text = (folder / "config.toml").read_text("utf-8")
    table = tomllib.loads(text)["server"]
    assert isinstance(table, dict)
    return table
