"""What can be configured: one frozen type per table of `config.toml`.

Each declaration gives the type, the limit, the default and the documentation
of a key; what a route may say is in `route`. `load` fills the types; the
reference in docs/configuration.md and `unbuffered check` are made from them.
Nothing here reads a file or the environment. Times are seconds, sizes are
bytes; 0 means: no limit.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from proxy.config.route import Route
from proxy.config.units import Bytes, Seconds

LogFormat: TypeAlias = Literal["text", "json"]
Enabled: TypeAlias = bool | Literal["loopback"]
Workers: TypeAlias = Annotated[int, Meta(ge=1, le=256)] | Literal["auto"]


class ServerOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: the listener and what it accepts."""

    host: Annotated[
        str,
        Meta(
            description="Address to listen on. :: for all networks, 0.0.0.0 for all of "
            "IPv4."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(description="Port to listen on. 0: any free one.", ge=0, le=65535),
    ] = 8080
    workers: Annotated[
        Workers,
        Meta(
            description="Processes that share the port, one event loop each. auto: "
            "as many as there are processors to use."
        ),
    ] = 1
    trusted_proxies: Annotated[
        list[str],
        Meta(
            description="Addresses and networks of proxies in front of this one: "
            "what they send is treated as with trust_forwarded."
        ),
    ] = []
    head_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="For a whole request head, from its first byte (408). A "
            "connection that sends nothing for so long is closed."
        ),
    ] = 30.0
    body_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="Silence of the client inside a request body (408). Time in "
            "which the upstream is slow to take it does not count."
        ),
    ] = 60.0
    keepalive_timeout_seconds: Annotated[
        Seconds,
        Meta(description="How long a connection may wait for its next request."),
    ] = 75.0
    write_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="How long a client may take none of the bytes that wait "
            "for it before it is cut off. 0: while a response goes on, for ever."
        ),
    ] = 0.0
    max_head_bytes: Annotated[
        int,
        Meta(description="Request line and fields of one request (431).", ge=1024),
    ] = 64 * 1024
    max_target_bytes: Annotated[
        Bytes, Meta(description="Path and query of one request (414).")
    ] = 16 * 1024
    max_fields: Annotated[
        Bytes, Meta(description="How many fields one request may have (431).")
    ] = 200
    max_connections: Annotated[
        Bytes,
        Meta(
            description="Open connections of clients. A request on one beyond them "
            "is answered with 503. The limit on descriptors holds in any case."
        ),
    ] = 0
    max_exchanges: Annotated[
        Bytes,
        Meta(description="Requests that are served at the same time (503)."),
    ] = 0
    drain_seconds: Annotated[
        Seconds,
        Meta(
            description="How long open exchanges may go on after SIGTERM or SIGINT. "
            "0: they are cut at once."
        ),
    ] = 10.0
    tls_certificate: Annotated[
        str,
        Meta(
            description="PEM file with the certificate for clients and the chain "
            "behind it, relative to this file. Empty: plain HTTP."
        ),
    ] = ""
    tls_key: Annotated[
        str,
        Meta(
            description="PEM file with the private key, relative to this file. "
            "Empty: it is in the file of tls_certificate."
        ),
    ] = ""


class LogOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written to standard output and error."""

    format: Annotated[
        LogFormat,
        Meta(description="text for people, json: one object per line."),
    ] = "text"
    access: Annotated[bool, Meta(description="One line per exchange, at its end.")] = (
        True
    )
    warnings: Annotated[
        bool,
        Meta(
            description="Say when a stream stalls (stall_warning_seconds) or comes in "
            "bursts, when a client is slow to read, and when a browser has no "
            "connection left."
        ),
    ] = True


class InspectorOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[inspector]`: the page under /_unbuffered/."""

    enabled: Annotated[
        Enabled,
        Meta(
            description="Who may look. loopback: programs on this machine that "
            "name it as Host. true: whoever reaches the listener. false: nobody."
        ),
    ] = "loopback"
    bodies: Annotated[
        bool,
        Meta(
            description="Show what passes, not only when and how much. Never to "
            "clients of other machines."
        ),
    ] = True


class MetricsOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[metrics]`: /_unbuffered/metrics and /_unbuffered/health."""

    enabled: Annotated[
        Enabled,
        Meta(
            description="Who may read them. loopback: programs on this machine that "
            "name it as Host. true: whoever reaches the listener. false: nobody, "
            "and nothing is counted."
        ),
    ] = "loopback"


class TracingOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tracing]`: OpenTelemetry."""

    enabled: Annotated[
        bool,
        Meta(
            description="Send a span for each exchange. Takes the extra otel and the "
            "variables of OpenTelemetry (OTEL_EXPORTER_OTLP_ENDPOINT)."
        ),
    ] = False


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration. `routes` is keyed by prefix.

    `sources` tells where each effective value came from, keyed by
    `table.key` as `check` prints it; a key that is missing has its default.
    """

    server: ServerOptions = ServerOptions()
    log: LogOptions = LogOptions()
    inspector: InspectorOptions = InspectorOptions()
    metrics: MetricsOptions = MetricsOptions()
    tracing: TracingOptions = TracingOptions()
    routes: dict[str, Route] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
