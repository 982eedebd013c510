"""Which files of a project may hold a proxy block, and of what kind they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

ENDINGS = ("js", "ts", "mjs", "mts", "cjs", "cts")
# In the order in which a project's own command would look at them.
NAMES: dict[str, tuple[str, ...]] = {
    "vite": tuple(f"vite.config.{ending}" for ending in ENDINGS),
    "vue": ("vue.config.js", "vue.config.cjs", "vue.config.mjs", "vue.config.ts"),
    "setup": ("src/setupProxy.js", "src/setupProxy.cjs"),
    "angular": tuple(
        f"{folder}{name}.{ending}"
        for folder in ("", "src/")
        for name in ("proxy.conf", "proxy.config")
        for ending in ("json", "js", "mjs", "cjs")
    ),
    "next": tuple(f"next.config.{ending}" for ending in ENDINGS),
    "webpack": tuple(
        f"{folder}{name}.{ending}"
        for folder in ("", "config/", "build/")
        for name in ("webpack.config", "webpack.dev", "webpack.config.dev",
                     "webpack.dev.conf", "webpackDevServer.config")
        for ending in ENDINGS
    ),
    "package": ("package.json",),
    "nginx": ("nginx.conf", "nginx/nginx.conf", "nginx/default.conf", "default.conf"),
}  # fmt: skip
PATTERNS = {
    "vite": re.compile(r"vite[\w.-]*\.[cm]?[jt]s"),
    "vue": re.compile(r"vue\.config\.[cm]?[jt]s"),
    "setup": re.compile(r"setupProxy\.c?[jt]s"),
    "next": re.compile(r"next\.config\.[cm]?[jt]s"),
    "webpack": re.compile(r"webpack.*\.[cm]?[jt]s", re.IGNORECASE),
    "package": re.compile(r"package\.json"),
    "angular": re.compile(r"proxy.*\.(json|[cm]?js)", re.IGNORECASE),
    "nginx": re.compile(
        r".*\.(conf|nginx|nginxconf)(\.(template|te?mpl|tpl|in|dist))?|nginx.*"
    ),
}
# What stands between a directive and its block has a bound: a text has many lines.
NGINX = re.compile(
    r"^[ \t]*+(?:server|location|upstream)\b[^{};]{0,300}+\{", re.MULTILINE
)
# Where the parts of a project of several are.
PARTS = ("*", "apps/*", "packages/*", "projects/*", "services/*")
TITLES = {
    "vite": "Vite",
    "vue": "Vue CLI",
    "setup": "Create React App",
    "angular": "Angular",
    "next": "Next.js",
    "webpack": "webpack-dev-server",
    "package": "Create React App",
    "nginx": "nginx",
}
KNOWN = (
    "vite.config.*, vue.config.js, webpack.config.js, src/setupProxy.js, "
    "proxy.conf.json, proxy.conf.js, next.config.*, package.json with proxy, *.conf "
    "of nginx"
)


def kind_of(path: Path) -> str:
    """The kind of a file by its name, or "" if the name says nothing.

    nginx's files have any name, and are known by their text as well:
    sites-enabled/default.
    """
    for kind, pattern in PATTERNS.items():
        if pattern.fullmatch(path.name):
            return kind
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
    return "nginx" if NGINX.search(text) else ""


def candidates(folder: Path) -> Iterator[tuple[str, Path]]:
    """Kind and path of each file of a project that may have a proxy block."""
    named = [("angular", path) for path in named_by_angular(folder)]
    found = [
        (kind, folder / name)
        for kind, names in NAMES.items()
        for name in names
        if (folder / name).is_file() and (kind != "package" or has_proxy(folder / name))
    ]
    loose = [
        ("nginx", path)
        for below in (
            "",
            "nginx",
            "nginx/conf.d",
            "conf.d",
            "templates",
            "nginx/templates",
        )
        for pattern in ("*.conf", "*.conf.template")
        for path in sorted((folder / below).glob(pattern))
    ]
    yield from dict.fromkeys(named + found + loose)


def parts(folder: Path) -> Iterator[Path]:
    """The parts of a project that have files that may have a proxy block."""
    for pattern in PARTS:
        for part in sorted(folder.glob(pattern)):
            hidden = part.name.startswith(".") or part.name == "node_modules"
            if part.is_dir() and not hidden and any(True for _ in candidates(part)):
                yield part


def has_proxy(path: Path) -> bool:
    """Every project has a package.json; few have `proxy` in it."""
    try:
        return '"proxy"' in path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False


def named_by_angular(folder: Path) -> Iterator[Path]:
    """The files that angular.json calls `proxyConfig`."""
    try:
        text = (folder / "angular.json").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for name in re.findall(r'"proxyConfig"\s*:\s*("(?:[^"\\]|\\.)*")', text):
        path = folder / json.loads(name)
        if path.is_file():
            yield path
