"""Products are recognised, and each has a cure."""

from __future__ import annotations

import pytest

from proxy.products.fastcgi import PHP_BUFFERS
from proxy.products.pings import COMMENTS, FRAMES, often_enough
from proxy.products.product import Cure
from proxy.products.product_table import (
    CURES,
    NAMES,
    PRODUCTS,
    cures_for,
    cures_for_websocket,
)
from proxy.tools.doctor.products import recognise
from proxy.tools.doctor.result import judge_one
from proxy.tools.doctor.verdict import HOLDS, Kind, Verdict
from tests.unit.doctor.recordings import recorded, trace

HELD = Verdict(Kind.AT_THE_END, "held")


@pytest.mark.parametrize(
    ("fields", "product"),
    [
        pytest.param({"Server": "nginx/1.27"}, "nginx", id="nginx"),
        pytest.param({"Server": "openresty"}, "nginx", id="openresty"),
        pytest.param({"Strict-Transport-Security": "max-age=15724800; x"},
                     "ingress-nginx", id="ingress-nginx"),
        pytest.param({"Server": "Apache/2.4.62"}, "apache", id="apache"),
        pytest.param({"Via": "1.1 Caddy"}, "caddy", id="caddy by via"),
        pytest.param({"server": "istio-envoy"}, "envoy", id="istio"),
        pytest.param({"x-envoy-upstream-service-time": "3"}, "envoy", id="envoy"),
        pytest.param({"CF-RAY": "8f-FRA"}, "cloudflare", id="cloudflare"),
        pytest.param({"Apigw-Requestid": "x="}, "aws-api-gateway", id="api gateway"),
        pytest.param({"Set-Cookie": "AWSALB=x"}, "aws-alb", id="alb"),
        pytest.param({"Server": "Microsoft-IIS/10.0"}, "iis", id="iis"),
        pytest.param({"X-Powered-By": "Next.js"}, "next", id="next"),
        pytest.param({"X-Powered-By": "Express", "Content-Encoding": "gzip"},
                     "express", id="express"),
        pytest.param({"server": "uvicorn"}, "uvicorn", id="uvicorn"),
        pytest.param({"Server": "gunicorn"}, "gunicorn", id="gunicorn"),
        pytest.param({"Server": "lighttpd/1.4.69"}, "lighttpd", id="lighttpd"),
        pytest.param({"Via": "1.1 varnish (Varnish/7.1)"}, "varnish", id="varnish"),
        pytest.param({"Via": "1.1 localhost (squid/5.7)"}, "squid", id="squid"),
        pytest.param({"Server": "h2o/2.2.5"}, "h2o", id="h2o"),
        pytest.param({"Server": "nghttpx"}, "nghttpx", id="nghttpx"),
        pytest.param({"Via": "1.1 nghttpx"}, "nghttpx", id="nghttpx by via"),
        pytest.param({"Server": "ATS/9.2.5"}, "traffic-server", id="ats"),
        pytest.param({"Server": "mitmproxy 8.1"}, "mitmproxy", id="mitmproxy"),
        pytest.param({"Server": "waitress"}, "waitress", id="waitress"),
        pytest.param({"Server": "granian"}, "granian", id="granian"),
        pytest.param({"Server": "TornadoServer/6.6"}, "tornado", id="tornado"),
        pytest.param({"Server": "Python/3.11 aiohttp/3.14"}, "aiohttp", id="aiohttp"),
        pytest.param({"Server": "Werkzeug/3.1 Python/3.11"}, "flask", id="werkzeug"),
        pytest.param({"X-Runtime": "0.01"}, "rack", id="rails"),
        pytest.param({"X-Powered-By": "PHP/8.2"}, "php", id="php"),
        pytest.param({"Server": "WSGIServer/0.2 CPython/3.12"}, "django", id="django"),
    ],
)  # fmt: skip
def test_a_product_is_recognised_by_a_field(
    fields: dict[str, str], product: str
) -> None:
    recording = recorded((1.0, b"x"), fields=tuple(fields.items()))
    assert [sign.product for sign in recognise(recording, HELD)] == [product]


def test_a_field_that_the_next_hop_has_too_is_not_this_hops() -> None:
    recording = recorded((1.0, b"x"), fields=(("server", "uvicorn"),))
    assert recognise(recording, HELD, behind=recording) == ()


