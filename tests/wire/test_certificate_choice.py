"""`[[certificate]]`: each client is shown the certificate for the name it asks for."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import ServerOptions
from proxy.process.reload import Reloader
from proxy.server.handshake import note_server_name
from proxy.server.listener import tls_options
from tests.conftest import Complaints, StartProxy
from tests.support.certificates import Authority
from tests.support.listening import listen
from tests.support.messages import GET_X, OK
from tests.support.raw import GUARD, Peer, Upstream
from tests.support.running import RunningProxy, Table, document

pytestmark = pytest.mark.any_loop
OWN = "localhost"  # a name of the listener's own certificate
FILES = {
    "a.pem": ("a.test", "www.a.test"),
    "wild.pem": ("*.w.test", "w.test"),
    "exact.pem": ("x.w.test", "a.test"),
    "address.pem": ("127.0.0.1",),
}


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> dict[str, Path]:
    """Certificates with their keys, by the names of their files."""
    folder = tmp_path / "more"
    folder.mkdir()
    found = {}
    for file, names in FILES.items():
        found[file] = folder / file
        issue(authority, found[file], *names)
    return found


def issue(authority: Authority, file: Path, *names: str) -> None:
    """Put a new certificate in place."""
    leaf = authority.authority.issue_cert(*names)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(file))


def certificates(*files: Path) -> dict[str, Table]:
    """As tables of a document, which have different names: blanks do not count."""
    return {
        f"[{' ' * number}certificate]": {"tls_certificate": str(file)}
        for number, file in enumerate(files)
    }


async def shown(
    port: int, authority: Authority, name: str | None, *protocols: str
) -> tuple[list[str], str | None, str]:
    """The names of the certificate that a client is shown, ALPN, and its number."""
    context = authority.context()
    context.check_hostname = False
    context.set_alpn_protocols([*protocols])
    async with asyncio.timeout(GUARD):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name or ""
        )
    tls = writer.get_extra_info("ssl_object")
    found = tls.getpeercert()
    names = [value for _, value in found["subjectAltName"]]
    writer.transport.abort()
    return names, tls.selected_alpn_protocol(), found["serialNumber"]


CASES = {
    "the name itself": ("a.test", "a.pem"),
    "a second name of it": ("www.a.test", "a.pem"),
    "in capitals": ("WWW.A.Test", "a.pem"),
    "below a wildcard": ("y.w.test", "wild.pem"),
    "the name beside a wildcard": ("w.test", "wild.pem"),
    "exact before a wildcard": ("x.w.test", "exact.pem"),
    "a wildcard is one label": ("z.y.w.test", None),
    "a name of the listener": (OWN, None),
    "nobody's": ("b.test", None),
    "no name": (None, None),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("http2", [True, False], ids=["h2", "http/1.1"])
async def test_a_client_is_shown_the_certificate_for_its_name(
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
    files: Mapping[str, Path],
    case: str,
    http2: bool,
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        server={**authority.server, "http2": http2},
        **certificates(*files.values()),
    )
    name, file = CASES[case]
    names, protocol, _ = await shown(running.port, authority, name, "h2", "http/1.1")
    assert names == [*(FILES[file] if file else ("127.0.0.1", OWN))]
    assert protocol == ("h2" if http2 else "http/1.1")


async def test_each_listener_shows_them_beside_its_own(
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
    files: Mapping[str, Path],
) -> None:
    """Also where another one has the same name: its own comes first."""
    tables = listen({"tls_certificate": str(files["exact.pem"])})
    running = await proxy(
        {"/": {"target": upstream.url}},
        server=authority.server,
        **tables,
        **certificates(files["a.pem"], files["wild.pem"]),
    )
    [port] = [each.port for each in running.server.listeners.further.listeners]
    for name, first, second in (
        ("a.test", "a.pem", "exact.pem"),
        ("www.a.test", "a.pem", "a.pem"),
        ("x.w.test", "wild.pem", "exact.pem"),
    ):
        names, *_ = await shown(running.port, authority, name)
        assert names == [*FILES[first]]
        names, *_ = await shown(port, authority, name)
        assert names == [*FILES[second]]


async def test_the_metrics_have_the_first_of_them_to_expire(
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
    files: Mapping[str, Path],
) -> None:
    soon = datetime.datetime(2037, 1, 2, tzinfo=datetime.UTC)
    leaf = authority.authority.issue_cert("soon.test", not_after=soon)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(files["wild.pem"]))
    running = await proxy(
        {"/": {"target": upstream.url}},
        server=authority.server,
        **certificates(files["a.pem"], files["wild.pem"]),
    )
    [(_, expires)] = running.server.listeners.certificate_expiries
    assert expires == soon.timestamp()


async def test_a_stream_passes_piece_by_piece(
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
    files: Mapping[str, Path],
) -> None:
    running = await proxy(
        {"a.test/": {"target": upstream.url}},
        server=authority.server,
        **certificates(files["a.pem"]),
    )
    async with asyncio.timeout(GUARD):
        peer = Peer(
            *await asyncio.open_connection(
                "127.0.0.1",
                running.port,
                ssl=authority.context(),
                server_hostname="a.test",
            )
        )
    running.clients.append(peer)
    await peer.send(GET_X.replace(b"Host: a", b"Host: a.test"))
    server = await upstream.request()
    assert b"X-Forwarded-Proto: https" in server.head_lines
    await server.send(OK)
    assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")


async def reloaded(running: RunningProxy, folder: Path, tables: Mapping[str, Table],
                   upstream: Upstream) -> bool:  # fmt: skip
    """A reload with these tables; whether it was taken."""
    path = folder / "config.toml"
    path.write_text(document({"/": {"target": upstream.url}}, tables), "utf-8")
    reloader = Reloader(running.server, lambda: load(path, {}), lambda _: [])
    return await reloader.reload()


async def test_a_reload_adds_changes_and_removes_them(
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
    files: Mapping[str, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "unbuffered")
    running = await proxy({"/": {"target": upstream.url}}, server=authority.server)
    server = {"server": {**authority.server, "port": running.port}}
    own, _, number = await shown(running.port, authority, "a.test")
    assert OWN in own
    both = server | certificates(files["a.pem"], files["wild.pem"])
    assert await reloaded(running, tmp_path, both, upstream)
    names, _, number = await shown(running.port, authority, "a.test")
    assert names == [*FILES["a.pem"]]
    issue(authority, files["a.pem"], *FILES["a.pem"])
    assert await reloaded(running, tmp_path, both, upstream)
    names, _, renewed = await shown(running.port, authority, "a.test")
    assert names == [*FILES["a.pem"]]
    assert renewed != number
    assert await reloaded(
        running, tmp_path, server | certificates(files["wild.pem"]), upstream
    )
    own, *_ = await shown(running.port, authority, "a.test")
    assert OWN in own
    told = [each.getMessage() for each in caplog.records]
    assert f"[[certificate]] {files['a.pem']} removed" in told[-1]


async def test_a_reload_with_one_that_is_broken_changes_nothing(
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
    files: Mapping[str, Path],
    tmp_path: Path,
    complaints: Complaints,
) -> None:
    tables = certificates(files["wild.pem"], files["a.pem"])
    running = await proxy(
        {"/": {"target": upstream.url}}, server=authority.server, **tables
    )
    files["a.pem"].write_text("broken", "utf-8")
    server = {"server": {**authority.server, "port": running.port}}
    assert not await reloaded(running, tmp_path, server | tables, upstream)
    assert "[[certificate]] number 2, tls_certificate: " in complaints.heard[0]
    complaints.heard.clear()
    names, *_ = await shown(running.port, authority, "a.test")
    assert names == [*FILES["a.pem"]]


async def test_one_that_breaks_after_the_check_is_named(
    authority: Authority, files: Mapping[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    tables = {"server": authority.server} | certificates(*files.values())
    path.write_text(document({"/": {"target": "http://a"}}, tables), "utf-8")
    config = load(path, {})
    files["exact.pem"].unlink()
    with pytest.raises(Exception, match=r"exact\.pem cannot be read") as caught:
        tls_options(config.server, config.certificate)
    assert getattr(caught.value, "place", "") == "[[certificate]] number 3, "


def test_where_there_are_none_nothing_is_chosen(authority: Authority) -> None:
    """One certificate costs what it did."""

    def settings(http2: bool) -> ServerOptions:
        certificate, key = map(str, authority.server.values())
        return ServerOptions(http2=http2, tls_certificate=certificate, tls_key=key)

    assert tls_options(settings(True))["ssl"].sni_callback is note_server_name
    assert tls_options(settings(False))["ssl"].sni_callback is None
