"""Who else may listen on the port of several workers: nobody, in either order.

Whoever asks for SO_REUSEPORT is of the same user here, as the kernel wants it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from proxy.config.model import ServerOptions as Settings
from proxy.process.workers.listen_sockets import SharedPort

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel compares the sockets of a port"
)

# Where another program listens, and whether an IPv6 socket is for IPv4 too.
V4_ONE, V4_ALL = ("127.0.0.1", False), ("0.0.0.0", False)
V6_ONE, V6_ALL, BOTH = ("::1", False), ("::", False), ("::", True)
Place = tuple[str, bool]
PLACES = [V4_ONE, V4_ALL, V6_ONE, V6_ALL, BOTH]
# Which of them take connections that are for somebody who listens there.
V4, V6 = [V4_ONE, V4_ALL, BOTH], [V6_ONE, V6_ALL, BOTH]
MEETS = {"127.0.0.1": V4, "0.0.0.0": V4, "::1": V6, "::": PLACES}


def program(place: Place, port: int, *, reuse: bool) -> socket.socket:
    """Another program that listens there, and shares.

    Raises:
        OSError: it may not.
    """
    host, both = place
    other = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        if other.family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        other.bind((host, port))
        other.listen()
    except BaseException:
        other.close()
        raise
    return other


@pytest.fixture(params=[*MEETS])
def shared(request: pytest.FixtureRequest) -> Iterator[SharedPort]:
    """The port of two workers."""
    port = SharedPort(Settings(host=request.param, port=0), 2)
    yield port
    port.close()


@pytest.fixture
def mine(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["shared"])


@pytest.mark.parametrize("reuse", [False, True])
def test_nobody_may_join_who_shares_too(
    shared: SharedPort, mine: str, reuse: bool
) -> None:
    for place in MEETS[mine]:
        with pytest.raises(OSError, match="in use"):
            program(place, shared.port, reuse=reuse)


def test_a_neighbour_at_another_address_opens_no_door(
    shared: SharedPort, mine: str
) -> None:
    """The kernel remembers the last one that was bound; it is theirs then."""
    # A wider one comes behind: it gets nothing that is ours.
    ours = [V4_ONE, V4_ALL] if mine == "0.0.0.0" else [(mine, False)]
    for place in PLACES:
        if place in MEETS[mine]:
            continue
        with program(place, shared.port, reuse=True):
            for other in ours:
                with pytest.raises(OSError, match="in use"):
                    program(other, shared.port, reuse=True)


@pytest.mark.parametrize(
    ("mine", "place"), [(host, place) for host in MEETS for place in MEETS[host]]
)
def test_who_was_there_before_is_found(mine: str, place: Place) -> None:
    with (
        program(place, 0, reuse=True) as other,
        pytest.raises(OSError, match="in use"),
    ):
        SharedPort(Settings(host=mine, port=other.getsockname()[1]), 2)


@pytest.mark.parametrize("mine", [*MEETS])
def test_a_port_that_was_let_go_of_is_free_at_once(mine: str) -> None:
    first = SharedPort(Settings(host=mine, port=0), 2)
    port = first.port
    first.close()
    SharedPort(Settings(host=mine, port=port), 2).close()
