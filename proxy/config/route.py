"""What a route, or `[defaults]`, may say: type, limit, default and documentation.

The other tables are in `model`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from proxy.config.target import Target
from proxy.config.units import Bytes, Seconds

Decode: TypeAlias = Literal["streams", "unless-no-transform", "always", "never"]
AcceptEncoding: TypeAlias = Literal["identity", "client"]
UpstreamParsing: TypeAlias = Literal["strict", "lenient"]
OnUpstreamFailure: TypeAlias = Literal["abort", "event"]
CookieSecure: TypeAlias = Literal["keep", "strip"]


class FieldRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`headers.request` and `headers.response`: applied after our own changes."""

    set: Annotated[
        dict[str, str],
        Meta(description="Fields to set; a field of that name is replaced."),
    ] = {}
    remove: Annotated[list[str], Meta(description="Names of fields to leave out.")] = []

    def __repr__(self) -> str:
        """Without the values: a representation may end up in a log."""
        names = dict.fromkeys(self.set, "****")
        return f"FieldRules(set={names}, remove={self.remove})"


class HeaderRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Field changes of a route, in both directions."""

    request: Annotated[
        FieldRules, Meta(description="Changes to fields sent to the upstream.")
    ] = FieldRules()
    response: Annotated[
        FieldRules, Meta(description="Changes to fields sent to the client.")
    ] = FieldRules()


class RouteOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[defaults]` may set for all routes and a route for itself."""

    ws: Annotated[
        bool,
        Meta(description="Tunnel requests that ask for an Upgrade (WebSocket)."),
    ] = False
    change_origin: Annotated[
        bool,
        Meta(
            description="Send the target's host as Host, and its origin in the "
            "Destination of WebDAV. false: what the client sent goes on."
        ),
    ] = False
    decode: Annotated[
        Decode,
        Meta(
            description="Which compressed responses are decoded, piece by piece. "
            "streams: those in which a stream can be hidden: no Content-Length, and "
            "a stream type, or neither Accept-Ranges nor the type of a compressed "
            "file. unless-no-transform: all. Both leave alone what says "
            "Cache-Control: no-transform (RFC 9110 §7.7)."
        ),
    ] = "streams"
    accept_encoding: Annotated[
        AcceptEncoding,
        Meta(
            description="The Accept-Encoding sent to the upstream. identity: none of "
            "its responses should be compressed. client: the client's own, as it "
            "came, where a signature covers it (AWS SigV4); a client that sends none "
            "has identity sent."
        ),
    ] = "identity"
    trust_forwarded: Annotated[
        bool,
        Meta(
            description="Append to the client's X-Forwarded-For and keep its "
            "X-Forwarded-Proto and X-Forwarded-Host, instead of replacing them. "
            "Only for clients that are proxies of your own."
        ),
    ] = False
    rewrite_origin: Annotated[
        bool,
        Meta(
            description="Send the target's origin as Origin, in place of the "
            "client's. It defeats the check against forged requests that the "
            "upstream makes of it."
        ),
    ] = False
    redirect_rewrite: Annotated[
        bool | None,
        Meta(
            description="Rewrite Location and Content-Location that point at the "
            "target: they get the public scheme and host, and the prefix back "
            "that path_rewrite took off."
        ),
    ] = None
    cookie_domain_rewrite: Annotated[
        dict[str, str],
        Meta(
            description='Domain of Set-Cookie: old = new, "*" for any; "" takes it '
            'out. A string alone is meant for any: { "*" = string }.'
        ),
    ] = {}
    cookie_path_rewrite: Annotated[
        dict[str, str],
        Meta(
            description='Path of Set-Cookie: old = new, "*" for any; "" takes it '
            'out. A string alone is meant for any: { "*" = string }.'
        ),
    ] = {}
    cookie_secure: Annotated[
        CookieSecure,
        Meta(
            description="strip: take Secure out of Set-Cookie, and with it "
            "Partitioned and SameSite=None, which need it. For clients that "
            "come by plain HTTP."
        ),
    ] = "keep"
    headers: Annotated[
        HeaderRules, Meta(description="Fields to set and to remove.")
    ] = HeaderRules()
    verify: Annotated[
        bool,
        Meta(
            description="Check the certificate of an https target: who signed it, "
            "its dates, its host. false: for tests only."
        ),
    ] = True
    ca_file: Annotated[
        str,
        Meta(
            description="PEM file with the authorities that may sign the "
            "certificate of an https target, relative to this file. "
            "Empty: those of the system."
        ),
    ] = ""
    connect_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="To reach the upstream: name look-up, TCP and TLS together; "
            "of each attempt."
        ),
    ] = 10.0
    connect_retry_seconds: Annotated[
        Seconds,
        Meta(
            description="How long a request waits for an upstream that refuses "
            "connections (it is restarting) before it is answered with 503. "
            "0: 502 at once."
        ),
    ] = 0.0
    first_byte_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="From the end of the request to the response head; or as "
            "long as the upstream takes none of the request body that waits for it."
        ),
    ] = 600.0
    idle_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="Silence of the upstream inside a response or a tunnel. "
            "0: a stream may be silent for ever."
        ),
    ] = 0.0
    stall_warning_seconds: Annotated[
        Seconds,
        Meta(
            description="Silence of the upstream inside a stream after which the log "
            "and the inspector say so. Nothing is cut. 0: never."
        ),
    ] = 0.0
    server_timing: Annotated[
        bool,
        Meta(
            description="Send Server-Timing with each response: how long the proxy "
            "itself took, and how long it waited for the upstream."
        ),
    ] = False
    max_duration_seconds: Annotated[
        Seconds, Meta(description="The whole exchange, from its first byte.")
    ] = 0.0
    on_upstream_failure: Annotated[
        OnUpstreamFailure,
        Meta(
            description="How an event stream ends whose upstream fails after the "
            "head. abort: the connection breaks. event: an event of type error, "
            "then the end; inside an event, abort all the same."
        ),
    ] = "abort"
    upstream_keepalive_seconds: Annotated[
        Seconds,
        Meta(
            description="How long an unused upstream connection is kept. Below the "
            "5 s after which Node and uvicorn close theirs. 0: none is kept."
        ),
    ] = 4.0
    max_body_bytes: Annotated[
        Bytes,
        Meta(
            description="Body of one request (413). One whose Content-Length says "
            "more never reaches the upstream."
        ),
    ] = 0
    max_buffer_bytes: Annotated[
        int,
        Meta(
            description="Bytes of one body that may wait for a slow peer, in either "
            "direction, before the other side is read no more.",
            ge=1024,
        ),
    ] = 64 * 1024
    max_decoding_ratio: Annotated[
        Bytes,
        Meta(
            description="How many times its size a piece of a compressed response "
            "may have when decoded, beyond the first MiB."
        ),
    ] = 1000
    max_response_head_bytes: Annotated[
        Bytes, Meta(description="Status line and fields of one response (502).")
    ] = 256 * 1024

    upstream_parsing: Annotated[
        UpstreamParsing,
        Meta(
            description="strict: a response that two readers could read in two ways "
            "is refused. lenient, for old upstreams that nobody else speaks through: "
            "a bare LF, space before a colon, padded chunk sizes, ICY 200 OK and an "
            "end of TLS without close_notify are taken."
        ),
    ] = "strict"
    max_interim_per_second: Annotated[
        Bytes,
        Meta(
            description="1xx responses before the final one, such as the progress of "
            "a long upload: so many a second on average, after the first 32 (502)."
        ),
    ] = 20

    @property
    def rewrites_redirects(self) -> bool:
        """redirect_rewrite; where nothing is said, as change_origin."""
        if self.redirect_rewrite is None:
            return self.change_origin
        return self.redirect_rewrite


class Route(RouteOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[routes."/prefix"]` table; `prefix` is the table's name."""

    prefix: str
    targets: Annotated[
        tuple[Target, ...],
        Meta(
            description="Address of the upstream: http, https, ws, wss, "
            "or unix:/path/to.sock. Several: the one with the fewest open "
            "exchanges is asked."
        ),
    ] = field(name="target")
    path_rewrite: Annotated[
        dict[str, str],
        Meta(
            description="Regular expression = replacement, tried in order on path "
            "and query; the first that matches applies. None: the path goes unchanged."
        ),
    ] = {}
