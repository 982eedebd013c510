"""What sockets say, in our words."""

from __future__ import annotations

import errno
import ssl

import pytest

from proxy.config.target import parse_target
from proxy.errors import (
    DescriptorsExhausted,
    ProxyError,
    UpstreamRefused,
    UpstreamTLSFailed,
    UpstreamUnreachable,
    UpstreamUntrusted,
)
from proxy.transport.connector import unreachable
from proxy.transport.fd_limit import limit
from proxy.transport.socket_state import how_it_closed
from proxy.transport.upstream_tls import handshake_failed

TARGET = parse_target("https://a.example:8443")


@pytest.mark.parametrize(
    ("fault", "tried", "kind", "words"),
    [
        pytest.param(
            ConnectionRefusedError(errno.ECONNREFUSED, "x"),
            "[::1]:1, 127.0.0.1:1",
            UpstreamRefused,
            "nothing listens at [::1]:1, 127.0.0.1:1",
            id="refused",
        ),
        pytest.param(
            OSError(
                "Multiple exceptions: [Errno 99] Connect call failed ('::1', 1), "
                "[Errno 111] Connect call failed ('127.0.0.1', 1)"
            ),
            "[::1]:1, 127.0.0.1:1",
            UpstreamRefused,
            "nothing listens at [::1]:1, 127.0.0.1:1",
            id="one address off, one refused",
            marks=pytest.mark.skipif(errno.ECONNREFUSED != 111, reason="of Linux"),
        ),
        pytest.param(
            FileNotFoundError(errno.ENOENT, "x"),
            "unix:/run/a.sock",
            UpstreamRefused,
            "nothing listens at unix:/run/a.sock: the socket does not exist",
            id="no socket",
        ),
        pytest.param(
            PermissionError(errno.EACCES, "x"),
            "unix:/run/a.sock",
            UpstreamUnreachable,
            "unix:/run/a.sock: permission denied: the proxy needs write permission "
            "on the socket to connect",
            id="no permission",
        ),
        pytest.param(
            OSError(errno.ENETUNREACH, "x"),
            "192.0.2.1:80",
            UpstreamUnreachable,
            "192.0.2.1:80 is unreachable: Network is unreachable",
            id="no way",
        ),
        pytest.param(
            RuntimeError("odd"),
            "192.0.2.1:80",
            UpstreamUnreachable,
            "192.0.2.1:80 is unreachable: odd",
            id="of uvloop",
        ),
        pytest.param(
            OSError(errno.EMFILE, "x"),
            "192.0.2.1:80",
            DescriptorsExhausted,
            "the proxy has no free file descriptor for a connection: its limit is "
            f"{limit()} (ulimit -n)",
            id="our own limit is no fault of the upstream",
        ),
    ],
)
def test_why_nothing_was_connected_to(
    fault: OSError | RuntimeError, tried: str, kind: type[ProxyError], words: str
) -> None:
    error = unreachable(fault, tried)
    assert (type(error), str(error)) == (kind, words)


def unverified(code: int, message: str = "") -> ssl.SSLCertVerificationError:
    fault = ssl.SSLCertVerificationError()
    fault.verify_code, fault.verify_message = code, message
    return fault


def alert(reason: str) -> ssl.SSLError:
    fault = ssl.SSLError()
    fault.reason = reason
    return fault


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        pytest.param(unverified(9), UpstreamUntrusted, "not valid yet", id="too soon"),
        pytest.param(unverified(10), UpstreamUntrusted, "has expired", id="expired"),
        pytest.param(unverified(18), UpstreamUntrusted, "self-signed", id="own"),
        pytest.param(unverified(19), UpstreamUntrusted, "set ca_file", id="own root"),
        pytest.param(unverified(20), UpstreamUntrusted, "set ca_file", id="no issuer"),
        pytest.param(unverified(23), UpstreamUntrusted, "revoked", id="revoked"),
        pytest.param(
            unverified(62), UpstreamUntrusted, "does not cover the host", id="host"
        ),
        pytest.param(
            unverified(64), UpstreamUntrusted, "does not cover the host", id="address"
        ),
        pytest.param(
            unverified(7, "bad signature"),
            UpstreamUntrusted,
            "failed verification: bad signature",
            id="anything else",
        ),
        pytest.param(
            alert("TLSV1_ALERT_PROTOCOL_VERSION"),
            UpstreamTLSFailed,
            "failed: tlsv1 alert protocol version",
            id="alert",
        ),
        pytest.param(
            ConnectionResetError(),
            UpstreamTLSFailed,
            "aborted the TLS handshake",
            id="reset",
        ),
    ],
)
def test_why_there_is_no_tls(
    fault: OSError, kind: type[ProxyError], words: str
) -> None:
    error = handshake_failed(fault, TARGET)
    assert type(error) is kind
    assert words in str(error)
    assert str(TARGET) in str(error)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(None, "closed", id="FIN"),
        pytest.param(ConnectionResetError(), "reset the connection", id="reset"),
        pytest.param(BrokenPipeError(), "reset the connection", id="broken pipe"),
        pytest.param(
            TimeoutError(),
            "stopped responding (TCP keepalive timed out)",
            id="keep-alive probes",
        ),
        pytest.param(
            OSError(errno.EHOSTUNREACH, "No route to host"),
            "closed the connection with an error (No route to host)",
            id="network",
        ),
        pytest.param(
            RuntimeError("odd"),
            "closed the connection with an error (odd)",
            id="anything else",
        ),
    ],
)
def test_how_a_connection_ended(fault: Exception | None, words: str) -> None:
    assert how_it_closed(fault) == words
