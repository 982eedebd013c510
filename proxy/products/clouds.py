"""Clouds: proxies that somebody else runs."""

from __future__ import annotations

from proxy.products.hold_kind import ANY, CUT, Kind
from proxy.products.product import (
    Cure,
    FieldSign,
    row,
)

DAY = "2026-11-29"  # of the measurements

CLOUDS = (
    row(
        "cloudflare",
        "Cloudflare",
        (
            FieldSign("server", "cloudflare"),
            FieldSign("cf-ray"),
        ),
        Cure(
            ANY,
            "the response of the back end, and how the tunnel is started",
            "Content-Type: text/event-stream\nCache-Control: no-cache, no-transform",
            "other types may be buffered. A Quick Tunnel (trycloudflare.com) buffers "
            "every response to a GET (cloudflared #1449): use a named tunnel, or POST",
            source="cloudflared #199 and #1449",
        ),
        Cure(
            CUT,
            "the back end",
            ": ping  (a comment, every 30 s)",
            "it times out after 100 s of silence, and only Enterprise plans can change "
            "that",
            source="its documentation, error 524",
        ),
    ),
    row(
        "aws-alb",
        "AWS Application Load Balancer",
        (
            FieldSign("server", "awselb"),
            FieldSign("set-cookie", "awsalb"),
        ),
        Cure(
            CUT,
            "the load balancer",
            "aws elbv2 modify-load-balancer-attributes --load-balancer-arn ARN \\\n"
            "  --attributes Key=idle_timeout.timeout_seconds,Value=3600",
            "it cuts a stream after 60 s of silence; it never buffers responses of "
            "HTTP targets, only those of Lambda targets",
            source="its documentation, edit-load-balancer-attributes",
        ),
        Cure(
            ANY,
            "the target group",
            "# a target of type instance or ip, not lambda",
            "a Lambda target returns a whole body; HTTP targets are streamed",
            source="its documentation, lambda-functions",
        ),
    ),
    row(
        "aws-api-gateway",
        "AWS API Gateway",
        (
            FieldSign("x-amz-apigw-id"),
            FieldSign("apigw-requestid"),
        ),
        Cure(
            (*ANY, Kind.CUT),
            "the integration of the REST API (OpenAPI)",
            "x-amazon-apigateway-integration:\n"
            "  type: http_proxy\n"
            "  responseTransferMode: STREAM\n"
            "  timeoutInMillis: 900000",
            "it buffers whole bodies, for 29 s at most, unless the mode is STREAM, "
            "which needs a REST API with a proxy integration. A stream ends after 15 "
            "minutes, or after 5 minutes of silence (30 s at an edge-optimized "
            "endpoint)",
            source="its documentation, response-transfer-mode",
        ),
    ),
)
