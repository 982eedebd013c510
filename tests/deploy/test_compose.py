"""Two Unbuffereds behind HAProxy, as compose and HAProxy would read them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import COMPOSE, DEPLOY, NEEDS, documents, server_table

END_SECONDS = 2  # what a shutdown takes beyond drain_seconds (docs/deploying.md)
HAPROXY = DEPLOY / "compose" / "haproxy" / "haproxy.cfg"
CONFIG = DEPLOY / "compose" / "unbuffered"
SYSTEM = "/usr/sbin:/usr/local/sbin:/usr/bin"
SECONDS = {"s": 1, "m": 60, "h": 3600}


def test_compose_accepts_it() -> None:
    pytest.importorskip("check_jsonschema", reason=f"check-jsonschema {NEEDS}")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(COMPOSE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_mounted_folder_is_there() -> None:
    [compose] = documents(COMPOSE)
    found = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
    }
    assert found
    for folder in found:
        assert (DEPLOY / folder).is_dir(), folder


def test_a_container_has_as_long_as_its_drain_may_take() -> None:
    """`docker stop` sends SIGTERM, and SIGKILL when this is over."""
    [compose] = documents(COMPOSE)
    server = server_table(CONFIG)
    takes = server.get("drain_delay_seconds", 0) + server["drain_seconds"]
    for name in ("unbuffered-1", "unbuffered-2"):
        grace = seconds(compose["services"][name]["stop_grace_period"])
        assert takes + END_SECONDS < grace <= takes + 15


def seconds(text: str) -> int:
    """A time as compose and HAProxy write it."""
    found = re.fullmatch(r"(\d+)([smh])", text)
    assert found is not None
    return int(found[1]) * SECONDS[found[2]]


def test_haproxy_accepts_its_configuration(tmp_path: Path) -> None:
    """Warnings are errors here. No name of a container can be resolved."""
    program = shutil.which("haproxy", path=SYSTEM)
    if program is None:
        pytest.skip("haproxy is not installed")
    text = HAPROXY.read_text("utf-8")
    path = tmp_path / "haproxy.cfg"
    path.write_text(re.sub(r"\bunbuffered-\d:", "127.0.0.1:", text), "utf-8")
    done = subprocess.run(
        [program, "-c", "-dW", "-f", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_haproxy_balances_the_containers_of_compose() -> None:
    [compose] = documents(COMPOSE)
    named = re.findall(
        r"^ +server \w+ ([\w-]+):(\d+)$", HAPROXY.read_text("utf-8"), re.M
    )
    port = server_table(CONFIG)["port"]
    containers = [name for name in compose["services"] if name.startswith("unbuffered")]
    assert named == [(name, str(port)) for name in containers]


def test_the_balancer_has_noticed_before_the_drain_begins() -> None:
    delay = server_table(CONFIG).get("drain_delay_seconds", 0)
    text = HAPROXY.read_text("utf-8")
    found = re.search(r"\binter (\w+) fall (\d+)", text)
    assert found is not None
    timeout = re.search(r"\btimeout check (\w+)", text)
    assert timeout is not None
    looks = seconds(found[1]) * int(found[2]) + seconds(timeout[1])
    assert looks <= delay
