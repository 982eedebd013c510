"""What has to go together in a route that keeps streams, whoever said it."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.fault_text import quoted
from proxy.config.kept_reader import SOURCES, Switch
from proxy.config.paths import normal_path
from proxy.config.reader import Reader
from proxy.config.route_hosts import route_place
from proxy.config.route_reader import Options, table_name


def check_kept(reader: Reader, routes: Mapping[str, Options]) -> None:
    """Faults and warnings of all routes that have `resume`."""
    places: dict[str, str] = {}
    for prefix, options in routes.items():
        resume = options.said("resume")
        if resume.is_on:
            table = table_name(prefix)
            check_key_is_bound(reader, table, resume)
            check_key_is_said(reader, table, resume)
            check_paths_differ(reader, prefix, resume, places)
            check_leaving(reader, table, options)


def check_key_is_bound(reader: Reader, table: str, resume: Switch) -> None:
    """A key can be guessed: somebody has to say who may resume its stream."""
    key = said(resume, "key")
    if not key:
        return
    if "bind" not in resume.written:
        message = (
            f"{quoted(key)} can be guessed, so resume.bind must be set: write "
            'bind = ["Authorization"], or the fields or "cookie:NAME" that tell your '
            "users apart"
        )
        reader.fault(table, "resume.key", message)
    elif "bind" in resume.keys and not resume.keys["bind"].value:
        message = (
            "the list is empty, so whoever guesses the value of "
            f"{quoted(key)} (resume.key) can read and stop the stream of somebody else"
        )
        reader.warn(table, "resume.bind", message)


def check_key_is_said(reader: Reader, table: str, resume: Switch) -> None:
    """Paths with a key need one."""
    has_key = bool(said(resume, "key"))
    if has_key or ("key" in resume.written and "key" not in resume.keys):
        return
    for name in ("path", "stop"):
        if said(resume, name):
            message = f"needs a key: write key = {SOURCES}"
            reader.fault(table, f"resume.{name}", message)


def check_paths_differ(
    reader: Reader, prefix: str, resume: Switch, places: dict[str, str]
) -> None:
    """A path leads to the streams of one route, and to one thing to do with them.

    Of each host: the routes of another one may have the same.
    """
    table, host = table_name(prefix), route_place(prefix).host
    for name in ("path", "stop"):
        path, key = said(resume, name), f"resume.{name}"
        place = f"[{table}] {key}"
        twin = places.setdefault(host + normal_path(path), place) if path else place
        if twin != place:
            reader.fault(table, key, f"the same path as {twin}")


def check_leaving(reader: Reader, table: str, options: Options) -> None:
    """Both say what becomes of the upstream when the client leaves."""
    leave = options.values.get("on_client_leave")
    if leave is not None and leave.value == "finish":
        message = (
            "resume already reads the stream on, for resume.keep_seconds: write "
            'on_client_leave = "close", or resume = false'
        )
        reader.fault(table, "on_client_leave", message)


def said(resume: Switch, key: str) -> str:
    """The text of a key; "" where there is none, or a faulty one."""
    entry = resume.keys.get(key)
    return str(entry.value) if entry is not None else ""
