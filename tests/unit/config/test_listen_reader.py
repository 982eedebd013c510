"""`[[listen]]`: what is taken, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.config.diff import changes
from proxy.config.effective import report
from proxy.config.load import build, load
from proxy.config.model import Config, ListenOptions
from proxy.config.reader import Reader
from proxy.errors import ConfigError
from proxy.process.reload import asks_for_restart, files_of
from tests.support.certificates import Authority

ROUTES = {"/": {"target": "http://up:1"}}


def built(listen: object, **server: object) -> Config:
    document = {"server": server, "listen": listen, "routes": ROUTES}
    return build(Reader("c", {"PORT": "81"}), document, {})


def faults(listen: object, **server: object) -> Sequence[str]:
    with pytest.raises(ConfigError) as caught:
        built(listen, **server)
    return caught.value.faults


def test_the_host_is_that_of_server_where_none_is_said() -> None:
    config = built([{"port": 80}, {"host": "::1", "port": 80}], host="10.0.0.1")
    assert config.listen == (
        ListenOptions(host="10.0.0.1", port=80),
        ListenOptions(host="::1", port=80),
    )
    assert config.sources["[[listen]] number 2.host"] == "c"


def test_values_may_come_from_the_environment() -> None:
    config = built([{"port": "${PORT}"}])
    assert config.listen[0].port == 81
    assert config.sources["[[listen]] number 1.port"] == "c, ${PORT}"


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        pytest.param({"port": 80}, "[[listen]]: got one table: write [[listen]]"),
        pytest.param(80, "[[listen]]: got the integer 80: write [[listen]]"),
        pytest.param([80], "[[listen]]: got a list: write [[listen]]"),
        pytest.param([{}], "[[listen]] number 1, port: missing: write port = 80"),
        pytest.param(
            [{"port": 80}, {"port": "81"}],
            "[[listen]] number 2, port: expected an integer from 0 to 65535, got the "
            'string "81": remove the quotes',
        ),
        pytest.param(
            [{"port": 80, "workers": 2}],
            "[[listen]] number 1, workers: unknown key here: workers belongs in "
            "[server]",
        ),
        pytest.param(
            [{"port": 80, "host": "127.0.0.1:81"}],
            "[[listen]] number 1, host: expected a plain host name or IP address, got "
            '"127.0.0.1:81": write host = "127.0.0.1" and port = 81',
        ),
        pytest.param(
            [{"port": 8080}],
            "[[listen]] number 1, port: 127.0.0.1:8080 is taken by 127.0.0.1:8080 of "
            "[server]",
        ),
        pytest.param(
            [{"port": 80, "host": "::"}, {"port": 80, "host": "10.0.0.1"}],
            "[[listen]] number 2, port: 10.0.0.1:80 is taken by [::]:80 of [[listen]] "
            "number 1",
        ),
        pytest.param(
            [{"port": 80, "host": "::1"}, {"port": 80, "host": "::"}],
            "[[listen]] number 2, port: [::]:80 is taken by [::1]:80 of [[listen]] "
            "number 1",
        ),
        pytest.param(
            [{"port": 80, "https_redirect": True}],
            "[[listen]] number 1, https_redirect: leads to no listener: set "
            "tls_certificate in [server]",
        ),
        pytest.param(
            [{"port": 80, "tls_certificate": "gone.pem"}],
            "[[listen]] number 1, tls_certificate: gone.pem cannot be read: no such "
            "file or directory",
        ),
        pytest.param(
            [{"port": number} for number in range(1, 18)],
            "[[listen]]: there are 17 of them, at most 16 work",
        ),
    ],
)
def test_a_fault_names_the_table_by_its_number(listen: object, told: str) -> None:
    assert faults(listen) == [f"c: {told}"]


def test_the_address_of_the_admin_listener_is_taken() -> None:
    assert faults([{"port": 81, "host": "0.0.0.0"}], admin="localhost:81") == [
        "c: [[listen]] number 1, port: 0.0.0.0:81 is taken by localhost:81 of [server] "
        "admin"
    ]


def test_a_fault_of_a_file_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[[listen]]\nport = 80\n[[listen]]\nport = "x"\n'
        '[routes."/"]\ntarget = "http://up:1"\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (told,) = caught.value.faults
    assert told.startswith(f"{path}: line 4: [[listen]] number 2, port: expected an")


def test_a_redirect_from_tls_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    table = {"port": 80, "https_redirect": True, **authority.server}
    assert faults([table]) == [
        "c: [[listen]] number 1, https_redirect: this listener has tls_certificate: "
        "remove one of them"
    ]


def test_in_server_a_redirect_is_told_its_place() -> None:
    assert faults([], https_redirect=True) == [
        "c: [server] https_redirect: unknown key here: https_redirect belongs in "
        "[[listen]]"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"port": 0}, {"port": 0}, id="any free port"),
        pytest.param({"port": 80}, {"port": 81}, id="two ports"),
        pytest.param(
            {"host": "127.0.0.1", "port": 80}, {"host": "::1", "port": 80}, id="two"
        ),
        pytest.param(
            {"host": "0.0.0.0", "port": 80}, {"host": "::1", "port": 80}, id="families"
        ),
    ],
)
def test_listeners_at_different_addresses_are_taken(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assert len(built([one, other]).listen) == 2


def test_a_target_at_any_listener_is_a_loop() -> None:
    document = {
        "listen": [{"port": 81}],
        "routes": {"a.example/": {"target": "http://127.0.0.1:81"}},
    }
    with pytest.raises(ConfigError) as caught:
        build(Reader("c", {}), document, {})
    assert caught.value.faults == [
        'c: [routes."a.example/"] target: http://127.0.0.1:81 is the address of the '
        "proxy itself ([[listen]] number 1 host and port), so requests would go in a "
        "circle: write the address of the upstream, or another [[listen]] number 1 port"
    ]


def test_check_shows_each_of_them() -> None:
    lines = report(built([{"port": 80}])).splitlines()
    begin = lines.index("[[listen]] number 1")
    assert [line.split()[:3] for line in lines[begin + 1 : begin + 3]] == [
        ["host", '"127.0.0.1"', "default"],
        ["port", "80", "c"],
    ]


def test_changes_are_told_by_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    before = built([{"port": 80}, {"port": 81}, {"port": 82, **authority.server}])
    after = built([{"port": 80, "http2_cleartext": True}, {"port": 83}, {"port": 82}])
    assert changes(before, after) == (
        "[[listen]] 127.0.0.1:80 changed (http2_cleartext); "
        "[[listen]] 127.0.0.1:81 removed; "
        "[[listen]] 127.0.0.1:82 changed (tls_certificate, tls_key); "
        "[[listen]] 127.0.0.1:83 added"
    )
    assert files_of(before)[-2:] == [*map(str, authority.server.values())]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(
            built([{"port": 80}], port=1),
            built([{"port": 1}], port=2),
            "1 goes from one to the other",
            id="from server",
        ),
        pytest.param(
            built([{"port": 80}], port=1),
            built([], port=80),
            "80 goes from one to the other",
            id="to server",
        ),
        pytest.param(
            built([{"port": 80}], port=1, workers=2),
            built([{"port": 81}], port=1, workers=2),
            "with several workers",
            id="workers",
        ),
    ],
)
def test_what_no_reload_can_move_requires_a_restart(
    before: Config, after: Config, told: str
) -> None:
    refusal = asks_for_restart(before, after)
    assert told in refusal
    assert "requires a restart" in refusal or "require a restart" in refusal


def test_all_that_requires_a_restart_is_told_in_one_line() -> None:
    before = built([{"port": 80}], port=1, workers=2, admin="127.0.0.1:2")
    after = built([{"port": 1}], port=80, workers=3, admin="127.0.0.1:3")
    assert asks_for_restart(before, after) == (
        "[server] workers: 3 instead of 2 requires a restart; "
        "[server] admin: another value requires a restart; "
        "[[listen]]: other addresses require a restart with several workers; "
        "[server] port, [[listen]] port: 1 goes from one to the other, which requires "
        "a restart; "
        "[server] port, [[listen]] port: 80 goes from one to the other, which requires "
        "a restart"
    )


def test_a_reload_may_change_all_but_addresses_of_workers() -> None:
    before = built([{"port": 80}], port=1, workers=2)
    after = built([{"port": 80, "http2_cleartext": True}], port=3, workers=2)
    assert asks_for_restart(before, after) == ""
