"""Products are recognised, and each has a cure."""

from __future__ import annotations

import pytest

from proxy.products.product import Cure
from proxy.products.product_table import CURES, NAMES, cures_for
from proxy.tools.doctor.products import recognise
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


def test_who_sends_no_field_is_guessed_by_the_fingerprint() -> None:
    verdict = Verdict(Kind.DELAYED, "late", timer=0.21)
    [sign] = recognise(trace("haproxy-late"), verdict)
    assert (sign.product, sign.guess) == ("haproxy", True)


@pytest.mark.parametrize("product", sorted(set(NAMES) - {"unbuffered"}))
def test_every_product_has_a_cure_with_lines_and_a_reason(product: str) -> None:
    found = [cure for cure in CURES if cure.product == product]
    assert found
    for cure in found:
        assert cure.lines.strip()
        assert cure.where
        assert cure.reason
        assert not cure.reason.endswith(".")


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
    assert plain == ["option http-no-delay"]
    assert "compression type" in coded[0]
