"""When a certificate expires: read, judged, and said by the configuration."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.main import main
from proxy.config.certificate_expiry import (
    DAY,
    expiry_of,
    expiry_warning,
    expiry_words,
    not_after,
)
from proxy.config.load import load
from tests.support.certificates import Authority
from tests.support.running import document

NOW = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
AUTHORITY = trustme.CA()


def issued(expires: datetime) -> bytes:
    made = AUTHORITY.issue_cert("h.test", not_after=expires)
    return made.cert_chain_pems[0].bytes()


DER = ssl.PEM_cert_to_DER_cert(issued(datetime(2031, 1, 1, tzinfo=UTC)).decode())


@pytest.mark.parametrize(
    "expires",
    [
        pytest.param(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), id="UTCTime"),
        pytest.param(datetime(2050, 1, 1, tzinfo=UTC), id="GeneralizedTime"),
        pytest.param(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), id="never"),
    ],
)
def test_the_date_is_that_of_the_first_certificate(
    tmp_path: Path, expires: datetime
) -> None:
    file = tmp_path / "chain.pem"
    file.write_bytes(b"# ours\r\n" + issued(expires) + AUTHORITY.cert_pem.bytes())
    assert expiry_of(str(file)) == expires.timestamp()


def test_what_cannot_be_read_has_no_date(tmp_path: Path) -> None:
    assert expiry_of(str(tmp_path / "none")) is None
    file = tmp_path / "cert.pem"
    for text in (
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    ):
        file.write_bytes(text)
        assert expiry_of(str(file)) is None


@given(st.data())
def test_a_broken_certificate_is_a_fault_of_a_known_kind(data: st.DataObject) -> None:
    der = bytearray(DER)
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    part = bytes(der[: data.draw(st.integers(0, len(der)))])
    with contextlib.suppress(ValueError, IndexError):
        assert isinstance(not_after(part), float)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        pytest.param(14 * DAY + 1, "", id="good for a while"),
        pytest.param(
            14 * DAY,
            "the certificate expires on 2030-01-15 00:00 UTC, in 14 days",
            id="two weeks",
        ),
        pytest.param(
            2 * DAY - 1,
            "the certificate expires on 2030-01-02 23:59 UTC, in 47 hours",
            id="hours",
        ),
        pytest.param(
            0,
            "the certificate has expired on 2030-01-01 00:00 UTC, 0 hours ago: clients "
            "refuse it",
            id="now",
        ),
        pytest.param(
            -3 * DAY,
            "the certificate has expired on 2029-12-29 00:00 UTC, 3 days ago: clients "
            "refuse it",
            id="long ago",
        ),
    ],
)
def test_it_is_a_warning_from_two_weeks_before_on(left: float, words: str) -> None:
    assert expiry_warning(NOW + left, NOW) == words


def test_of_what_has_no_date_nothing_is_said() -> None:
    assert expiry_warning(None, NOW) == ""


def test_check_warns_of_each_certificate_and_says_when_it_expires(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=5, minutes=30)
    authority = Authority(tmp_path)
    authority.issue(soon)
    path = tmp_path / "config.toml"
    tables = {"server": {"port": 8443, **authority.server}}
    text = document({"/": {"target": "http://h:1"}}, tables)
    files = "".join(f"{key} = '{file}'\n" for key, file in authority.server.items())
    path.write_text(f"{text}\n[[listen]]\nport = 8444\n{files}", "utf-8")
    words = expiry_words(soon.timestamp(), soon.timestamp() - 5 * DAY - 1)
    first, second = load(path, {}).warnings
    assert first.endswith(f"[server] tls_certificate: the certificate {words}")
    assert second.endswith(
        f"[[listen]] number 1, tls_certificate: the certificate {words}"
    )
    assert main(["check", "--config", str(path)]) == 0
    printed = capsys.readouterr()
    assert f"\n[server] tls_certificate: {words}\n" in printed.out
    assert f"\n[[listen]] number 1 tls_certificate: {words}\n" in printed.out
    assert printed.out.endswith("1 route, no fault, 2 warnings\n")
    assert printed.err.count("warning: ") == 2
