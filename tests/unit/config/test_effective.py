from __future__ import annotations

import pytest

from proxy.config.effective import report, route_table
from proxy.config.load import from_routes
from proxy.config.model import LogOptions, ServerOptions
from proxy.config.route import Route
from tests.unit.config.conftest import Load

TEXT = """
[server]
port = "${PORT:-8080}"

[inspector]
token = "${TOKEN}"

[metrics]
token = "hunter2-of-the-metrics"

[defaults]
idle_timeout_seconds = 0.25

[routes."/llm"]
target = "https://api.example.com/v1"
change_origin = true
path_rewrite = { '^/(llm)/v\\d' = "/$1", "^/x" = "" }
headers.request.set = { Authorization = "Bearer ${KEY}", X-Tenant = "hunter2" }
headers.request.remove = ["Cookie"]
headers.response.remove = ["${FIELD}", "Server"]
"""
ENVIRON = {
    "KEY": "hunter2",
    "FIELD": "X-hunter2",
    "TOKEN": "hunter2-of-the-inspector",
}

REPORT = """\
[server]
  host                                 "127.0.0.1"                   --host
  port                                 8080                          config.toml, ${PORT} (default)
  admin                                ""                            default
  workers                              1                             default
  trusted_proxies                      []                            default
  request_id                           true                          default
  error_detail                         "loopback"                    default
  head_timeout_seconds                 30                            default
  body_timeout_seconds                 60                            default
  keepalive_timeout_seconds            75                            default
  write_timeout_seconds                0                             default
  max_head_bytes                       65536                         default
  max_target_bytes                     16384                         default
  max_fields                           200                           default
  max_connections                      0                             default
  max_exchanges                        0                             default
  drain_delay_seconds                  0                             default
  drain_seconds                        10                            default
  tls_certificate                      ""                            default
  tls_key                              ""                            default
  http2                                true                          default
  http2_cleartext                      false                         default
  http2_max_streams                    250                           default
  http2_max_resets_per_second          100                           default
  http2_max_control_frames_per_second  200                           default
  allow_faults                         false                         default
  fault_seed                           0                             default

[log]
  format                               "text"                        default
  access                               true                          default
  warnings                             true                          default

[inspector]
  enabled                              "loopback"                    default
  bodies                               true                          default
  token                                ****                          config.toml, ${TOKEN}
  record                               "auto"                        default
  record_bytes                         16777216                      default

[metrics]
  enabled                              "loopback"                    default
  token                                ****                          config.toml

[tracing]
  enabled                              false                         default

[store]
  url                                  ""                            default
  key                                  ""                            default
  prefix                               "unbuffered"                  default
  max_bytes                            268435456                     default

[routes."/llm"]
  target                               "https://api.example.com/v1"  config.toml
  path_rewrite."^/(llm)/v\\\\d"          "/$1"                         config.toml
  path_rewrite."^/x"                   ""                            config.toml
  ws                                   false                         default
  change_origin                        true                          config.toml
  decode                               "streams"                     default
  accept_encoding                      "identity"                    default
  trust_forwarded                      false                         default
  rewrite_origin                       false                         default
  redirect_rewrite                     same as change_origin         default
  cookie_domain_rewrite                {}                            default
  cookie_path_rewrite                  {}                            default
  cookie_secure                        "keep"                        default
  headers.request.set.Authorization    ****                          config.toml, ${KEY}
  headers.request.set.X-Tenant         ****                          config.toml
  headers.request.remove               ["Cookie"]                    config.toml
  headers.response.set                 {}                            default
  headers.response.remove              ****                          config.toml, ${FIELD}; config.toml
  verify                               true                          default
  ca_file                              ""                            default
  balance                              "least_open"                  default
  health_path                          ""                            default
  health_interval_seconds              10                            default
  health_timeout_seconds               2                             default
  unhealthy_after                      3                             default
  healthy_after                        2                             default
  connect_timeout_seconds              10                            default
  connect_retry_seconds                0                             default
  first_byte_timeout_seconds           600                           default
  idle_timeout_seconds                 0.25                          config.toml [defaults]
  stall_warning_seconds                0                             default
  server_timing                        false                         default
  max_duration_seconds                 0                             default
  max_age_seconds                      0                             default
  max_streams_per_client               0                             default
  client_by                            "address"                     default
  heartbeat_seconds                    0                             default
  heartbeat_padding_bytes              0                             default
  heartbeat_before_head                false                         default
  on_upstream_failure                  "abort"                       default
  on_client_leave                      "close"                       default
  finish_seconds                       60                            default
  max_finish_bytes                     67108864                      default
  max_finishing                        100                           default
  resume                               false                         default
  share                                false                         default
  upstream_keepalive_seconds           4                             default
  max_body_bytes                       0                             default
  max_buffer_bytes                     65536                         default
  max_decoding_ratio                   1000                          default
  max_response_head_bytes              262144                        default
  upstream_parsing                     "strict"                      default
  max_interim_per_second               20                            default
  fault                                []                            default"""  # noqa: E501


