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
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.process import GUARD, serve

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


async def serial(port: int, authority: Authority) -> str:
    """The number of the certificate that a client is shown."""
    async with asyncio.timeout(GUARD):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=authority.context()
        )
    found: ssl.SSLObject = writer.get_extra_info("ssl_object")
    shown = found.getpeercert()
    writer.transport.abort()
    assert shown is not None
    return str(shown["serialNumber"])


@needs_shell
async def test_the_hook_has_the_new_certificate_served(tmp_path: Path) -> None:
    renewed, place, programs = (tmp_path / n for n in ("live", "etc", "bin"))
    for each in (renewed, place, programs):
        each.mkdir()
    authority = Authority(renewed)
    for file, name in (("cert.pem", "fullchain.pem"), ("key.pem", "privkey.pem")):
        shutil.copy(renewed / file, place / name)
    config = place / "config.toml"
    config.write_text(
        "[server]\nport = 0\n"
        'tls_certificate = "fullchain.pem"\ntls_key = "privkey.pem"\n'
        '[routes."/"]\ntarget = "http://127.0.0.1:1"\n',
        "utf-8",
    )
    process = await serve(config)
    try:
        before = await serial(process.port, authority)
        authority.issue()
        for file, name in (("cert.pem", "fullchain.pem"), ("key.pem", "privkey.pem")):
            shutil.copy(renewed / file, renewed / name)
        systemctl = programs / "systemctl"
        systemctl.write_text(
            f'#!/bin/sh\n[ "$*" = "reload unbuffered" ] && '
            f"kill -HUP {process.process.pid}\n",
            "utf-8",
        )
        systemctl.chmod(0o755)
        script = hook().replace("-g certs", f"-g {os.getgid()}")
        script = script.replace("/etc/unbuffered/", f"{place}/")
        await asyncio.to_thread(
            subprocess.run,
            ["sh", "-c", script],
            env={
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "RENEWED_LINEAGE": str(renewed),
            },
            check=True,
            timeout=GUARD,
        )
        await process.line("(content of tls_certificate, content of tls_key)")
        assert await serial(process.port, authority) != before
        assert (place / "privkey.pem").stat().st_mode & 0o777 == 0o640
    finally:
        process.process.terminate()
        await process.ended()
