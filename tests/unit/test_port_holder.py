"""Which program has a port: from real sockets, and from tables as in /proc."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.system.port_holder import (
    holder_note,
    in_use,
    own_name,
    port_fault,
    port_holder,
)

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
LINE = (
    "   0: {}:1F90 00000000:0000 {} 00000000:00000000 00:00000000 0 {} 0 77 1 f 100\n"
)
V4, V6 = "0100007F", "00000000000000000000000001000000"
ALL_V4, ALL_V6 = "0" * 8, "0" * 32
MAPPED = "0000000000000000FFFF00000100007F"
OTHER = "0200007F"

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
little = pytest.mark.skipif(
    sys.byteorder != "little", reason="the tables are of a machine that is"
)


def proc(folder: Path, *lines: tuple[str, str], user: int = 0, comm: str = "") -> Path:
    """A /proc with sockets on port 8080, the first of which process 4711 has."""
    (folder / "net").mkdir()
    for name in ("tcp", "tcp6"):
        of_it = [each for each in lines if (len(each[0]) > 8) == (name == "tcp6")]
        text = "".join(LINE.format(where, state, user) for where, state in of_it)
        (folder / "net" / name).write_text(HEAD + text, "ascii")
    if comm:
        (folder / "4711" / "fd").mkdir(parents=True)
        (folder / "4711" / "comm").write_text(comm, "utf-8")
        (folder / "4711" / "fd" / "3").symlink_to("socket:[77]")
        (folder / "12" / "fd").mkdir(parents=True)
        (folder / "12" / "fd" / "0").symlink_to("/dev/null")
    return folder


@little
@pytest.mark.parametrize(
    ("address", "host", "found"),
    [
        pytest.param(V4, "127.0.0.1", True, id="the same address"),
        pytest.param(V6, "::1", True, id="the same of IPv6"),
        pytest.param(ALL_V4, "127.0.0.1", True, id="all addresses there"),
        pytest.param(V4, "0.0.0.0", True, id="all addresses here"),
        pytest.param(
            ALL_V6, "127.0.0.1", True, id="all of IPv6, which may be IPv4 too"
        ),
        pytest.param(MAPPED, "127.0.0.1", True, id="IPv4 on a socket of IPv6"),
        pytest.param(V4, "localhost", True, id="a name"),
        pytest.param(OTHER, "127.0.0.1", False, id="another address"),
        pytest.param(V6, "127.0.0.1", False, id="another family"),
    ],
)
def test_a_socket_is_found_that_is_in_the_way(
    tmp_path: Path, address: str, host: str, found: bool
) -> None:
    folder = proc(tmp_path, (address, "0A"), comm="node\n")
    expected = "node, process 4711" if found else ""
    assert port_holder(host, 8080, folder) == expected
    assert port_holder(host, 8081, folder) == ""


@little
def test_a_connection_holds_no_port(tmp_path: Path) -> None:
    assert port_holder("127.0.0.1", 8080, proc(tmp_path, (V4, "01"), comm="n")) == ""


@little
def test_of_a_process_that_may_not_be_looked_at_the_user_is_named(
    tmp_path: Path,
) -> None:
    folder = proc(tmp_path, (V4, "0A"), user=4_000_000_001)
    assert port_holder("127.0.0.1", 8080, folder) == "a program of user 4000000001"


@little
def test_a_program_of_root_is_named_so(tmp_path: Path) -> None:
    assert port_holder("::", 8080, proc(tmp_path, (V4, "0A"))) == "a program of root"


@little
@pytest.mark.parametrize(
    ("comm", "shown"),
    [
        ("two words\n", "two words"),
        ("a\x1b[31m\nb\n", "a[31mb"),
        ("x" * 100, "x" * 64),
        ("\n", "unknown"),
    ],
)
def test_a_name_that_a_process_chose_stays_one_line(
    tmp_path: Path, comm: str, shown: str
) -> None:
    folder = proc(tmp_path, (V4, "0A"), comm=comm)
    assert port_holder("127.0.0.1", 8080, folder) == f"{shown}, process 4711"


@pytest.mark.parametrize("text", ["", HEAD, HEAD + "0: what\n", HEAD + "a b c d\n"])
def test_what_cannot_be_read_names_nobody(tmp_path: Path, text: str) -> None:
    assert port_holder("127.0.0.1", 8080, tmp_path / "none") == ""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(text, "ascii")
    assert port_holder("127.0.0.1", 8080, tmp_path) == ""
    assert holder_note("127.0.0.1", 8080, tmp_path) == ""


@linux
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_port_of_this_process_is_known_as_such(family: int, host: str) -> None:
    try:
        taken = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with taken:
        port = taken.getsockname()[1]
        assert port_holder(host, port) == own_name()
        assert own_name().endswith(f", process {os.getpid()}")
        assert port_fault(host, port, "--port") == (
            "this process is already using this port; choose another port with --port"
        )
        assert port_fault(host, port, "--port", name=False) == (
            "another program is using this port; stop it, or choose another port with "
            "--port"
        )


@linux
def test_another_process_is_named() -> None:
    script = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        told = in_use("127.0.0.1", port)
        assert told.startswith("another program is using this port (")
        assert told.endswith(f", process {other.pid})")
        other.communicate()
