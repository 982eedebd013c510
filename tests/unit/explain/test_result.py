"""What is told of a request. That it is what happens: tests/wire/test_explained.py."""

from __future__ import annotations

import pytest

from proxy.tools.explain.result import Limit
from proxy.tools.explain.text import render_text
from tests.unit.explain.conftest import Explain

ROUTE = '[routes."/a"]\ntarget = "http://one:81/base"\n'
REWRITE = 'path_rewrite = { "^/x" = "", "^/a" = "/b" }\n'


def fields(told: object) -> dict[str, tuple[str, str]]:
    [sent] = told.sent  # type: ignore[attr-defined]
    return {each.name: (each.value, each.origin) for each in sent.fields}


def test_the_url_is_the_targets_path_and_the_rewritten_one(account: Explain) -> None:
    told = account(ROUTE + REWRITE, "GET", "/a/c?d")
    [sent] = told.sent
    assert (sent.target, sent.url) == ("http://one:81/base", "http://one:81/base/b/c?d")
    assert sent.line == "GET /base/b/c?d HTTP/1.1"
    assert told.path_rewrite is not None
    assert told.path_rewrite.value == {"^/a": "/b"}
    assert told.path_rewrite.source.endswith("config.toml")


def test_without_a_rule_that_matches_none_is_named(account: Explain) -> None:
    told = account(ROUTE + 'path_rewrite = { "^/x" = "" }', "GET", "/a")
    assert told.path_rewrite is None
    assert told.sent[0].url == "http://one:81/base/a"


def test_each_target_has_its_request_in_the_order_of_the_file(
    account: Explain,
) -> None:
    targets = 'target = ["http://one/1", "http://two", "unix:/run/three.sock"]'
    told = account(f'[routes."/"]\nchange_origin = true\n{targets}', "GET", "/x")
    assert [(each.target, each.url) for each in told.sent] == [
        ("http://one/1", "http://one/1/x"),
        ("http://two", "http://two/x"),
        ("unix:/run/three.sock", "http://localhost/x"),
    ]
    hosts = [each.fields[0].value for each in told.sent]
    assert hosts == ["one", "two", "localhost"]


def test_the_destination_of_a_move_is_told_without_a_secret(account: Explain) -> None:
    given = ("-HHost: front", "-HDestination: http://front/a/c")
    options = "change_origin = true\n" + REWRITE
    told = account(ROUTE + options, "MOVE", "/a/b", *given)
    value, origin = fields(told)["Destination"]
    assert value == "http://one:81/base/b/c"
    assert origin.startswith("rewritten for the target")
    rule = 'path_rewrite = { "^/a" = "/${KEY}" }\n'
    for text in (ROUTE + rule, ROUTE.replace("base", "${KEY}")):
        told = account(text, "MOVE", "/a/b", *given, KEY="hidden")
        assert fields(told)["Destination"][0] == "****"


