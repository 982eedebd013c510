"""Which product answered: by its fields, by its pages, by its fingerprint.

Pure. A sign is never more than a sign: a hop can hide, or pass on the fields
of the one behind it. So each is told with what it was seen by.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind, Verdict

NAMES = {
    "webpack-dev-server": "webpack-dev-server",
    "vite": "Vite",
    "next": "Next.js",
    "angular": "Angular's dev server",
    "nginx": "nginx",
    "ingress-nginx": "ingress-nginx",
    "apache": "Apache httpd",
    "caddy": "Caddy",
    "haproxy": "HAProxy",
    "envoy": "Envoy",
    "traefik": "Traefik",
    "cloudflare": "Cloudflare",
    "aws-alb": "AWS Application Load Balancer",
    "aws-api-gateway": "AWS API Gateway",
    "iis": "IIS with ARR",
    "express": "Express with compression",
    "http-proxy-3": "http-proxy-3 (http-proxy, http-proxy-middleware)",
    "django": "Django",
    "uvicorn": "uvicorn",
    "gunicorn": "gunicorn",
    "unbuffered": "Unbuffered",
}
# A field, what its value begins with or contains, and who sends it.
SIGNS = (
    ("server", "nginx", "nginx"),
    ("server", "openresty", "nginx"),
    ("server", "apache", "apache"),
    ("server", "caddy", "caddy"),
    ("via", "caddy", "caddy"),
    ("server", "envoy", "envoy"),
    ("server", "istio-envoy", "envoy"),
    ("x-envoy-upstream-service-time", "", "envoy"),
    ("server", "cloudflare", "cloudflare"),
    ("cf-ray", "", "cloudflare"),
    ("server", "awselb", "aws-alb"),
    ("set-cookie", "awsalb", "aws-alb"),
    ("x-amz-apigw-id", "", "aws-api-gateway"),
    ("apigw-requestid", "", "aws-api-gateway"),
    ("server", "microsoft-iis", "iis"),
    ("x-powered-by", "arr/", "iis"),
    ("x-powered-by", "next.js", "next"),
    ("x-nextjs-cache", "", "next"),
    ("server", "uvicorn", "uvicorn"),
    ("server", "gunicorn", "gunicorn"),
    ("server", "wsgiserver", "django"),
    ("via", "unbuffered", "unbuffered"),
)
INSIDE = ("express", "http-proxy-3")  # what dev servers are made of
INGRESS_HSTS = "max-age=15724800"  # seconds; what ingress-nginx alone sends by default


@dataclass(frozen=True, slots=True)
class Sign:
    """A product, and what it was recognised by."""

    product: str
    seen: str
    guess: bool = False

    @property
    def name(self) -> str:
        return NAMES[self.product]


def recognise(
    recording: ProbeRecording, verdict: Verdict, behind: ProbeRecording | None = None
) -> tuple[Sign, ...]:
    """The products that show, the likeliest first.

    `behind`: the same stream one hop further back; what shows there too is
    not this hop's.
    """
    found: dict[str, Sign] = {}
    if recording.product:
        seen = "it answers with its own pages"
        found[recording.product] = Sign(recording.product, seen)
    for sign in by_fields(recording):
        if recording.product and sign.product in INSIDE:
            continue
        if behind is None or sign.seen not in {each.seen for each in by_fields(behind)}:
            found.setdefault(sign.product, sign)
    if not found:
        found = {sign.product: sign for sign in by_fingerprint(recording, verdict)}
    return tuple(found.values())


def by_fields(recording: ProbeRecording) -> list[Sign]:
    """What the response fields give away."""
    found = []
    for name, start, product in SIGNS:
        value = recording.get(name)
        if value is not None and start in value.lower():
            found.append(Sign(product, f"{name}: {value[:40]}"))
    hsts = recording.get("strict-transport-security") or ""
    if hsts.startswith(INGRESS_HSTS):
        found.insert(0, Sign("ingress-nginx", f"strict-transport-security: {hsts}"))
    powered = recording.get("x-powered-by") or ""
    if powered == "Express" and recording.coding:
        coding = f"x-powered-by: Express, content-encoding: {recording.coding}"
        found.append(Sign("express", coding))
    return found


def by_fingerprint(recording: ProbeRecording, verdict: Verdict) -> list[Sign]:
    """Who behaves like that, where no field tells."""
    small = all(name == name.lower() for name, _ in recording.fields)
    timer = verdict.timer or 0.0
    if verdict.kind is Kind.HEAD_LATE and recording.get("x-powered-by") == "Express":
        return [Sign("http-proxy-3", "x-powered-by: Express", guess=True)]
    waits = verdict.kind in (Kind.DELAYED, Kind.RHYTHM) and 0.15 < timer < 0.3
    if waits and small and recording.get("server") is None:
        seen = "200 ms of delay, lower-case field names"
        return [Sign("haproxy", seen, guess=True)]
    if verdict.kind is Kind.RHYTHM and 0.08 < timer < 0.12:
        return [Sign("traefik", "a flush every 100 ms", guess=True)]
    return []
