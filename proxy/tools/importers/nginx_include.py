"""The files that a configuration of nginx includes, in the place of `include`.

Nothing is read that the configuration does not name. A file that is not there
may hold anything, access control too, and so is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from proxy.tools.importers.draft import Unreadable
from proxy.tools.importers.nginx_syntax import Directive, parse

DEPTH = 10
FILES = 500
# They say nothing of proxying.
DULL = ("mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params")


class Includes:
    """Reads included files; `unread` are those that could not be."""

    def __init__(self, folder: Path) -> None:
        # nginx starts from the folder of its main file. What is imported may be
        # one of those that it includes: sites-enabled/default.
        self.folders = (folder, folder.parent)
        self.unread: list[Directive] = []
        self.read = 0

    def expand(self, directives: list[Directive], depth: int = 0) -> list[Directive]:
        """The directives, with those of the files that they include."""
        found: list[Directive] = []
        for directive in directives:
            if directive.name == "include" and directive.values:
                found += self.included(directive, depth)
            else:
                directive.block = self.expand(directive.block, depth)
                found.append(directive)
        return found

    def included(self, directive: Directive, depth: int) -> list[Directive]:
        pattern = directive.values[0]
        paths = list(self.paths(pattern))
        if not paths and Path(pattern).name not in DULL and "*" not in pattern:
            self.unread.append(directive)
        found: list[Directive] = []
        for path in paths:
            try:
                text = path.read_text("utf-8-sig")
            except (OSError, UnicodeDecodeError):
                self.unread.append(directive)
                continue
            self.read += 1
            if depth >= DEPTH or self.read > FILES:
                raise Unreadable(f"{directive.place}: {directive}: endless include")
            found += self.expand(parse(text, str(path)), depth + 1)
        return found

    def paths(self, pattern: str) -> Iterator[Path]:
        """The files of a pattern, in the order of their names, as nginx reads them."""
        if Path(pattern).name in DULL:
            return
        for folder in self.folders:
            whole = folder / pattern  # an absolute one stays as it is
            parts = whole.relative_to(whole.anchor)
            try:
                paths = sorted(Path(whole.anchor).glob(str(parts)))
            except (OSError, ValueError, IndexError):
                paths = []
            if paths:
                yield from (path for path in paths if path.is_file())
                return