def test_each_field_says_where_it_is_from(account: Explain) -> None:
    text = ROUTE + (
        "change_origin = true\nrewrite_origin = true\n"
        'headers.request = { set = { X-Tenant = "blue" }, remove = ["X-Gone"] }\n'
    )
    given = ["Accept: text/html", "Origin: http://front", "x-tenant: red",
             "X_Gone: 1", "TE: gzip", "Connection: X-Mine", "X-Mine: 1",
             "Forwarded: for=a", "X-Forwarded-For: b"]  # fmt: skip
    told = account(text, "GET", "/a", *(f"-H{each}" for each in given))
    origins = {name: origin.split(",")[0] for name, (_, origin) in fields(told).items()}
    assert origins == {
        "Host": "change_origin",
        "Accept": "unchanged",
        "Origin": "rewrite_origin",
        "Accept-Encoding": "added",
        "X-Forwarded-For": "replaced",
        "X-Forwarded-Proto": "added",
        "X-Forwarded-Host": "added",
        "X-Forwarded-Port": "added",
        "Via": "added",
        "X-Request-Id": "added",
        "X-Tenant": "headers.request.set",
    }
    left_out = {each.name: each.reason for each in told.sent[0].left_out}
    assert left_out.pop("X_Gone").startswith("headers.request.remove, ")
    assert left_out == {
        "TE": "hop-by-hop field",
        "Connection": "hop-by-hop field",
        "X-Mine": "listed in Connection",
        "Forwarded": "never forwarded",
    }


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        pytest.param("Authorization", "Bearer s3cret", "Bearer ****", id="scheme"),
        pytest.param("authorization", "s3cret more", "****", id="no known scheme"),
        pytest.param("Cookie", "a=s3cret", "****", id="cookie"),
        pytest.param("X-Api-Key", "s3cret", "****", id="key"),
        pytest.param("x-goog-api-key", "s3cret", "****", id="key of a provider"),
        pytest.param("X-Auth-Token", "s3cret", "****", id="token"),
        pytest.param("Accept", "a/b", "a/b", id="no secret"),
    ],
)
def test_secrets_of_the_client_are_masked(
    account: Explain, name: str, value: str, shown: str
) -> None:
    told = account(ROUTE, "GET", "/a", "-H", f"{name}: {value}")
    assert fields(told)[name] == (shown, "unchanged")
    assert "s3cret" not in repr(told)


def test_what_a_route_sets_is_masked_wherever_it_came_from(account: Explain) -> None:
    text = ROUTE + (
        'headers.request.set = { Authorization = "Bearer ${KEY}", X-Plain = "s3cret" }'
    )
    told = account(text, "GET", "/a", KEY="s3cret")
    value, origin = fields(told)["Authorization"]
    assert value == "Bearer ****"
    assert origin.endswith("config.toml, ${KEY}")
    assert fields(told)["X-Plain"][0] == "****"
    assert "s3cret" not in repr(told)


def test_a_query_from_the_environment_is_masked(account: Explain) -> None:
    text = ROUTE + 'path_rewrite = { "^/a$" = "/v1?key=${KEY}" }'
    told = account(text, "GET", "/a", KEY="s3cret")
    assert told.sent[0].url == "http://one:81/base/v1?****"
    assert "s3cret" not in repr(told)


@pytest.mark.parametrize(
    "target",
    [
        "/_unbuffered/?token=s3cret-of-the-inspector",
        "/_unbuffered/x?a=b&token=s3cret-of-the-inspector",
        "/_unbuffered/streams/0-1?token=s3cret-of-the-inspector",
        "/b/_unbuffered/?token=s3cret-of-the-inspector",
        "/x?api_key=s3cret-of-the-inspector",
    ],
)
def test_credentials_in_an_address_are_masked(account: Explain, target: str) -> None:
    text = (
        '[inspector]\ntoken = "s3cret-of-the-inspector"\n' + ROUTE + "resume = true\n"
    )
    told = account(text, "GET", target)
    assert told.path == target.replace("s3cret-of-the-inspector", "****")
    assert "s3cret" not in repr(told)
    assert account(text, "GET", "/a?b=c").sent[0].url == "http://one:81/base/a?b=c"


BEATS = f"{ROUTE}heartbeat_seconds = 15\n"
EARLY = f"{BEATS}heartbeat_before_head = true\n"


