"""An image, really built and run, where podman and mmdebstrap are.

No registry is asked: the base is Debian's, made here. Everything is in one folder,
which is removed in the end, and containers have no network but their own loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deploy.files import DEPLOY, ROOT
from tests.support.netns import in_namespace

SUITE = "bookworm"
PACKAGES = ("base-files", "coreutils", "dash", "findutils", "python3", "python3-venv")
COMPILER = ("gcc", "libc6-dev", "python3-dev")
BASE = "localhost/unbuffered-test-base"
IMAGE = "localhost/unbuffered-test"
BUILD_SECONDS = 3600  # the compiler, on a machine that is busy otherwise
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def missing() -> str | None:
    """Why no image can be made here; None if one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "making an image needs root on Linux"
    for program in ("podman", "mmdebstrap"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


# crun wants the second version of control groups alone, and is given it.
WITH_CGROUPS = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"'


class CommandFailed(Exception):
    """A command ended with another status than 0; has what it said."""


class Podman:
    """podman with a storage of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *arguments: str) -> list[str]:
        """Each command has mounts of its own, so none of a container is left behind."""
        return [
            *("unshare", "--mount", "--propagation", "private"),
            *("sh", "-c", WITH_CGROUPS, "podman"),
            *("--root", str(self.folder / "storage")),
            *("--runroot", str(self.folder / "run")),
            *("--cgroup-manager", "cgroupfs", "--events-backend", "none"),
            *arguments,
        ]

    def run(self, *arguments: str, check: bool = True) -> str:
        """What a command of podman prints; what it complains of is the error."""
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_SECONDS,
        )
        if check and done.returncode != 0:
            raise CommandFailed(f"podman {arguments[0]}: {done.stderr[-3000:]}")
        return done.stdout

    def remove(self) -> None:
        """All containers, images and mounts."""
        self.run("rm", "--all", "--force", "--time", "0", check=False)
        self.run("rmi", "--all", "--force", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Container:
    """A container that runs."""

    def __init__(self, podman: Podman, name: str) -> None:
        self.podman = podman
        self.name = name

    def inspect(self) -> dict[str, Any]:
        [found] = json.loads(self.podman.run("inspect", self.name))
        assert isinstance(found, dict)
        return found

    @property
    def pid(self) -> int:
        return int(self.inspect()["State"]["Pid"])

    def exec(self, *command: str, check: bool = True) -> str:
        """What a program prints that is run in it."""
        return self.podman.run("exec", self.name, *command, check=check)

    def log(self) -> str:
        """What it has said so far."""
        done = subprocess.run(
            self.podman.command("logs", self.name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout

    def said(self, part: str) -> None:
        """Wait until it has said this, or has ended."""
        with subprocess.Popen(
            self.podman.command("logs", "--follow", self.name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as following:
            assert following.stdout is not None
            heard = []
            for line in following.stdout:
                heard.append(line)
                if part in line:
                    following.kill()
                    return
        raise AssertionError(f"it ended without {part!r}: {''.join(heard)}")

    def connect(self, port: int) -> socket.socket:
        """A connection to a port of its loopback."""
        return in_namespace(
            f"/proc/{self.pid}/ns/net",
            lambda: socket.create_connection(("127.0.0.1", port)),
        )


def base_image(podman: Podman, *, compiler: bool) -> None:
    """Debian with Python: its packages, unpacked and not configured, which is quick."""
    packages = [*PACKAGES, *(COMPILER if compiler else ())]
    archive = podman.folder / "root.tar"
    done = subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=extract"),
            *(f"--include={','.join(packages)}", SUITE, str(archive)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    if done.returncode != 0:
        raise CommandFailed(f"mmdebstrap: {done.stderr[-1000:]}")
    podman.run("import", str(archive), BASE)
    archive.unlink()


def pip_settings(podman: Podman) -> list[str]:
    """How the build reaches the package index that this machine uses.

    It is passed as a secret, and what it names is mounted: the image has nothing of it.
    """
    found = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name in ("PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_PROXY")
    }
    arguments = []
    if Path(CERTIFICATES).exists():
        found["cert"] = CERTIFICATES
        arguments += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
    path = podman.folder / "pip.conf"
    lines = [f"{key} = {value}" for key, value in found.items()]
    path.write_text("\n".join(["[global]", *lines, ""]), "utf-8")
    return [*arguments, "--secret", f"id=pip,src={path}"]


# podman's own limits may be higher than this machine's, which not every root may raise.
LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
RUN = ("run", "--cgroups", "disabled", *LIMITS)
BUILD = ("build", "--format", "docker", "--isolation", "chroot", "--network", "host")


def try_out(podman: Podman) -> None:
    """Build the least that can be, and run it.

    Raises:
        CommandFailed: this machine does not let it.
    """
    least = podman.folder / "least"
    least.mkdir()
    (least / "Containerfile").write_text(f"FROM {BASE}\nRUN true\n", "utf-8")
    podman.run(*BUILD, "--tag", "localhost/least", str(least))
    podman.run(*RUN, "--rm", "localhost/least", "true")


def build(podman: Podman, *, compiled: bool) -> None:
    """The image, as deploy/Containerfile says."""
    podman.run(
        *(*BUILD, "--file", str(DEPLOY / "Containerfile"), "--tag", IMAGE),
        *("--build-arg", f"BUILD_IMAGE={BASE}"),
        *("--build-arg", f"RUNTIME_IMAGE={BASE}"),
        *("--build-arg", f"COMPILED={int(compiled)}"),
        *pip_settings(podman),
        str(ROOT),
    )


@contextlib.contextmanager
def container(
    podman: Podman, *command: str, options: tuple[str, ...] = (), name: str
) -> Iterator[Container]:
    """A container of the image, without a network, rights, or a file it may write."""
    podman.run(
        *(*RUN, "--detach", "--name", name),
        *("--read-only", "--cap-drop", "all"),
        *("--security-opt", "no-new-privileges"),
        *options,
        IMAGE,
        *command,
    )
    try:
        yield Container(podman, name)
    finally:
        podman.run("rm", "--force", "--time", "0", name, check=False)