def test_a_proxy_that_the_next_hop_names_too_may_be_there_twice() -> None:
    recording = recorded((1.0, b"x"), fields=(("server", "nginx"),))
    [sign] = recognise(recording, HELD, behind=recording)
    assert (sign.product, sign.guess) == ("nginx", True)


def test_who_sends_no_field_is_guessed_by_the_fingerprint() -> None:
    verdict = Verdict(Kind.DELAYED, "late", timer=0.21)
    [sign] = recognise(trace("haproxy-late"), verdict)
    assert (sign.product, sign.guess) == ("haproxy", True)


NO_LINES = {"unbuffered", "traffic-server"}


@pytest.mark.parametrize("product", sorted(set(NAMES) - NO_LINES))
def test_every_product_has_a_cure_or_streams_as_it_comes(product: str) -> None:
    found = [cure for cure in CURES if cure.product == product]
    assert found or PRODUCTS[product].passes
    for cure in found:
        assert cure.lines.strip()
        assert cure.where
        assert cure.reason
        assert not cure.reason.endswith(".")


def test_fields_are_a_cure_only_for_those_that_they_free() -> None:
    """For the others they are no line at all, for a stranger a may."""
    assert [each.lines for each in cures_for(("nginx",), Kind.BLOCKS, coded=False)] == [
        "proxy_buffering off;",
        "X-Accel-Buffering: no",
        "fastcgi_buffering off;\nuwsgi_buffering off;\nscgi_buffering off;",
        PHP_BUFFERS.lines,
    ]
    for product in ("lighttpd", "varnish", "mitmproxy"):
        found = cures_for((product,), Kind.AT_THE_END, coded=False)
        assert all(each.measured for each in found)
        assert not any("no-transform" in each.lines for each in found)
    *_, stranger, _ = cures_for((), Kind.AT_THE_END, coded=False)
    assert not stranger.measured
    freed, _, ignoring = stranger.reason.partition(", but not ")
    assert all(each in freed for each in ("nginx", "HAProxy", "Rack (Puma, Rails)"))
    assert all(each in ignoring for each in ("lighttpd", "Varnish", "Tornado"))


def test_what_was_measured_is_printed_before_what_may_help() -> None:
    found = cures_for(("iis", "nginx"), Kind.CUT, coded=False)
    assert [each.product for each in found] == ["nginx", "nginx", "nginx", "iis"]
    found = cures_for(("gunicorn",), Kind.AT_THE_END, coded=False)
    assert [each.measured for each in found] == [True, True, False]


@pytest.mark.parametrize(
    ("product", "kind", "second"),
    [
        ("envoy", Kind.CUT, "common_http_protocol_options of its cluster"),
        ("haproxy", Kind.CUT, "http-request set-timeout"),
        ("lighttpd", Kind.AT_THE_END, "each of its conditions"),
        ("varnish", Kind.CUT, "no other line sets it"),
        ("h2o", Kind.CUT, "in the path of the stream"),
        ("apache", Kind.CUT, "in the VirtualHost of the stream"),
        ("nginx", Kind.BLOCKS, "it has no proxy_ignore_headers"),
        ("nginx-php", Kind.AT_THE_END, "it has no fastcgi_ignore_headers"),
    ],
)
def test_lines_name_the_second_place_that_wins(
    product: str, kind: Kind, second: str
) -> None:
    """Measured: what stands there holds or cuts, whatever stands at the first."""
    found = cures_for((product,), kind, coded=False)
    assert any(second in f"{cure.where}{cure.lines}{cure.when}" for cure in found)


@pytest.mark.parametrize(
    ("product", "whole"), [("varnish", "send_timeout"), ("squid", "client_lifetime")]
)
def test_a_limit_on_silence_is_no_fact_where_one_on_the_whole_cuts_as_well(
    product: str, whole: str
) -> None:
    silent, all_of_it, *_ = cures_for((product,), Kind.CUT, coded=False)
    assert silent.when == "it is cut after a silence"
    assert whole in all_of_it.lines
    assert all_of_it.when == "it is cut some time after the request"
    assert silent.measured
    assert all_of_it.measured