@pytest.mark.parametrize(
    ("text", "request_", "sent", "reason"),
    [
        pytest.param(ROUTE, ["GET", "/a"], False,
                     "none (heartbeat_seconds = 0, default)", id="off"),
        pytest.param(BEATS, ["HEAD", "/a"], False, "HEAD has no body", id="HEAD"),
        pytest.param(BEATS, ["GET", "/a"], True, "after each 15 s of silence",
                     id="on"),
        pytest.param(BEATS, ["GET", "/a"], True, "can be decoded", id="decoded"),
        pytest.param(BEATS + 'decode = "never"\n', ["GET", "/a"], True,
                     "is not compressed", id="not decoded"),
        pytest.param(EARLY, ["GET", "/a"], True,
                     "not before it: it does not ask for an event stream",
                     id="not asked for"),
        pytest.param(EARLY, ["POST", "/a", "-H", "Accept: text/event-stream"], True,
                     "and before it, as 200 (heartbeat_before_head = true, ",
                     id="before the head"),
        pytest.param(EARLY, ["POST", "/a", "-H", "Content-Type: application/json"],
                     True, 'as 200, if the body has "stream": true (heartbeat_before',
                     id="before the head, if the body says so"),
        pytest.param(BEATS + "ws = true\n",
                     ["GET", "/a", "-H", "Upgrade: websocket"], True,
                     "does not accept the upgrade", id="upgrade"),
    ],
)  # fmt: skip
def test_it_is_told_whether_there_are_heartbeats(
    account: Explain, text: str, request_: list[str], sent: bool, reason: str
) -> None:
    method, path, *fields = request_
    told = account(text, method, path, *fields)
    assert told.heartbeats is not None
    assert told.heartbeats.sent is sent
    assert reason in told.heartbeats.reason
    keys = {each.key for each in told.limits}
    assert not any(key.startswith("heartbeat_") for key in keys)


def test_limits_are_told_with_their_sources(account: Explain) -> None:
    text = (
        "[server]\nmax_fields = 9\n[defaults]\nidle_timeout_seconds = 5\n"
        f'{ROUTE}connect_timeout_seconds = "${{T}}"\n'
    )
    found = {each.key: each for each in account(text, "GET", "/a", T="3").limits}
    sources = {
        key: each.source.rpartition("config.toml")[2] for key, each in found.items()
    }
    assert sources["connect_timeout_seconds"] == ", ${T}"
    assert sources["idle_timeout_seconds"] == " [defaults]"
    assert sources["first_byte_timeout_seconds"] == "default"
    assert found["max_fields"].value == 9
    assert found["connect_timeout_seconds"] == Limit(
        'routes."/a"', "connect_timeout_seconds", 3.0,
        found["connect_timeout_seconds"].source, 10.0,
    )  # fmt: skip


def test_limits_of_a_stream_that_is_kept_stand_with_those_of_its_route(
    account: Explain,
) -> None:
    text = f"[defaults]\nresume.max_bytes = 2048\n{ROUTE}"
    limits = account(text, "GET", "/a").limits
    found = {each.key: each for each in limits if each.key.startswith("resume.")}
    assert {key: each.value for key, each in found.items()} == {
        "resume.keep_seconds": 60,
        "resume.max_bytes": 2048,
    }
    assert found["resume.max_bytes"].source.endswith("config.toml [defaults]")
    assert found["resume.keep_seconds"].source == "default"
    tables = [*dict.fromkeys(each.table for each in limits)]
    assert tables == ['routes."/a"', "server"]


@pytest.mark.parametrize(
    ("ws", "header", "tunnelled", "reason"),
    [
        pytest.param("true", ["Upgrade: websocket"], True, "tunnelled if",
                     id="tunnelled"),
        pytest.param("false", ["Upgrade: websocket"], False, "forwarded as plain HTTP",
                     id="not on this route"),
        pytest.param("true", ["Upgrade: h2c"], False, "removed: h2c", id="h2c"),
        pytest.param("true", ["Upgrade: websocket", "Connection: close"], False,
                     "removed: Connection does not list Upgrade", id="not named"),
        pytest.param("true", [], False, "not requested; an upgrade would be "
                                        "tunnelled",
                     id="none, tunnels"),
        pytest.param("false", [], False, "not requested; an upgrade would be forwarded",
                     id="none"),
    ],
)  # fmt: skip
def test_it_is_told_whether_an_upgrade_is_tunnelled(
    account: Explain, ws: str, header: list[str], tunnelled: bool, reason: str
) -> None:
    arguments = [f"-H{each}" for each in header]
    upgrade = account(f"{ROUTE}ws = {ws}", "GET", "/a", *arguments).upgrade
    assert upgrade is not None
    assert upgrade.tunnelled is tunnelled
    assert upgrade.reason.startswith(reason)


