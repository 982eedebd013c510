"""What a route, or `[defaults]`, may say: type, limit, default and documentation.

The other tables are in `model`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from proxy.config.fault_options import Fault
from proxy.config.kept_options import Resume, Share
from proxy.config.route_hosts import route_place
from proxy.config.target import Target
from proxy.config.units import Bytes, Seconds

Decode: TypeAlias = Literal["streams", "unless-no-transform", "always", "never"]
AcceptEncoding: TypeAlias = Literal["identity", "client"]
UpstreamParsing: TypeAlias = Literal["strict", "lenient"]
OnUpstreamFailure: TypeAlias = Literal["abort", "event"]
OnClientLeave: TypeAlias = Literal["close", "finish"]
CookieSecure: TypeAlias = Literal["keep", "strip"]
SomeSeconds: TypeAlias = Annotated[float, Meta(gt=0)]
Times: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]


class FieldRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`headers.request` and `headers.response`: applied after our own changes."""

    set: Annotated[
        dict[str, str],
        Meta(description="Fields to set; they replace fields of the same name."),
    ] = {}
    remove: Annotated[list[str], Meta(description="Names of fields to remove.")] = []

    def __repr__(self) -> str:
        """Without the values: a representation may end up in a log."""
        names = dict.fromkeys(self.set, "****")
        return f"FieldRules(set={names}, remove={self.remove})"


class HeaderRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Field changes of a route, in both directions."""

    request: Annotated[
        FieldRules, Meta(description="Changes to header fields sent to the upstream.")
    ] = FieldRules()
    response: Annotated[
        FieldRules, Meta(description="Changes to header fields sent to the client.")
    ] = FieldRules()


class RouteOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[defaults]` may set for all routes and a route for itself."""

    ws: Annotated[
        bool,
        Meta(description="Tunnel Upgrade requests (WebSocket)."),
    ] = False
    change_origin: Annotated[
        bool,
        Meta(
            description="Send the target's host as Host, and its origin in the WebDAV "
            "Destination field, instead of the client's."
        ),
    ] = False
    decode: Annotated[
        Decode,
        Meta(
            description="Which compressed responses are decoded, piece by piece. "
            "streams: those that may hide a stream: without Content-Length, "
            "and of a stream type, or neither a compressed file nor with "
            "Accept-Ranges. unless-no-transform: all. Both skip responses "
            "with Cache-Control: no-transform (RFC 9110 §7.7)."
        ),
    ] = "streams"
    accept_encoding: Annotated[
        AcceptEncoding,
        Meta(
            description="The Accept-Encoding sent to the upstream. identity: ask for "
            "uncompressed responses. client: the client's own, if it sends "
            "one, for requests whose signature covers it (AWS SigV4)."
        ),
    ] = "identity"
    trust_forwarded: Annotated[
        bool,
        Meta(
            description="Append to the client's X-Forwarded-For and keep its "
            "X-Forwarded-Proto and X-Forwarded-Host, instead of replacing "
            "them. Only for clients that are your own proxies."
        ),
    ] = False
    rewrite_origin: Annotated[
        bool,
        Meta(
            description="Send the target's origin as Origin, instead of the client's. "
            "This disables any CSRF check of the upstream on Origin."
        ),
    ] = False
    redirect_rewrite: Annotated[
        bool | None,
        Meta(
            description="Rewrite Location and Content-Location that point to the "
            "target: insert the public scheme and host, restore the prefix "
            "that path_rewrite removed."
        ),
    ] = None
    cookie_domain_rewrite: Annotated[
        dict[str, str],
        Meta(
            description='Rewrite the Domain of Set-Cookie: old = new. "*" matches any '
            'domain, a new value of "" removes the attribute. A plain '
            'string stands for { "*" = string }.'
        ),
    ] = {}
    cookie_path_rewrite: Annotated[
        dict[str, str],
        Meta(
            description="Rewrite the Path of Set-Cookie, in the same form as "
            "cookie_domain_rewrite."
        ),
    ] = {}
    cookie_secure: Annotated[
        CookieSecure,
        Meta(
            description="strip: remove Secure from Set-Cookie, with Partitioned and "
            "SameSite=None, which require it. For clients that use plain "
            "HTTP."
        ),
    ] = "keep"
    headers: Annotated[
        HeaderRules, Meta(description="Header fields to set and remove.")
    ] = HeaderRules()
    verify: Annotated[
        bool,
        Meta(
            description="Verify the certificate of an https target: issuer, dates and "
            "host name. false: for tests only."
        ),
    ] = True
    ca_file: Annotated[
        str,
        Meta(
            description="PEM file with the CA certificates that may sign the "
            "certificate of an https target, relative to this file. Empty: "
            "those of the system."
        ),
    ] = ""
    balance: Annotated[
        str,
        Meta(
            description="Which of several targets gets a request. least_open: the one "
            "with the fewest open exchanges. client, header:NAME, cookie:NAME: always "
            "the same for the same client address, field or cookie, on every machine "
            "(rendezvous hashing); a session that a target hands out in that field or "
            "cookie of a response stays with this target. Without a value, as "
            "least_open."
        ),
    ] = "least_open"
    health_path: Annotated[
        str,
        Meta(
            description="Path, with a query if needed, for which each target is asked "
            "regularly (GET): a status from 200 to 399 is healthy. The path of the "
            "target is not put before it. Empty: no checks."
        ),
    ] = ""
    health_interval_seconds: Annotated[
        SomeSeconds,
        Meta(description="Time between two health checks of a target, ±10 %."),
    ] = 10.0
    health_timeout_seconds: Annotated[
        SomeSeconds,
        Meta(
            description="Time limit for a health check, from connecting to the "
            "response head."
        ),
    ] = 2.0
    unhealthy_after: Annotated[
        Times,
        Meta(
            description="After how many failed health checks in a row a target gets "
            "requests only if no other one is healthy."
        ),
    ] = 3
    healthy_after: Annotated[
        Times,
        Meta(
            description="After how many passed health checks in a row an unhealthy "
            "target gets requests again."
        ),
    ] = 2
    connect_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="Time limit for each attempt to connect: DNS lookup, TCP and "
            "TLS together."
        ),
    ] = 10.0
    connect_retry_seconds: Annotated[
        Seconds,
        Meta(
            description="How long to retry an upstream that refuses connections, "
            "because it is restarting, before the answer is 503. 0: answer "
            "502 immediately."
        ),
    ] = 0.0
    first_byte_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="Time limit from the end of the request to the response head. "
            "Also, how long the upstream may read nothing of a waiting "
            "request body."
        ),
    ] = 600.0
    idle_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="How long the upstream may send nothing inside a response or a "
            "tunnel."
        ),
    ] = 0.0
    stall_warning_seconds: Annotated[
        Seconds,
        Meta(
            description="After how long a silence inside a stream to warn in the log "
            "and the inspector. Nothing is cut. 0: never."
        ),
    ] = 0.0
    server_timing: Annotated[
        bool,
        Meta(
            description="Add Server-Timing to responses: the time of the proxy itself, "
            "and that of the upstream."
        ),
    ] = False
    max_duration_seconds: Annotated[
        Seconds,
        Meta(
            description="Time limit for the whole exchange, from its first byte. What "
            "is not complete then is cut."
        ),
    ] = 0.0
    max_age_seconds: Annotated[
        Seconds,
        Meta(
            description="The longest that an event stream lasts whose client "
            "reconnects (an EventSource). It ends between two events, and so does its "
            "connection; each stream after a time of its own, from half of this to all "
            "of it. A stream that has an end of its own, such as a model's answer, is "
            "left alone. 0: no limit."
        ),
    ] = 0.0
    max_streams_per_client: Annotated[
        int,
        Meta(
            description="How many streams of this route a client may have open, over "
            "all workers: responses that are streams by their type, and tunnels. One "
            "more is answered with 429 and a Retry-After of 5 to 15 s. 0: no limit.",
            ge=0,
            le=10_000,
        ),
    ] = 0
    client_by: Annotated[
        str,
        Meta(
            description="Which requests are of the same client for "
            "max_streams_per_client. address: its address, behind trusted_proxies; of "
            "IPv6 the /64 network. header:NAME, cookie:NAME: the value of that field "
            "or cookie; a request without it counts by address."
        ),
    ] = "address"
    heartbeat_seconds: Annotated[
        Seconds,
        Meta(
            description="Send the client a comment line when its event stream was "
            "silent for this long, between two events, so that no hop cuts it. The "
            "first one follows the response head. 0: no heartbeats."
        ),
    ] = 0.0
    heartbeat_padding_bytes: Annotated[
        int,
        Meta(
            description="How many spaces a heartbeat has behind its colon, for a hop "
            "that holds small writes.",
            ge=0,
            le=64 * 1024,
        ),
    ] = 0
    heartbeat_before_head: Annotated[
        bool,
        Meta(
            description="Begin the response as 200 text/event-stream if the upstream "
            "has not answered after heartbeat_seconds, and send heartbeats meanwhile. "
            "Only for requests whose Accept names text/event-stream, that ask Gemini's "
            'API for one, or whose JSON body has "stream": true. The upstream\'s '
            "status and fields are not sent then; an answer that is not a 2xx event "
            "stream becomes an error event."
        ),
    ] = False
    on_upstream_failure: Annotated[
        OnUpstreamFailure,
        Meta(
            description="How a stream ends when its upstream fails after the head, or "
            "the proxy stops. abort: the connection is aborted. event: with the error "
            "event, or line, of the stream's protocol family; in the middle of an "
            "event, abort."
        ),
    ] = "abort"
    on_client_leave: Annotated[
        OnClientLeave,
        Meta(
            description="What becomes of the upstream when the client leaves. close: "
            "its connection is closed at once. finish: the response is read to its "
            "end and dropped, so that the work is not lost."
        ),
    ] = "close"
    finish_seconds: Annotated[
        Seconds,
        Meta(
            description='With on_client_leave = "finish": the maximum time after the '
            "client has left."
        ),
    ] = 60.0
    max_finish_bytes: Annotated[
        Bytes,
        Meta(
            description='With on_client_leave = "finish": how many bytes of one '
            "response are read after the client has left."
        ),
    ] = 64 * 1024 * 1024
    max_finishing: Annotated[
        int,
        Meta(
            description='With on_client_leave = "finish": how many exchanges of this '
            "route may go on without a client, in each worker. Others are closed.",
            ge=1,
        ),
    ] = 100
    resume: Annotated[
        Resume | None,
        Meta(
            description="Keep a stream when its client leaves, and let the client "
            "resume it. true: with the default of each key. false: off."
        ),
    ] = None
    share: Annotated[
        Share | None,
        Meta(
            description="Send one upstream request for all clients that request the "
            "same event stream or NDJSON with GET. true: with the default of each "
            "key. false: off."
        ),
    ] = None
    upstream_keepalive_seconds: Annotated[
        Seconds,
        Meta(
            description="How long an idle upstream connection is kept. The default is "
            "below the 5 s of Node and uvicorn. 0: do not keep connections."
        ),
    ] = 4.0
    max_body_bytes: Annotated[
        Bytes,
        Meta(
            description="Maximum size of a request body (413). A larger Content-Length "
            "is never sent to the upstream."
        ),
    ] = 0
    max_buffer_bytes: Annotated[
        int,
        Meta(
            description="How many bytes of a body may wait for a slow peer, in each "
            "direction, before the other side is not read.",
            ge=1024,
        ),
    ] = 64 * 1024
    max_decoding_ratio: Annotated[
        Bytes,
        Meta(
            description="How many times its compressed size a decoded piece may have, "
            "after the first MiB."
        ),
    ] = 1000
    max_response_head_bytes: Annotated[
        Bytes,
        Meta(description="Maximum size of a response head (502)."),
    ] = 256 * 1024

    upstream_parsing: Annotated[
        UpstreamParsing,
        Meta(
            description="strict: refuse any response that can be parsed in two ways. "
            "lenient: for old upstreams that only this proxy talks to; "
            "accept a bare LF, a space before a colon, padded chunk sizes, "
            "ICY 200 OK, and the end of TLS without close_notify."
        ),
    ] = "strict"
    max_interim_per_second: Annotated[
        Bytes,
        Meta(
            description="Maximum average rate of 1xx responses before the final one, "
            "after the first 32 (502)."
        ),
    ] = 20

    @property
    def rewrites_redirects(self) -> bool:
        """redirect_rewrite; where nothing is said, as change_origin."""
        if self.redirect_rewrite is None:
            return self.change_origin
        return self.redirect_rewrite


class Route(RouteOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[routes."/prefix"]` table; `prefix` is the table's name, with its host."""

    prefix: str
    targets: Annotated[
        tuple[Target, ...],
        Meta(
            description="URL of the upstream: http, https, ws, wss, or "
            "unix:/path/to.sock. With several, see balance."
        ),
    ] = field(name="target")
    fault: Annotated[
        tuple[Fault, ...],
        Meta(
            description="What the upstream does wrong, on purpose, for tests: a table, "
            "or a list of tables. Needs allow_faults in [server]."
        ),
    ] = ()
    path_rewrite: Annotated[
        dict[str, str],
        Meta(
            description="Regular expression = replacement, for path and query; the "
            "first match applies."
        ),
    ] = {}

    @property
    def host(self) -> str:
        """The host that it is for, `*.` with those below it; "" for all."""
        return route_place(self.prefix).host

    @property
    def path(self) -> str:
        """The prefix that it takes of paths."""
        return route_place(self.prefix).path

    @property
    def names_requests(self) -> bool:
        """May a failure that is told inside a stream have to name its request?"""
        errors = any(fault.kind == "error_event" for fault in self.fault)
        return errors or self.on_upstream_failure == "event"
