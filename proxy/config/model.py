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

from proxy.config.kept_options import StoreOptions
from proxy.config.listen_address import is_loopback
from proxy.config.route import Route
from proxy.config.units import Bytes, Seconds

LogFormat: TypeAlias = Literal["text", "json"]
Enabled: TypeAlias = bool | Literal["loopback"]
Recording: TypeAlias = Literal["streams", "on-look", "off"]
ErrorDetail: TypeAlias = Literal["loopback", "all", "none"]
WorkerCount: TypeAlias = Annotated[int, Meta(ge=1, le=256)] | Literal["auto"]

AUTO = "auto"  # as a token: one is made at the start
SHORTEST_TOKEN = 16  # characters
# Never shown; of an address what is no secret is.
SECRETS = frozenset({"inspector.token", "metrics.token", "store.url", "store.key"})
MASK = "****"


class ServerOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: the listener and what it accepts."""

    host: Annotated[
        str,
        Meta(
            description="Address to listen on: 0.0.0.0 for all IPv4 interfaces, :: "
            "for all."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(description="Port to listen on. 0: any free port.", ge=0, le=65535),
    ] = 8080
    admin: Annotated[
        str,
        Meta(
            description="Address of a listener for health, ready, metrics and the "
            "inspector, which the public listener then answers no longer: "
            "127.0.0.1:9090, or unix: and the path of a socket. Another value needs "
            "a restart. Empty: there is none."
        ),
    ] = ""
    workers: Annotated[
        WorkerCount,
        Meta(
            description="Processes that share the port, with one event loop each. "
            "auto: one per available CPU."
        ),
    ] = 1
    trusted_proxies: Annotated[
        list[str],
        Meta(
            description="Addresses and networks of proxies in front of this one, whose "
            "forwarding headers are trusted."
        ),
    ] = []
    request_id: Annotated[
        bool | Literal["response"],
        Meta(
            description="Give each request an id: in X-Request-Id to the upstream, in "
            "the access log, in error responses and in spans. That of a client in "
            "trusted_proxies is kept; any other is replaced. response: in X-Request-Id "
            "to the client, too. false: the field passes unchanged."
        ),
    ] = True
    error_detail: Annotated[
        ErrorDetail,
        Meta(
            description="Who is told targets, addresses, limits and prefixes in error "
            "answers. loopback: programs on this machine; behind trusted_proxies the "
            "client's address counts. Others get status, type and a general sentence."
        ),
    ] = "loopback"
    head_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="Time limit for a complete request head, from its first byte "
            "(408). Also closes a new connection that sends nothing."
        ),
    ] = 30.0
    body_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="How long the client may send nothing inside a request body "
            "(408), except while a slow upstream is waited for."
        ),
    ] = 60.0
    keepalive_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="How long an idle client connection waits for its next request."
        ),
    ] = 75.0
    write_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="How long a client may read nothing while data waits for it, "
            "before its connection is closed. 0: no limit while a response "
            "is in progress."
        ),
    ] = 0.0
    max_head_bytes: Annotated[
        int,
        Meta(
            description="Maximum size of a request head (431).",
            ge=1024,
        ),
    ] = 64 * 1024
    max_target_bytes: Annotated[
        Bytes,
        Meta(description="Maximum length of path and query (414)."),
    ] = 16 * 1024
    max_fields: Annotated[
        Bytes, Meta(description="Maximum number of header fields in a request (431).")
    ] = 200
    max_connections: Annotated[
        Bytes,
        Meta(
            description="Maximum number of client connections (503). The limit on file "
            "descriptors applies in any case."
        ),
    ] = 0
    max_exchanges: Annotated[
        Bytes,
        Meta(
            description="Maximum number of simultaneous requests (503). Kept streams "
            "that are read on without a client count, too: the one that was left first "
            "makes room."
        ),
    ] = 0
    drain_delay_seconds: Annotated[
        Seconds,
        Meta(
            description="How long requests are still served after SIGTERM or SIGINT "
            "before the drain begins, while /_unbuffered/ready answers 503: the time "
            "in which load balancers notice."
        ),
    ] = 0.0
    drain_seconds: Annotated[
        Seconds,
        Meta(
            description="How long open exchanges may continue after SIGTERM or SIGINT "
            "and drain_delay_seconds. 0: they are cut immediately."
        ),
    ] = 10.0
    tls_certificate: Annotated[
        str,
        Meta(
            description="PEM file with the certificate chain, relative to this file. "
            "Empty: plain HTTP."
        ),
    ] = ""
    tls_key: Annotated[
        str,
        Meta(
            description="PEM file with the private key, relative to this file. Empty: "
            "it is in the tls_certificate file."
        ),
    ] = ""
    http2: Annotated[
        bool,
        Meta(
            description="Offer HTTP/2 to clients over TLS (by ALPN), beside HTTP/1.1."
        ),
    ] = True
    http2_cleartext: Annotated[
        bool,
        Meta(
            description="Accept HTTP/2 without TLS from clients that begin with it "
            "(prior knowledge, h2c), beside HTTP/1.1. No browser does."
        ),
    ] = False
    http2_max_streams: Annotated[
        int,
        Meta(
            description="Maximum number of simultaneous requests on one HTTP/2 "
            "connection. More are refused (REFUSED_STREAM): the client repeats them.",
            ge=1,
            le=2**31 - 1,
        ),
    ] = 250
    http2_max_resets_per_second: Annotated[
        Bytes,
        Meta(
            description="How many requests per second an HTTP/2 client may cancel or "
            "have reset by its own faults, on average over 10 s; beyond that its "
            "connection is closed (rapid reset). 0: no limit."
        ),
    ] = 100
    http2_max_control_frames_per_second: Annotated[
        Bytes,
        Meta(
            description="How many HTTP/2 frames that carry nothing a client may send "
            "per second, on average over 10 s; beyond that its connection is "
            "closed. 0: no limit."
        ),
    ] = 200
    allow_faults: Annotated[
        bool,
        Meta(
            description="Accept routes with fault, whose streams are broken on "
            "purpose. Not in production."
        ),
    ] = False
    fault_seed: Annotated[
        int,
        Meta(
            description="The same number gives the same faults again: each request "
            "has those of its route and its number in the worker.",
            ge=0,
        ),
    ] = 0


class ListenOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[listen]]`: one more listener, beside that of [server]."""

    host: Annotated[
        str,
        Meta(description="Address to listen on. Empty: the host of [server]."),
    ] = ""
    port: Annotated[
        int,
        Meta(description="Port to listen on. 0: any free port.", ge=0, le=65535),
    ]
    tls_certificate: Annotated[
        str,
        Meta(
            description="PEM file with the certificate chain, relative to this file. "
            "Empty: plain HTTP."
        ),
    ] = ""
    tls_key: Annotated[
        str,
        Meta(
            description="PEM file with the private key, relative to this file. Empty: "
            "it is in the tls_certificate file."
        ),
    ] = ""
    http2: Annotated[
        bool,
        Meta(
            description="Offer HTTP/2 to clients over TLS (by ALPN), beside HTTP/1.1."
        ),
    ] = True
    http2_cleartext: Annotated[
        bool,
        Meta(
            description="Accept HTTP/2 without TLS from clients that begin with it "
            "(prior knowledge, h2c), beside HTTP/1.1."
        ),
    ] = False
    https_redirect: Annotated[
        bool,
        Meta(
            description="Answer every request with 308 to the same host and path by "
            "https, at the port of the first listener with tls_certificate. Paths "
            "below /.well-known/acme-challenge/ are served."
        ),
    ] = False


class CertificateOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[certificate]]`: one more certificate, for clients that ask for its names."""

    tls_certificate: Annotated[
        str,
        Meta(
            description="PEM file with the certificate chain, relative to this file. "
            "Every listener with tls_certificate shows it to clients that ask for one "
            "of its names (SNI); its names are those in the certificate."
        ),
    ]
    tls_key: Annotated[
        str,
        Meta(
            description="PEM file with the private key, relative to this file. Empty: "
            "it is in the tls_certificate file."
        ),
    ] = ""


class LogOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written to standard output and error."""

    format: Annotated[
        LogFormat,
        Meta(
            description="Of the access log and of events. text: for people; json: one "
            "JSON object per line."
        ),
    ] = "text"
    access: Annotated[
        bool, Meta(description="Log one line per exchange, when it ends.")
    ] = True
    warnings: Annotated[
        bool,
        Meta(
            description="Warn when a stream stalls (stall_warning_seconds) or arrives "
            "in bursts, a client reads slowly, or a browser has no "
            "connection left."
        ),
    ] = True


def masked(token: str) -> str:
    """A token as it may be shown: whether there is one."""
    return token if token in ("", AUTO) else MASK


class InspectorOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[inspector]`: the page under /_unbuffered/."""

    enabled: Annotated[
        Enabled,
        Meta(
            description="Who may use the inspector. loopback: programs on this "
            "machine whose Host header names it. true: everyone who can reach the "
            "listener. false: no one."
        ),
    ] = "loopback"
    bodies: Annotated[
        bool,
        Meta(
            description="Show the content of streams, not only their timing and "
            "sizes. Clients on other machines see it only with a token."
        ),
    ] = True
    token: Annotated[
        str,
        Meta(
            description="With a token the inspector is open to everyone who has it, "
            "from any machine and through other proxies, and to no one else: also on "
            "this machine. At least 16 letters, digits or - . _ ~ + / =, usually from "
            "the environment. auto: made at each start and printed. Empty: no token."
        ),
    ] = ""
    record: Annotated[
        Literal["auto", "streams", "on-look", "off"],
        Meta(
            description="What is kept in memory, so that an inspector that is opened "
            "later shows it. streams: event streams, NDJSON and WebSockets as they "
            "passed, and failures with the response of the proxy itself. on-look: what "
            "passes while somebody looks. off: nothing; the inspector shows the list "
            "alone. auto: streams where all listeners are on loopback addresses and "
            "there are no trusted_proxies, as on a developer's machine; else on-look."
        ),
    ] = "auto"
    record_bytes: Annotated[
        int,
        Meta(
            ge=65536,
            description="How many bytes of it each process keeps. The oldest pieces "
            "are dropped first; one exchange has an eighth of it at most.",
        ),
    ] = 16_777_216

    def __repr__(self) -> str:
        """Without the token: a representation may end up in a log."""
        return (
            f"InspectorOptions(enabled={self.enabled!r}, bodies={self.bodies!r}, "
            f"token={masked(self.token)!r}, record={self.record!r}, "
            f"record_bytes={self.record_bytes!r})"
        )


class MetricsOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[metrics]`: /_unbuffered/metrics, and whether health and ready are answered."""

    enabled: Annotated[
        Enabled,
        Meta(
            description="Who may read the metrics and the details of "
            "/_unbuffered/ready, as in [inspector]. false: no one, and nothing is "
            "counted."
        ),
    ] = "loopback"
    token: Annotated[
        str,
        Meta(
            description="With a token the metrics and the details of "
            "/_unbuffered/ready need it, from any machine, but health and ready do "
            "not. The token of the inspector opens them too. Empty: no token."
        ),
    ] = ""

    def __repr__(self) -> str:
        """Without the token."""
        return f"MetricsOptions(enabled={self.enabled!r}, token={masked(self.token)!r})"


class TracingOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tracing]`: OpenTelemetry."""

    enabled: Annotated[
        bool,
        Meta(
            description="Send an OpenTelemetry span for each exchange. Needs the otel "
            "extra and the OpenTelemetry environment variables "
            "(OTEL_EXPORTER_OTLP_ENDPOINT)."
        ),
    ] = False


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration. `routes` is keyed by prefix.

    `sources` tells where each effective value came from, keyed by
    `table.key` as `check` prints it; a key that is missing has its default.
    `warnings` are told at start, at a reload and by `check`, and stop nothing.
    """

    server: ServerOptions = ServerOptions()
    log: LogOptions = LogOptions()
    inspector: InspectorOptions = InspectorOptions()
    metrics: MetricsOptions = MetricsOptions()
    tracing: TracingOptions = TracingOptions()
    store: StoreOptions = StoreOptions()
    listen: tuple[ListenOptions, ...] = ()
    certificate: tuple[CertificateOptions, ...] = ()
    routes: dict[str, Route] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def recording(self) -> Recording:
        """What the inspector keeps: nothing, where nobody may look."""
        if self.inspector.enabled is False:
            return "off"
        if self.inspector.record != "auto":
            return self.inspector.record
        hosts = (self.server.host, *(each.host for each in self.listen if each.host))
        served = self.server.trusted_proxies or not all(map(is_loopback, hosts))
        return "on-look" if served else "streams"
