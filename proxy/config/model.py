"""What can be configured: one frozen type per table of `config.toml`.

Each declaration gives the type, the limit, the default and the documentation
of a key. `load` fills the types; the reference in docs/configuration.md and
`unbuffered check` are made from them. Nothing here reads a file or the
environment. Times are seconds, sizes are bytes; 0 means: no limit.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from proxy.config.target import Target

Seconds: TypeAlias = Annotated[float, Meta(ge=0)]
Bytes: TypeAlias = Annotated[int, Meta(ge=0)]
Decode: TypeAlias = Literal["unless-no-transform", "always", "never"]
LogFormat: TypeAlias = Literal["text", "json"]


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
            description="Send the target's host as Host. "
            "false: the client's Host goes on as it came."
        ),
    ] = False
    decode: Annotated[
        Decode,
        Meta(
            description="What to do with a response that is compressed although "
            "identity was asked for: decode it piece by piece, except where "
            "Cache-Control says no-transform (RFC 9110 §7.7)."
        ),
    ] = "unless-no-transform"
    trust_forwarded: Annotated[
        bool,
        Meta(
            description="Append to the client's X-Forwarded-For and keep its "
            "X-Forwarded-Proto and X-Forwarded-Host, instead of replacing them. "
            "Only for clients that are proxies of your own."
        ),
    ] = False
    headers: Annotated[
        HeaderRules, Meta(description="Fields to set and to remove.")
    ] = HeaderRules()
    connect_timeout_seconds: Annotated[
        Seconds,
        Meta(description="To reach the upstream: name look-up, TCP and TLS together."),
    ] = 10.0
    first_byte_timeout_seconds: Annotated[
        Seconds,
        Meta(description="From the end of the request to the response head."),
    ] = 600.0
    idle_timeout_seconds: Annotated[
        Seconds,
        Meta(
            description="Silence of the upstream inside a response or a tunnel. "
            "0: a stream may be silent for ever."
        ),
    ] = 0.0
    max_duration_seconds: Annotated[
        Seconds, Meta(description="The whole exchange, from its first byte.")
    ] = 0.0
    upstream_keepalive_seconds: Annotated[
        Seconds,
        Meta(
            description="How long an unused upstream connection is kept. Below the "
            "5 s after which Node and uvicorn close theirs. 0: none is kept."
        ),
    ] = 4.0


class Route(RouteOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[routes."/prefix"]` table; `prefix` is the table's name."""

    prefix: str
    target: Annotated[
        Target,
        Meta(
            description="Address of the upstream: http, https, ws, wss, "
            "or unix:/path/to.sock."
        ),
    ]
    path_rewrite: Annotated[
        dict[str, str],
        Meta(
            description="Regular expression = replacement, tried in order on path "
            "and query; the first that matches applies. None: the path goes unchanged."
        ),
    ] = {}


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: the listener and what it accepts."""

    host: Annotated[
        str,
        Meta(description="Address to listen on. 0.0.0.0 or :: for all networks."),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(description="Port to listen on. 0: any free one.", ge=0, le=65535),
    ] = 8080
    max_head_bytes: Annotated[
        int,
        Meta(description="Request line and fields of one request (431).", ge=1024),
    ] = 64 * 1024


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written to standard output and error."""

    format: Annotated[
        LogFormat,
        Meta(description="text for people, json: one object per line."),
    ] = "text"
    access: Annotated[bool, Meta(description="One line per exchange, at its end.")] = (
        True
    )


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration. `routes` is keyed by prefix.

    `sources` tells where each effective value came from, keyed by
    `table.key` as `check` prints it; a key that is missing has its default.
    """

    server: Server = Server()
    log: Log = Log()
    routes: dict[str, Route] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
