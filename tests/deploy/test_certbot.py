"""The recipe for certbot in docs/deploying.md: its hook, and the proxy that it reloads.

certbot itself, and an authority, are not here.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.support.certificates import BEFORE, Authority
from tests.support.process import GUARD, ending, serve

DEPLOYING = Path(__file__).parents[2] / "docs" / "deploying.md"
needs_shell = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("install") is None,
    reason="needs sh and install",
)


def hook() -> str:
    """The script as the page has it."""
    [found] = re.findall(
        r"```sh\n(#!/bin/sh\n.*?)```", DEPLOYING.read_text("utf-8"), re.S
    )
    return str(found)


async def serial(port: int, authority: Authority, name: str) -> str:
    """The number of the certificate that a client of that name is shown."""
    async with asyncio.timeout(GUARD):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=authority.context(), server_hostname=name
        )
    found: ssl.SSLObject = writer.get_extra_info("ssl_object")
    shown = found.getpeercert()
    writer.transport.abort()
    assert shown is not None
    return str(shown["serialNumber"])


def put(leaf: trustme.LeafCert, lineage: Path) -> None:
    """As certbot has it, which makes links of these."""
    lineage.mkdir(parents=True, exist_ok=True)
    whole = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    (lineage / "fullchain.pem").write_bytes(whole)
    leaf.private_key_pem.write_to_path(str(lineage / "privkey.pem"))


@dataclass(frozen=True)
class Machine:
    """The folders that the hook knows, in one of the test's own."""

    folder: Path

    @property
    def place(self) -> Path:
        return self.folder / "place"

    def lineage(self, name: str) -> Path:
        return self.folder / "live" / name

    async def renewed(self, name: str, process: int) -> None:
        """certbot calls the hook; `systemctl` is one that knows the process."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        systemctl = programs / "systemctl"
        systemctl.write_text(
            f'#!/bin/sh\n[ "$*" = "reload unbuffered" ] && kill -HUP {process}\n',
            "utf-8",
        )
        systemctl.chmod(0o755)
        script = hook().replace("-g ssl-cert", f"-g {os.getgid()}")
        script = re.sub(" +# .*", "", script)
        script = script.replace("=/etc/unbuffered/", f"={self.place}/")
        assert "/etc/" not in script  # nothing of this machine
        await asyncio.to_thread(
            subprocess.run,
            ["sh", "-c", script],
            env={
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "RENEWED_LINEAGE": str(self.lineage(name)),
            },
            check=True,
            timeout=GUARD,
        )


@needs_shell
async def test_the_hook_has_the_new_certificate_served(tmp_path: Path) -> None:
    """That of the one name; that of the other stays what it was."""
    machine = Machine(tmp_path)
    authority = Authority(tmp_path)
    names = ("example.com", "example.org")
    for name in names:
        leaf = authority.authority.issue_cert("127.0.0.1", name, not_before=BEFORE)
        put(leaf, machine.place / name)
    config = machine.place / "config.toml"
    pair = 'tls_certificate = "{0}/fullchain.pem"\ntls_key = "{0}/privkey.pem"\n'
    config.write_text(
        f"[server]\nport = 0\n{pair.format(names[0])}"
        f"[[certificate]]\n{pair.format(names[1])}"
        '[routes."/"]\ntarget = "http://127.0.0.1:1"\n',
        "utf-8",
    )
    process = await serve(config)
    async with ending(process.process):
        before = [await serial(process.port, authority, name) for name in names]
        for at, name in enumerate(names):
            leaf = authority.authority.issue_cert("127.0.0.1", name, not_before=BEFORE)
            put(leaf, machine.lineage(name))
            await machine.renewed(name, process.process.pid)
            await process.line("(content of tls_certificate, content of tls_key)")
            shown = [await serial(process.port, authority, each) for each in names]
            assert shown[at] != before[at]
            assert shown[1 - at] == before[1 - at]
            key = machine.place / name / "privkey.pem"
            assert key.stat().st_mode & 0o777 == 0o640
            before = shown
        process.process.terminate()
        await process.ended()
