"""`[[certificate]]`: what is taken, and what is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from proxy.config.certificates_reader import MOST
from tests.unit.config.conftest import Load, Refuse, without_line

ROUTE = '[routes."/"]\ntarget = "http://localhost:1"\n'
OWN = '[server]\ntls_certificate = "own.pem"\n'


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def files(tmp_path: Path, authority: trustme.CA) -> None:
    for file, *names in (
        ("own.pem", "own.test"),
        ("a.pem", "a.test", "*.a.test"),
        ("again.pem", "a.test"),
        ("more.pem", "a.test", "c.test"),
        ("both.pem", "own.test", "a.test", "*.a.test"),
        ("any.pem", "*.own.test", "own.test"),
        ("address.pem", "127.0.0.1"),
    ):
        leaf = authority.issue_cert(*names)
        both = tmp_path / file
        leaf.private_key_and_cert_chain_pem.write_to_path(str(both))
        both.chmod(0o600)
    other = authority.issue_cert("z.test")
    other.private_key_pem.write_to_path(str(tmp_path / "other.key"))


def tables(*lines: str) -> str:
    return "".join(f"[[certificate]]\n{each}\n" for each in lines)


def test_paths_are_those_beside_the_file(read: Load, tmp_path: Path) -> None:
    text = OWN + tables('tls_certificate = "a.pem"', 'tls_certificate = "more.pem"')
    config = read(text + ROUTE)
    assert [each.tls_certificate for each in config.certificate] == [
        "a.pem",
        "more.pem",
    ]
    assert config.warnings == ()
    assert config.sources["[[certificate]] number 2.tls_certificate"] == "config.toml"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            '[certificate]\ntls_certificate = "a.pem"\n',
            "[[certificate]]: got one table: write [[certificate]]",
            id="one table",
        ),
        pytest.param(
            "[[certificate]]\n",
            "[[certificate]] number 1, tls_certificate: missing: write tls_certificate "
            '= "certificate.pem"',
            id="none",
        ),
        pytest.param(
            tables('tls_certificate = "a.pem"', 'tls_certificate = "away.pem"'),
            "[[certificate]] number 2, tls_certificate: away.pem cannot be read: no "
            "such file or directory",
            id="away",
        ),
        pytest.param(
            tables('tls_certificate = "a.pem"\ntls_key = "other.key"'),
            "[[certificate]] number 1, tls_key: other.key does not match the "
            "certificate in a.pem",
            id="no pair",
        ),
        pytest.param(
            tables('tls_certificate = "a.pem"\nnames = "a.test"'),
            "[[certificate]] number 1, names: unknown key",
            id="a key that it has not",
        ),
        pytest.param(
            tables(*['tls_certificate = "a.pem"'] * (MOST + 1)),
            f"[[certificate]]: there are {MOST + 1} of them, at most {MOST} work",
            id="too many",
        ),
    ],
)
def test_faults(refuse: Refuse, text: str, fault: str) -> None:
    [found] = refuse(OWN + text + ROUTE)
    assert found.startswith(f"config.toml: {fault}")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        pytest.param(
            tables('tls_certificate = "a.pem"'),
            "[[certificate]] number 1, tls_certificate: is shown to nobody: no "
            "listener has TLS. Write tls_certificate in [server]",
            id="no listener has TLS",
        ),
        pytest.param(
            OWN + tables('tls_certificate = "address.pem"'),
            "[[certificate]] number 1, tls_certificate: has no host in it "
            "(subjectAltName), so it is shown to nobody: ask its authority for one "
            "with names",
            id="no names",
        ),
        pytest.param(
            OWN + tables('tls_certificate = "a.pem"', 'tls_certificate = "again.pem"'),
            "[[certificate]] number 2, tls_certificate: all of its names are in "
            "[[certificate]] number 1, too, which is shown: remove one",
            id="twice",
        ),
        pytest.param(
            OWN + tables('tls_certificate = "a.pem"', 'tls_certificate = "more.pem"'),
            None,
            id="one name of several",
        ),
        pytest.param(
            OWN + tables('tls_certificate = "own.pem"'),
            "[[certificate]] number 1, tls_certificate: all of its names are in the "
            "certificate of [server], too, which is shown: remove one",
            id="that of the listener",
        ),
        pytest.param(
            OWN + tables('tls_certificate = "a.pem"', 'tls_certificate = "both.pem"'),
            "[[certificate]] number 2, tls_certificate: all of its names are in the "
            "certificate of [server] and [[certificate]] number 1, too, which are "
            "shown: remove one",
            id="that of the listener and another",
        ),
        pytest.param(
            OWN + tables('tls_certificate = "any.pem"'),
            None,
            id="a wildcard beside the name of the listener",
        ),
        pytest.param(
            OWN
            + '[[listen]]\nport = 5\ntls_certificate = "a.pem"\n'
            + tables('tls_certificate = "own.pem"'),
            None,
            id="one of two listeners has its names",
        ),
        pytest.param(
            OWN
            + '[[listen]]\nport = 5\ntls_certificate = "both.pem"\n'
            + "[[listen]]\nport = 6\n"
            + tables('tls_certificate = "own.pem"'),
            "[[certificate]] number 1, tls_certificate: all of its names are in the "
            "certificate of [server] and the certificate of [[listen]] number 1, too, "
            "which are shown: remove one",
            id="all listeners with TLS have its names",
        ),
        pytest.param(
            '[[listen]]\nport = 5\ntls_certificate = "own.pem"\n'
            + tables('tls_certificate = "a.pem"'),
            None,
            id="a listener beside has TLS",
        ),
    ],
)
def test_what_is_shown_to_nobody_is_warned_of(
    read: Load, text: str, warning: str | None
) -> None:
    found = [*map(without_line, read(text + ROUTE).warnings)]
    assert found == ([] if warning is None else [f"config.toml: {warning}"])
