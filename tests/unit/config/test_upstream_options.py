from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from proxy.config.effective import report, route_table
from tests.unit.config.conftest import Load, Refuse

ROUTE = '[routes."/a"]\ntarget = {}\n'


def test_one_target_or_several(read: Load) -> None:
    text = ROUTE.format('["http://a:${PORT}", "unix:/s"]')
    config = read(text, {"PORT": "81"})
    assert [*map(str, config.routes["/a"].targets)] == ["http://a:81", "unix:/s"]
    assert config.sources['routes."/a".target'] == "config.toml, ${PORT}; config.toml"
    assert '["http://a:81", "unix:/s"]' in report(config)
    assert "http://a:81, unix:/s" in route_table(config)


@pytest.mark.parametrize(
    ("target", "faults"),
    [
        pytest.param("[]", ["target: expected at least one address, got an empty "
                            "list"],
                     id="none"),
        pytest.param(
            '["http://a", 3, ["http://b"]]',
            [
                "target, item 2: expected a string, got the integer 3",
                "target, item 3: expected a string, got a list",
            ],
            id="no strings",
        ),
        pytest.param(
            '["http://a", "a:1"]',
            ["target, item 2: 'a:1' is not a valid upstream address: write http://"],
            id="no address",
        ),
        pytest.param(
            '["http://a", "http://A:80/"]',
            ["target, item 2: the same address as http://a: list each address only "
             "once"],
            id="twice",
        ),
        pytest.param(
            '["http://a", "http://127.0.0.1:8080"]',
            ["target: http://127.0.0.1:8080 is the address of the proxy"],
            id="the proxy itself",
        ),
    ],
)  # fmt: skip
def test_a_list_that_is_no_list_of_addresses_is_refused(
    refuse: Refuse, target: str, faults: list[str]
) -> None:
    found = refuse(ROUTE.format(target))
    assert len(found) == len(faults)
    for fault, words in zip(found, faults, strict=True):
        assert fault.startswith(f'config.toml: [routes."/a"] {words}')


def test_ca_file_is_found_from_where_the_configuration_is(
    read: Load, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "own.pem"))
    text = '[defaults]\nca_file = "own.pem"\n' + ROUTE.format('"https://a"')
    assert read(text).routes["/a"].ca_file == "own.pem"
    text = text.replace("own.pem", str(tmp_path / "own.pem"))
    assert read(text).routes["/a"].ca_file == str(tmp_path / "own.pem")
    text = text.replace(str(tmp_path / "own.pem"), "")
    assert read(text).routes["/a"].ca_file == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("none.pem", "cannot be read: no such file", id="no file"),
        pytest.param(".", "cannot be read: ", id="a folder"),
        pytest.param("empty.pem", "contains no certificate: expected PEM", id="empty"),
        pytest.param("key.pem", "contains no certificate: expected PEM", id="a key"),
    ],
)
def test_a_ca_file_without_a_certificate_is_refused(
    refuse: Refuse, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "empty.pem").touch()
    trustme.CA().private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    (fault,) = refuse(ROUTE.format('"https://a"') + f'ca_file = "{name}"\n')
    assert fault.startswith('config.toml: [routes."/a"] ca_file: ')
    assert words in fault