def test_every_key_is_told_with_its_value_and_source(read: Load) -> None:
    assert report(read(TEXT, ENVIRON, {"server.host": "127.0.0.1"})) == REPORT


def test_no_key_of_the_model_is_left_out(read: Load) -> None:
    text = report(read(TEXT, ENVIRON))
    fields = [
        name
        for table in (ServerOptions, LogOptions, Route)
        for name in table.__struct_encode_fields__
        if name != "prefix"
    ]
    words = {line.split()[0].partition(".")[0] for line in text.splitlines() if line}
    assert [name for name in fields if name not in words] == []


def test_secrets_are_never_told(read: Load) -> None:
    config = read(TEXT, ENVIRON)
    assert config.routes["/llm"].headers.request.set["X-Tenant"] == "hunter2"
    assert "hunter2" not in report(config)
    assert "hunter2" not in route_table(config)


def test_secrets_do_not_show_in_a_representation(read: Load) -> None:
    """It is what a traceback or a careless log line would tell."""
    rules = read(TEXT, ENVIRON).routes["/llm"].headers.request
    assert repr(rules) == (
        "FieldRules(set={'Authorization': '****', 'X-Tenant': '****'}, "
        "remove=['Cookie'])"
    )


def test_a_token_does_not_show_in_a_representation_of_all(read: Load) -> None:
    config = read(TEXT, ENVIRON)
    assert config.inspector.token == "hunter2-of-the-inspector"
    assert config.metrics.token == "hunter2-of-the-metrics"
    assert "hunter2-of-" not in repr(config)
    assert repr(config).count("token='****'") == 2


@pytest.mark.parametrize("token", ["", "auto"])
def test_whether_there_is_a_token_is_told(read: Load, token: str) -> None:
    route = '[routes."/"]\ntarget = "http://a"\n'
    config = read(f'{route}[inspector]\ntoken = "{token}"\n')
    (line,) = (
        line
        for line in report(config).splitlines()
        if "config.toml" in line and "token" in line
    )
    assert line.split()[:2] == ["token", f'"{token}"']
    assert f"token='{token}'" in repr(config)


def test_what_a_terminal_would_obey_is_told_in_escapes(read: Load) -> None:
    text = '[routes."/a"]\ntarget = "unix:/\\u202e\\u009b"\n'
    assert "unix:/\\u202e\\u009b" in report(read(text))


def test_the_route_table_is_aligned(read: Load) -> None:
    text = """
        [routes."/llm"]
        target = "https://api.example.com/v1"
        change_origin = true
        ws = true
        path_rewrite = { '^/llm/(\\d)' = "/$1", "^/llm" = "" }
        [routes."/"]
        target = "unix:/run/page.sock"
    """
    assert route_table(read(text)).splitlines() == [
        "route  target                      path_rewrite                    flags",
        '/llm   https://api.example.com/v1  ^/llm/(\\d) -> /$1, ^/llm -> ""  '
        "ws change_origin",
        "/      unix:/run/page.sock         -                               -",
    ]


def test_the_route_table_of_routes_without_a_file() -> None:
    config = from_routes({"/sse": "http://localhost:8002"})
    assert route_table(config).splitlines() == [
        "route  target                 path_rewrite  flags",
        '/sse   http://localhost:8002  ^/sse -> ""   ws change_origin',
    ]


SECRETS = """
    [routes."/a"]
    target = ["https://api.example/bot${KEY}/x", "https://${HOST}/y"]
    path_rewrite = { "^/a" = "/b?key=${KEY}" }
"""


def test_variables_in_a_path_are_told_by_name_and_those_of_a_query_are_masked(
    read: Load,
) -> None:
    config = read(SECRETS, {"KEY": "hunter2", "HOST": "two.example"})
    first, second = config.routes["/a"].targets
    assert first.path == b"/bothunter2/x"
    assert str(first) == "https://api.example/bot${KEY}/x"
    assert str(second) == "https://two.example/y"
    for told in (report(config), route_table(config)):
        assert "hunter2" not in told
        assert "https://api.example/bot${KEY}/x" in told
        assert "/b?****" in told
