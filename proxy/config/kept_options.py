"""What can be said about streams that are kept: `resume`, `share` and `[store]`.

A route that says nothing of them has neither `resume` nor `share`: None.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from proxy.config.units import Seconds

Numbering: TypeAlias = bool | Literal["auto"]
KeptBytes: TypeAlias = Annotated[int, Meta(ge=1024)]


class Resume(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`resume`: a stream is kept when its client leaves, and can be resumed."""

    keep_seconds: Annotated[
        Seconds,
        Meta(
            description="How long a stream is read on and kept after its last client "
            "has left, and how long it is kept after its end. 0: not at all."
        ),
    ] = 60.0
    max_bytes: Annotated[
        KeptBytes,
        Meta(
            description="How many bytes of one stream are kept. The oldest events are "
            "dropped first; a client that still needs one of them cannot resume."
        ),
    ] = 8 * 1024 * 1024
    ids: Annotated[
        Numbering,
        Meta(
            description="Add an id line to each event of an event stream whose "
            "upstream does not number its events. auto: only if the client asks as an "
            "EventSource does. true: for every client. false: never."
        ),
    ] = "auto"
    bind: Annotated[
        tuple[str, ...],
        Meta(
            description="Request fields that must have the same values when a stream "
            "is resumed as when it was created. cookie:NAME compares one cookie. Must "
            "be set explicitly if key is set. []: whoever knows the stream can resume "
            "it."
        ),
    ] = ("Authorization",)
    key: Annotated[
        str,
        Meta(
            description="Where a request has the application's own name for its "
            "stream: body:NAME (a member of the JSON body), header:NAME or "
            "query:NAME. A new request with the same key replaces the stream. Empty: "
            "streams have no key."
        ),
    ] = ""
    path: Annotated[
        str,
        Meta(
            description="A GET of this path replays the stream whose key stands for "
            "{key} from its beginning and continues live, or is answered with 204 if "
            "there is none. Empty: no such path."
        ),
    ] = ""
    stop: Annotated[
        str,
        Meta(
            description="A request for this path ends the stream whose key stands for "
            "{key}, and is then forwarded to the upstream. Empty: no such path."
        ),
    ] = ""
    resume_upstream: Annotated[
        bool,
        Meta(
            description="If an upstream that numbers its events fails inside a stream, "
            "request the rest of it with Last-Event-ID while the clients wait, for up "
            "to connect_retry_seconds."
        ),
    ] = True


class Share(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`share`: one upstream stream for all clients that request the same."""

    by: Annotated[
        tuple[str, ...],
        Meta(
            description="Request fields that tell clients apart: only requests with "
            "the same values share a stream. cookie:NAME compares one cookie. []: all "
            "clients share."
        ),
    ] = ("Authorization", "Cookie")
    replay: Annotated[
        int,
        Meta(
            description="How many of the last events a client gets that joins a "
            "stream. 0: it begins with the next event.",
            ge=0,
            le=10_000,
        ),
    ] = 0


class StoreOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[store]`: where kept streams are."""

    url: Annotated[
        str,
        Meta(
            description="A Redis or Valkey server, or one node of a cluster, that "
            "several proxies share: a stream can then be resumed, joined and stopped "
            "at each of them. redis://user:password@host:port/db, rediss://… for TLS, "
            "or unix:///path. Needs the redis extra. Empty: streams are kept in memory "
            "only. Takes effect after a restart."
        ),
    ] = ""
    key: Annotated[
        str,
        Meta(
            description="A secret from which the keys are derived that encrypt what is "
            "stored in the server; the same for all proxies that share it. Usually "
            "${UNBUFFERED_STORE_KEY}. Empty: the proxies generate one and keep it in "
            "the server, where whoever can read all of it can decrypt the rest. "
            "Takes effect after a restart."
        ),
    ] = ""
    prefix: Annotated[
        str,
        Meta(
            description="What the names of all keys and channels in the server begin "
            "with. Proxies with the same url and prefix share their streams. Takes "
            "effect after a restart."
        ),
    ] = "unbuffered"
    max_bytes: Annotated[
        KeptBytes,
        Meta(
            description="How many bytes all kept streams of one worker may use "
            "together. Beyond it the oldest streams that have ended are dropped first, "
            "then the oldest events of the largest stream."
        ),
    ] = 256 * 1024 * 1024

    def __repr__(self) -> str:
        """Without what is secret: a representation may end up in a log."""
        url, key = ("****" if each else "" for each in (self.url, self.key))
        return (
            f"StoreOptions(url={url!r}, key={key!r}, prefix={self.prefix!r}, "
            f"max_bytes={self.max_bytes!r})"
        )


# The keys of a route that are a table, or true or false in its place.
SWITCHES: dict[str, type[Struct]] = {"resume": Resume, "share": Share}