def test_where_nothing_shows_those_are_named_that_never_show() -> None:
    """Each is said with an if; what is measured of it stays so."""
    *named, _, _ = cures_for((), Kind.AT_THE_END, coded=False)
    shown = {"lighttpd", "mitmproxy", "haproxy", "rack", "php"}
    assert {each.product for each in named} == shown
    assert all(each.when.startswith(f"it is {NAMES[each.product]}") for each in named)
    named = cures_for((), Kind.AT_THE_END, coded=True)
    compressors = {"koa-compress", "hono", "fastify-compress", "rack", "next", "php",
                   "express"}  # fmt: skip
    assert {each.product for each in named if each.product} == compressors
    *cut, _ = cures_for((), Kind.CUT, coded=False)
    assert [each.product for each in cut] == ["haproxy", "next", "http-proxy-3"]
    assert cut[0].when == "it is HAProxy"
    assert cures_for(("haproxy",), Kind.CUT, coded=False)[0].when == ""


@pytest.mark.parametrize("product", ["uvicorn", "apache", "nginx", "lighttpd"])
@pytest.mark.parametrize("kind", [Kind.BURSTS, Kind.RHYTHM, Kind.FIRST_LATE])
def test_what_haproxy_does_may_be_haproxys_whatever_name_shows(
    product: str, kind: Kind
) -> None:
    """It adds no field, and passes those of the hop behind it on."""
    found = cures_for((product,), kind, coded=False)
    [cure] = [each for each in found if each.product == "haproxy"]
    assert cure.when == "it is HAProxy"
    assert cure.lines.startswith("option http-no-delay")
    assert ("wait-for-body" in cure.lines) is (kind is Kind.FIRST_LATE)


def test_a_server_whose_middleware_reads_a_whole_body_makes_no_bursts() -> None:
    found = cures_for(("uvicorn",), Kind.BURSTS, coded=False)
    assert {each.product for each in found} == {"haproxy", "rack"}
    sure, *others = cures_for(("haproxy",), Kind.BURSTS, coded=False)
    assert sure.fact
    assert {each.product for each in others} <= {"haproxy"}


@pytest.mark.parametrize("coded", [False, True])
def test_the_lines_for_rack_say_that_puma_corks_its_socket_besides(
    coded: bool,
) -> None:
    found = cures_for(("rack",), Kind.AT_THE_END, coded=coded)
    assert found
    assert all("corks its socket" in each.reason for each in found)
    assert not any(each.fact for each in found)


@pytest.mark.parametrize("kind", [Kind.DELAYED, Kind.RHYTHM])
def test_what_a_clock_of_the_kernel_holds_may_be_puma_as_well(kind: Kind) -> None:
    named = cures_for((), kind, coded=False)
    assert [each.when for each in named if each.product] == [
        "it is HAProxy",
        "it is Rack (Puma, Rails)",
    ]
    assert "TCP_CORK" in named[1].lines


@pytest.mark.parametrize("product", ["", "lighttpd"])
def test_a_head_that_is_late_is_flushed_and_no_field_helps(product: str) -> None:
    cure, *others = cures_for((product,), Kind.HEAD_LATE, coded=False)
    assert [each.where for each in others] == ["the back end"] * 2
    assert "response.flushHeaders()" in cure.lines
    assert cure.when.startswith("it is http-proxy-3")
    assert cure.measured


@pytest.mark.parametrize("product", ["h2o", "mitmproxy", "nginx"])
def test_a_head_goes_with_a_comment_where_that_was_measured(product: str) -> None:
    """nginx holds it by HTTP/2 over TLS, and no line of its own frees it."""
    found = cures_for((product,), Kind.HEAD_LATE, coded=False, event_stream=True)
    [cure] = [each for each in found if each.fact]
    assert cure.lines.startswith(": hello")


@pytest.mark.parametrize("product", ["", "Kestrel", "envoy"])
def test_a_comment_may_take_the_head_along_at_any_other_hop(product: str) -> None:
    *_, cure = cures_for((product,), Kind.HEAD_LATE, coded=False, event_stream=True)
    assert cure.lines.startswith(": hello")
    assert cure.standing == "not measured here"


