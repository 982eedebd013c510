"""The table of clients says what is installed, and names families that there are."""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.clients.programs import HERE, ROOT
from tests.clients.table import CLIENTS, Client

PACKAGED = [client for client in CLIENTS if client.package]


@pytest.mark.parametrize(
    "client", PACKAGED, ids=lambda each: f"{each.name}-{each.family}"
)
def test_the_version_of_a_client_is_the_one_that_is_asked_for(client: Client) -> None:
    if client.old:
        wanted = (HERE / "old.txt").read_text("utf-8").splitlines()
        assert f"{client.package}=={client.version}" in wanted
    elif client.language == "Python":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        wanted = project["dependency-groups"]["clients"]
        assert f"{client.package}>={client.version}" in wanted
    else:
        package = json.loads((HERE / "package.json").read_text("utf-8"))
        assert package["dependencies"][client.package] == client.version


def test_no_client_is_asked_for_in_vain() -> None:
    package = json.loads((HERE / "package.json").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    tried = {client.package for client in CLIENTS}
    besides = {"esbuild", "react", "react-dom"}
    python = {each.split(">=")[0] for each in project["dependency-groups"]["clients"]}
    assert (python | set(package["dependencies"])) - besides == tried - {""}