def test_an_address_that_is_trusted_counts(account: Explain) -> None:
    text = f'[server]\ntrusted_proxies = ["10.0.0.0/8"]\n{ROUTE}'
    header = ["-H", "X-Forwarded-For: 192.0.2.1"]
    trusted = account(text, "GET", "/a", "--client", "10.1.2.3", *header)
    assert fields(trusted)["X-Forwarded-For"][0] == "192.0.2.1, 10.1.2.3"
    other = account(text, "GET", "/a", "--client", "::1", *header)
    assert fields(other)["X-Forwarded-For"][0] == "::1"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(["GET", "/b"], 404, "no route for '/b'; configured: /a", id="404"),
        pytest.param(["GET", "/a/../b"], 400,
                     "dot segments of '/a/../b' leave the prefix of the route",
                     id="dots"),
        pytest.param(["CONNECT", "/a"], 501,
                     "CONNECT is not supported: this is a reverse proxy, not a "
                     "forward proxy",
                     id="CONNECT"),
        pytest.param(["POST", "/a", "-HContent-Length: 11"], 413,
                     "request body of more than 10 bytes (max_body_bytes)", id="413"),
        pytest.param(["GET", "/a?" + 40 * "x"], 414,
                     "request target of more than 30 bytes (max_target_bytes)",
                     id="414"),
        pytest.param(["GET", "/a", "-HContent-Length: x"], 400,
                     "invalid Content-Length 'x'", id="framing"),
        pytest.param(["GET", "/a", "-HHost: a b"], 400,
                     "invalid or repeated Host 'a b'", id="Host"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_in_the_words_of_the_answer(
    account: Explain, arguments: list[str], status: int, message: str
) -> None:
    text = f"[server]\nmax_target_bytes = 30\n{ROUTE}max_body_bytes = 10\n"
    told = account(text, *arguments)
    assert told.refused is not None
    assert (told.refused["status"], told.refused["message"]) == (status, message)
    assert told.sent == []


def test_a_variable_in_the_path_of_a_target_is_told_by_name(account: Explain) -> None:
    text = '[routes."/a"]\ntarget = "http://one/bot${KEY}"\n'
    told = account(text, "GET", "/a/c", KEY="hunter2")
    [sent] = told.sent
    assert sent.line == "GET /bot${KEY}/a/c HTTP/1.1"
    assert sent.url == "http://one/bot${KEY}/a/c"
    assert "hunter2" not in repr(told)


def test_options_whose_last_hop_is_here_goes_to_no_route(account: Explain) -> None:
    """RFC 9110 §7.6.2."""
    told = account(ROUTE, "OPTIONS", "/a", "-H", "Max-Forwards: 0")
    assert told.own is not None
    assert told.own.answered
    assert (told.sent, told.routes, told.refused) == ([], [], None)
    assert "answered by the proxy itself: OPTIONS with Max-Forwards: 0" in render_text(
        told
    )
    assert account(ROUTE, "OPTIONS", "/a", "-H", "Max-Forwards: 1").sent


def test_trace_whose_last_hop_is_here_is_refused(account: Explain) -> None:
    told = account(ROUTE, "TRACE", "/a", "-H", "Max-Forwards: 0")
    assert told.refused is not None
    assert told.refused["status"] == 405
    assert told.sent == []


def test_faults_are_told_where_there_are_any(account: Explain) -> None:
    text = """
        [server]
        allow_faults = true
        [routes."/x"]
        target = "http://a"
        fault = [{ kind = "fin", after = 3 }, { kind = "late_head", seconds = 2 }]
        [routes."/"]
        target = "http://a"
    """
    told = account(text, "GET", "/x")
    assert told.faults == ["fin after 3 events", "late_head by 2 s"]
    assert "\nfaults, on purpose\n  fin after 3 events\n" in render_text(told)
    assert "\nfaults" not in render_text(account(text, "GET", "/y"))
