from __future__ import annotations

import json

import pytest

from proxy.tools.explain.command import path_or_url
from tests.unit.explain.conftest import Explain, Run

ROUTE = '[routes."/a"]\ntarget = "http://one"\n'


def test_a_route_that_takes_it_is_exit_status_0(run: Run) -> None:
    status, output, errors = run(ROUTE, "GET", "/a")
    assert (status, errors) == (0, "")
    assert "matches: the only matching prefix" in output
    assert output.endswith(" Nothing was sent.\n")
    assert "\x1b" not in output  # it is no terminal


def test_what_is_refused_is_exit_status_1(run: Run) -> None:
    status, output, errors = run(ROUTE, "GET", "/b")
    assert (status, errors) == (1, "")
    assert "refused with 404\n  no route for '/b'; configured: /a" in output


def test_a_program_gets_one_object(run: Run) -> None:
    status, output, _ = run(ROUTE, "GET", "/a", "--json")
    told = json.loads(output)
    assert (status, told["route"], told["refused"]) == (0, "/a", None)
    assert told["sent"][0]["fields"][0] == {
        "name": "Host",
        "value": "127.0.0.1:8080",
        "origin": "unchanged",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["GET", "a"], "begins with /", id="no path"),
        pytest.param(["GET", "ftp://a/b"], "begins with /", id="no URL of HTTP"),
        pytest.param(["G T", "/a"], "is not a valid method", id="no method"),
        pytest.param(["GET", "/a", "-H", "s3cret"], "write 'Name: value'", id="field"),
        pytest.param(["GET", "/a", "-H", "A: b\r\nC: d"], "write 'Name: value'",
                     id="two fields in one"),
        pytest.param(["GET", "/a", "--client", "me"], "not a valid IP address",
                     id="client"),
        pytest.param(["GET"], "required: PATH", id="no path at all"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_exit_status_2(
    run: Run, arguments: list[str], message: str
) -> None:
    status, output, errors = run(ROUTE, *arguments)
    assert (status, output) == (2, "")
    assert message in errors
    assert "s3cret" not in errors


def test_a_wrong_configuration_is_exit_status_2(run: Run) -> None:
    status, output, errors = run("[routes]", "GET", "/a")
    assert (status, output) == (2, "")
    assert errors.startswith(
        "unbuffered: config.toml: line 1: [routes]: there are no routes: "
    )


@pytest.mark.parametrize(
    ("text", "scheme", "authority", "target"),
    [
        pytest.param("/a?b#c", "", "", "/a?b", id="path and fragment"),
        pytest.param("*", "", "", "*", id="the server as a whole"),
        pytest.param("/你 x", "", "", "/%E4%BD%A0%20x", id="percent-encoded"),
        pytest.param("/%2e%2E//./..", "", "", "/%2e%2E//./..", id="bytes stay"),
        pytest.param("//a/b", "", "", "//a/b", id="two slashes are a path"),
        pytest.param("/x?u=http://a/", "", "", "/x?u=http://a/", id="URL in a query"),
        pytest.param("HTTPS://u:p@A:1/b/..", "https", "A:1", "/b/..", id="URL"),
        pytest.param("ws://[::1]?x", "ws", "[::1]", "/?x", id="no path"),
        pytest.param("http://a", "http", "a", "/", id="host alone"),
    ],
)
def test_a_path_and_a_url_are_taken_as_a_client_sends_them(
    text: str, scheme: str, authority: str, target: str
) -> None:
    assert path_or_url(text) == (scheme, authority, target)


def test_a_url_says_by_which_scheme_and_for_which_host(account: Explain) -> None:
    told = account(ROUTE, "get", "https://front:1/a", "--client", "192.0.2.1")
    assert (told.method, told.host, told.scheme) == ("GET", "front:1", "https")
    sent = {each.name: each.value for each in told.sent[0].fields}
    assert sent["X-Forwarded-Proto"] == "https"
    assert sent["X-Forwarded-For"] == "192.0.2.1"
    assert sent["Host"] == "front:1"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        pytest.param(
            ["/_unbuffered/feed", "-H", "Connection: keep-alive"],
            0,
            "answered by the proxy itself: the exchanges of the proxy\n  "
            '[inspector] enabled = "loopback", default\n  to clients on this machine',
            id="answered",
        ),
        pytest.param(
            ["/_unbuffered/feed"],
            1,
            "refused with 403\n  this request may come from another machine",
            id="refused",
        ),
        pytest.param(
            ["/_unbuffered/metrics", "--client", "192.0.2.1"],
            1,
            "not answered by the proxy itself: this client has no access, so it "
            'needs a route\n  [metrics] enabled = "loopback", default\n',
            id="the way of all requests",
        ),
    ],
)
def test_what_the_proxy_answers_itself_goes_to_no_upstream(
    run: Run, arguments: list[str], status: int, told: str
) -> None:
    found, output, _ = run(ROUTE, "GET", *arguments)
    assert found == status
    assert told in output


def test_that_a_token_is_needed_is_told_and_the_token_is_not(run: Run) -> None:
    text = f'[inspector]\ntoken = "hunter2-hunter2-hunter2"\n{ROUTE}'
    given = "Authorization: Bearer hunter2-hunter2-hunter2"
    for arguments, status, told in (
        ([], 1, "refused with 401\n  this needs the token of the inspector"),
        (["-H", given], 0, "to everyone who has the token ([inspector] token)"),
        (["-H", f"{given}x"], 1, "refused with 401\n  wrong token"),
    ):
        found, output, errors = run(text, "GET", "/_unbuffered/feed", *arguments)
        assert found == status
        assert told in output
        assert "hunter2" not in output + errors


@pytest.mark.parametrize("given", ["10.1.2.3", "::ffff:10.1.2.3", "::FFFF:a01:203"])
def test_a_client_by_ipv4_is_called_what_the_proxy_calls_it(
    account: Explain, given: str
) -> None:
    assert account(ROUTE, "GET", "/a", "--client", given).client == "10.1.2.3"


@pytest.mark.parametrize(
    ("listened", "asked"),
    [
        ("::", "localhost"),
        ("0:0:0:0:0:0:0:0", "localhost"),
        ("0.0.0.0", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "[::1]"),
        ("box", "box"),
    ],
)
def test_without_a_host_it_is_that_of_a_client_on_this_machine(
    account: Explain, listened: str, asked: str
) -> None:
    text = f'[server]\nhost = "{listened}"\nport = 8080\n{ROUTE}'
    assert account(text, "GET", "/a").host == f"{asked}:8080"