def test_what_has_no_comments_sends_an_empty_line_with_its_head() -> None:
    [cure] = cures_for(("h2o",), Kind.HEAD_LATE, coded=False, event_stream=False)
    assert "empty line" in cure.lines
    assert (cure.when, cure.fact) == ("the client ignores an empty line", False)
    assert cure.measured
    *_, cure = cures_for(("vite",), Kind.HEAD_LATE, coded=False, event_stream=False)
    assert "empty line" in cure.lines
    assert not cure.measured


def test_what_is_held_to_the_end_may_be_a_program_that_reads_the_whole() -> None:
    """Only there: what reads a whole body sends nothing before its end."""
    *_, last = cures_for((), Kind.AT_THE_END, coded=False)
    assert "for await" in last.lines
    assert not last.measured
    for kind in (Kind.BLOCKS, Kind.FIRST_LATE, Kind.BURSTS):
        assert last not in cures_for((), kind, coded=False)


def test_a_server_that_asks_by_fastcgi_has_lines_for_what_does_not_show() -> None:
    """PHP says its name only where `expose_php` is on."""
    found = cures_for(("apache",), Kind.AT_THE_END, coded=False)
    [flushed] = [each for each in found if "fcgi://" in each.lines]
    assert (flushed.when, flushed.measured) == ("it asks by FastCGI", True)
    found = cures_for(("nginx",), Kind.AT_THE_END, coded=True)
    [asked] = [each for each in found if "ACCEPT_ENCODING" in each.lines]
    assert "zlib.output_compression, not by ob_gzhandler" in asked.when
    assert asked.when.endswith("output_buffering is off")
    [buffers] = [each for each in found if "zlib.output_compression" in each.lines]
    assert (buffers.when, buffers.measured) == ("it has fastcgi_pass to PHP", True)


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("product", ["caddy", "apache", "h2o", ""])
def test_what_is_held_to_the_end_may_be_php_behind_whatever_asks_it(
    product: str, coded: bool
) -> None:
    found = cures_for((product,), Kind.AT_THE_END, coded=coded)
    [php] = [each for each in found if each.lines == PHP_BUFFERS.lines]
    assert "PHP" in php.when
    assert php.measured


@pytest.mark.parametrize("product", ["nginx", "apache"])
def test_where_php_buffers_as_well_both_lines_are_said_to_be_needed(
    product: str,
) -> None:
    found = cures_for((product,), Kind.AT_THE_END, coded=False)
    [of_php] = [each for each in found if each.lines == PHP_BUFFERS.lines]
    assert of_php.reason.endswith("is needed too")
    asking = [each for each in found if "its lines are needed too" in each.reason]
    assert len(asking) == 1


def test_a_filter_that_compresses_does_not_take_the_line_for_fastcgi_away() -> None:
    """mod_deflate passes on what it is given, and FastCGI gives it nothing."""
    found = cures_for(("apache",), Kind.AT_THE_END, coded=True)
    [flushed] = [each for each in found if "fcgi://" in each.lines]
    assert (flushed.when, flushed.measured) == ("it asks by FastCGI", True)


def test_a_short_body_with_a_length_is_held_to_its_end_by_caddy() -> None:
    found = cures_for(("caddy",), Kind.AT_THE_END, coded=False)
    [cure] = [each for each in found if each.lines == "flush_interval -1"]
    assert (cure.when, cure.measured) == ("the back end sends a Content-Length", True)


def test_a_product_that_is_guessed_has_its_cures_with_an_if() -> None:
    found = cures_for((), Kind.AT_THE_END, coded=False, guessed=("nginx",))
    assert found[0].lines == "proxy_buffering off;"
    assert found[0].when == "it is nginx and it has proxy_pass"
    assert (
        found[1].when == "it is nginx and it has fastcgi_pass, uwsgi_pass or scgi_pass"
    )
    sure = cures_for(("caddy",), Kind.AT_THE_END, coded=False, guessed=("nginx",))
    assert [each.product for each in sure][:2] == ["caddy", "caddy"]
    assert all(each.when for each in sure if each.product)


def test_what_is_compressed_by_nobody_knows_whom_is_flushed_or_not_asked_for() -> None:
    found = [each.lines for each in cures_for((), Kind.AT_THE_END, coded=True)]
    assert any("Z_SYNC_FLUSH" in each for each in found)
    assert "Accept-Encoding: identity" in found


