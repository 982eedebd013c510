"""A first `config.toml`, annotated, for what a survey found."""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.config.route_reader import table_name
from proxy.tools.migrate.config_writer import free_port, one_line
from proxy.tools.migrate.project_scan import Project, Service

HEAD = """\
# Unbuffered: routes by path; streams are never buffered.
#
#   unbuffered serve       reads ./config.toml
#   unbuffered check       prints what differs from the defaults, or every error
#
# Times are in _seconds, sizes in _bytes; ${NAME} is an environment variable.

[server]
host = "127.0.0.1" # "0.0.0.0": reachable from other machines
port = PORT

[defaults]
connect_retry_seconds = 10 # requests wait while an upstream restarts
"""
DEV_SERVER = """\
# NAME (PLACE). Receives all requests that no other route matches.
[routes."/"]
target = "http://localhost:PORT"
ws = true # hot reload
"""
BACK_END = """\
# NAME (PLACE)
[TABLE]
target = "http://localhost:PORT"
ws = false # true: tunnel WebSocket and other upgrades
change_origin = true # send the target's host as Host
# path_rewrite = { "^PREFIX" = "" } # if its own paths do not start with PREFIX
"""
EXAMPLE = Service("an example: put the port of your back end here", 3000, "not found")


def initial(project: Project) -> str:
    """The whole file."""
    dev_server, back_ends = project.dev_server, project.back_ends or [EXAMPLE]
    taken = [each.port for each in (dev_server, *back_ends) if each]
    blocks = [HEAD.replace("PORT", str(free_port(taken)))]
    lonely = dev_server is None and len(back_ends) == 1 and back_ends[0] is not EXAMPLE
    for prefix, service in prefixes(back_ends):
        place = "/" if lonely else prefix
        text = filled(BACK_END, service)
        text = text.replace("TABLE", table_name(place)).replace("PREFIX", place)
        if place == "/":
            text = text[: text.index("# path_rewrite")]
        blocks.append(text)
    if dev_server is not None:
        blocks.append(filled(DEV_SERVER, dev_server))
    return "\n".join(blocks)


def filled(text: str, service: Service) -> str:
    found = {
        "NAME": one_line(service.name),
        "PLACE": one_line(service.place),
        "PORT": str(service.port),
    }
    return re.sub("NAME|PLACE|PORT", lambda name: found[name[0]], text)


def prefixes(back_ends: list[Service]) -> Iterator[tuple[str, Service]]:
    """`/api` for the first, its own name for each of the others."""
    taken: set[str] = set()
    for service in back_ends:
        name = re.sub(r"[^a-z0-9_-]+", "-", service.name.lower()).strip("-")
        prefix = f"/{name}" if taken else "/api"
        while prefix in taken:
            prefix += f"-{service.port}"
        taken.add(prefix)
        yield prefix, service
