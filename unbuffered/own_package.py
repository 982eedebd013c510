"""Is the package `proxy` that Python finds the one which Unbuffered is made of?

The name is a common one: a `proxy.py` of the program, in a folder that stands first on
`sys.path`, hides it. Nothing is imported here, also not the module that hides it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec

NAME = "proxy"
OURS = os.path.join(os.path.dirname(os.path.dirname(__file__)), NAME)
INSTALLED = ("site-packages", "dist-packages")  # folders of other people's packages


def lazy_name(module: str, places: Mapping[str, str], name: str) -> object:
    """The value of a name of a module, from where `places` says that it is.

    Raises:
        AttributeError: the module has no such name.
        ImportError: a module of somebody else hides ours.
    """
    if name not in places:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    check_own_package()
    return getattr(importlib.import_module(places[name]), name)


def check_own_package() -> None:
    """Refuse to import from a package `proxy` that is not ours.

    Raises:
        ImportError: names the file, and says what to do.
    """
    try:
        spec = find_spec(NAME)
    except ValueError:  # a module that no import has made
        made = sys.modules[NAME]
        cure = "it was put into sys.modules, which must not have it"
        raise ImportError(hidden_by(repr(made), cure), name=NAME) from None
    # A folder without __init__.py has no file, and hides nothing.
    file = spec.origin if spec is not None and spec.has_location else None
    if file is not None and not is_same(os.path.dirname(file), OURS):
        raise ImportError(hidden_by(file, cure_of(file)), name=NAME, path=file)


def hidden_by(what: str, cure: str) -> str:
    return f"{what} hides the package 'proxy' of unbuffered: {cure}"


def cure_of(file: str) -> str:
    """What to do about a file that hides ours."""
    folder, base = os.path.split(file)
    what = "this file"
    if base.startswith("__init__."):
        what, folder = f"the folder {folder}", os.path.dirname(folder)
    if os.path.basename(folder) in INSTALLED:
        return "uninstall the package that it belongs to"
    return (
        f"rename {what}, or start Python so that {folder} is not first on sys.path "
        "(as python -P does)"
    )


def is_same(one: str, other: str) -> bool:
    """Are both the same folder, by whatever path?"""
    return os.path.realpath(one) == os.path.realpath(other)
