"""What a project is made of: its dev server and its back ends.

Looks at files only; nothing is run and nothing is asked.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from proxy.tools.importers.values import table
from proxy.tools.migrate.file_detection import NAMES

FLAG = r"(?:--port[= ]|-p[= ]?|\bPORT=)(\d{2,5})\b"
PORT_FLAG = re.compile(FLAG)
BINDING = re.compile(r"(?:--bind|-b|runserver)[= ](?:[\w.:\[\]]+:)?(\d{2,5})\b")
CONFIGURED = re.compile(r"\bport\s*:\s*(\d{2,5})\b")
PROXIED = re.compile(r"\bproxy\b|\brewrites\b|createProxyMiddleware")
# Package, name, port, how its command begins; the first that is there is it.
DEV_SERVERS = (
    ("next", "Next.js", 3000, "next"),
    ("nuxt", "Nuxt", 3000, "nuxt"),
    ("@angular/cli", "Angular", 4200, "ng"),
    ("react-scripts", "Create React App", 3000, "react-scripts"),
    ("@vue/cli-service", "Vue CLI", 8080, "vue-cli-service"),
    ("astro", "Astro", 4321, "astro"),
    ("vite", "Vite", 5173, "vite"),
    ("webpack-dev-server", "webpack-dev-server", 8080, "webpack"),
)
NODE_SERVERS = (("@nestjs/core", "NestJS"), ("fastify", "Fastify"), ("koa", "Koa"),
                ("express", "Express"))  # fmt: skip
PYTHON_SERVERS = (
    ("django", "Django", 8000),
    ("fastapi", "FastAPI", 8000),
    ("uvicorn", "uvicorn", 8000),
    ("flask", "Flask", 5000),
)
WORKSPACES = ("apps", "packages", "services")
COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
PORTS = range(1, 65536)
REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(slots=True)
class Service:
    """Something that listens: what it is called, on which port."""

    name: str
    port: int
    place: str


@dataclass(slots=True)
class Project:
    """What was found. `seen` is in words; `proxies` have a proxy block.

    `compose` are files that are there and not read: YAML takes a parser.
    """

    dev_server: Service | None = None
    back_ends: list[Service] = field(default_factory=list)
    proxies: list[str] = field(default_factory=list)
    compose: list[str] = field(default_factory=list)

    @property
    def seen(self) -> list[str]:
        every = [self.dev_server] if self.dev_server else []
        return [
            f"{s.name} on port {s.port} ({s.place})" for s in every + self.back_ends
        ]


def survey(folder: Path) -> Project:
    """Look at a project and at the folders directly in it."""
    project = Project()
    for part in (folder, *below(folder)):
        look_at_packages(project, folder, part)
        look_at_python(project, folder, part)
    project.compose = [name for name in COMPOSE if (folder / name).is_file()]
    names = [name for names in NAMES.values() for name in names]
    for name in dict.fromkeys(names):
        text = text_of(folder / name)
        block = '"proxy"' in text if name == "package.json" else PROXIED.search(text)
        if block and not name.endswith("nginx.conf"):
            project.proxies.append(name)
    return project


def below(folder: Path) -> list[Path]:
    """The parts of a project: folders in it, and those of a workspace."""
    found = [*folder.glob("*")]
    for name in WORKSPACES:
        found += (folder / name).glob("*")
    return sorted(each for each in found if is_part(each))


def is_part(path: Path) -> bool:
    hidden = path.name.startswith((".", "_")) or path.name == "node_modules"
    return not hidden and os.access(path, os.R_OK | os.X_OK) and path.is_dir()


def add(project: Project, service: Service) -> None:
    """Add a back end, unless its port is known."""
    known = [project.dev_server] if project.dev_server else []
    if service.port in PORTS and all(
        service.port != each.port for each in known + project.back_ends
    ):
        project.back_ends.append(service)


def look_at_packages(project: Project, folder: Path, part: Path) -> None:
    """package.json: a dev server, or a server of Node's."""
    try:
        package = table(json.loads(text_of(part / "package.json") or "{}"))
    except (ValueError, RecursionError):
        return
    place = str((part / "package.json").relative_to(folder))
    needs = {
        **table(package.get("dependencies")),
        **table(package.get("devDependencies")),
    }
    scripts = {key: str(each) for key, each in table(package.get("scripts")).items()}
    dev_server = False
    for name, title, port, command in DEV_SERVERS:
        if name in needs and project.dev_server is None:
            found = script_port(scripts, command) or configured_port(part, command)
            found = found if found in PORTS else port
            project.dev_server = Service(title, found, place)
            dev_server = True
            break
    if dev_server:  # what only a bundler needs is no server of the project
        needs = table(package.get("dependencies"))
    for name, title in NODE_SERVERS:
        if name in needs:
            add(project, Service(title, script_port(scripts, "") or 3000, place))
            return


def script_port(scripts: dict[str, str], command: str) -> int:
    """The port in a script that begins the dev server; 0 if none has one."""
    first = ("dev", "serve", "start")
    for name in sorted(scripts, key=lambda each: (each not in first, each)):
        found = PORT_FLAG.search(scripts[name])
        if found and command in scripts[name]:
            return int(found[1])
    return 0


def configured_port(part: Path, command: str) -> int:
    """The port in the dev server's configuration, where it stands in plain text."""
    kinds = {"vite": "vite", "vue-cli-service": "vue", "webpack": "webpack"}
    for name in NAMES.get(kinds.get(command, ""), ()):
        found = CONFIGURED.search(text_of(part / name))
        if found:
            return int(found[1])
    return 0


def look_at_python(project: Project, folder: Path, part: Path) -> None:
    """requirements*.txt and pyproject.toml: a server of Python's."""
    needs, place = requirements(part)
    if (part / "manage.py").is_file():
        needs, place = needs | {"django"}, place or "manage.py"
    for name, title, port in PYTHON_SERVERS:
        if name in needs:
            where = str((part / place).relative_to(folder))
            add(project, Service(title, command_port(part) or port, where))
            return


def requirements(part: Path) -> tuple[set[str], str]:
    """The names of what a Python project needs, and where they stand."""
    needs: list[str] = []
    place = ""
    for path in sorted(part.glob("requirements*.txt")):
        needs += text_of(path).splitlines()
        place = place or path.name
    try:
        document = tomllib.loads(text_of(part / "pyproject.toml"))
    except ValueError:
        document = {}
    listed = table(document.get("project")).get("dependencies")
    poetry = table(table(table(document.get("tool")).get("poetry")).get("dependencies"))
    own = [*(map(str, listed) if isinstance(listed, list) else ()), *poetry]
    if own:
        needs += own
        place = place or "pyproject.toml"
    found = (REQUIREMENT.match(each.strip()) for each in needs)
    return {each[0].lower() for each in found if each}, place


def command_port(part: Path) -> int:
    """The port that a Procfile, a Makefile or a Dockerfile starts it on."""
    for name in ("Procfile", "Makefile", "Dockerfile"):
        text = text_of(part / name)
        found = PORT_FLAG.search(text) or BINDING.search(text)
        if found:
            return int(found[1])
    return 0


def text_of(path: Path) -> str:
    """The text of a file; "" where there is none."""
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