@pytest.mark.parametrize("kind", HOLDS)
def test_nobody_is_left_without_advice(kind: Kind) -> None:
    """A product that nobody recognised, and each kind of hold."""
    assert cures_for((), kind, coded=False)


def test_a_cure_is_measured_with_a_version_on_a_day_or_it_is_a_may() -> None:
    for cure in CURES:
        assert bool(cure.freed) is bool(cure.on), cure
        assert not (cure.measured and cure.source), cure
        assert cure.measured is cure.standing.startswith("measured: freed ")


def lines(found: list[Cure]) -> list[str]:
    return [cure.lines for cure in found]


def test_a_cure_fits_what_was_compressed() -> None:
    plain = lines(cures_for(("haproxy",), Kind.DELAYED, coded=False))
    coded = lines(cures_for(("haproxy",), Kind.DELAYED, coded=True))
    assert plain[0] == "option http-no-delay"
    assert not any("compression" in each for each in plain)
    assert "compression type" in coded[0]


# -- silence, and WebSockets --------------------------------------------------------


def test_a_comment_is_a_fact_where_it_was_measured_and_a_may_elsewhere() -> None:
    *_, known = cures_for(("nginx",), Kind.CUT, coded=False)
    assert known.lines.startswith(": ping")
    assert known.fact
    *_, stranger = cures_for((), Kind.CUT, coded=False)
    assert stranger.lines == known.lines
    assert not stranger.measured
    *_, whole = cures_for(("gunicorn",), Kind.CUT, coded=False)
    assert not whole.measured


@pytest.mark.parametrize(
    ("silence", "said"),
    [
        pytest.param(0.2, "every 15 s", id="no silence"),
        pytest.param(1.0, "every 0.5 s", id="one second"),
        pytest.param(3.01, "every 1 s", id="three seconds"),
        pytest.param(5.0, "every 2 s", id="five seconds"),
        pytest.param(15.2, "every 5 s", id="a quarter of a minute"),
        pytest.param(29.9, "every 10 s", id="almost half a minute"),
        pytest.param(60.1, "every 15 s", id="a minute"),
    ],
)
@pytest.mark.parametrize("ping", [COMMENTS, FRAMES])
def test_a_ping_is_sent_twice_in_the_silence_that_was_cut(
    silence: float, said: str, ping: Cure
) -> None:
    assert said in often_enough(ping, silence).lines


@pytest.mark.parametrize("name", ["nginx-cut", "apache-cut"])
def test_a_ping_is_printed_for_the_silence_that_was_seen(name: str) -> None:
    """Its timeout was 2 s: every 15 s is no help there."""
    *_, ping = judge_one([trace(name)]).cures
    assert ping.measured
    assert ping.lines == ": ping  (a comment line and an empty line, every 1 s)"


def test_a_websocket_has_cures_of_its_own() -> None:
    found = cures_for_websocket(("haproxy",), Kind.CUT)
    assert lines(found) == ["timeout tunnel 1h", "a ping frame every 15 s"]
    assert all(each.fact for each in found)
    of_a_response = lines(cures_for(("haproxy",), Kind.CUT, coded=False))
    assert "timeout tunnel 1h" not in of_a_response


def test_what_frees_a_response_is_a_may_for_a_websocket() -> None:
    first, *_, pings = cures_for_websocket(("apache",), Kind.CUT)
    assert first.lines.startswith("ProxyTimeout 3600\n")
    assert not first.measured
    assert (pings.lines, pings.measured) == ("a ping frame every 15 s", False)


@pytest.mark.parametrize(
    "product", ["nginx", "apache", "varnish", "lighttpd", "squid", "h2o", "envoy"]
)
def test_a_lost_upgrade_has_the_lines_of_its_product(product: str) -> None:
    [cure] = cures_for_websocket((product,), Kind.NO_UPGRADE)
    assert (cure.product, cure.fact) == (product, True)


@pytest.mark.parametrize("kind", HOLDS)
def test_nobody_with_a_websocket_is_left_without_advice(kind: Kind) -> None:
    found = cures_for_websocket((), kind)
    assert found
    assert not any(each.fact for each in found)
