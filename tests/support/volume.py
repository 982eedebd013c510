"""A folder as the kubelet mounts a ConfigMap or a Secret.

Each file is a link to `..data/FILE`, and `..data` a link to a folder that has a time as
its name. An update writes another folder, puts a new `..data` in the place of the old
one by a rename, and removes the old folder (kubernetes:
pkg/volume/util/atomic_writer.go).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


class Volume:
    """A mounted volume, updated as often as a test wants."""

    def __init__(self, folder: Path, content: Mapping[str, bytes]) -> None:
        self.folder = folder
        self.updates = 0
        folder.mkdir()
        self.update(content)
        for name in content:
            (folder / name).symlink_to(f"..data/{name}")

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def update(self, content: Mapping[str, bytes]) -> None:
        """Have it hold these files."""
        self.updates += 1
        link = self.folder / "..data"
        before = self.folder / os.readlink(link) if link.is_symlink() else None
        made = self.folder / f"..2026_11_29_08_00_{self.updates:02}.1"
        made.mkdir()
        for name, data in content.items():
            (made / name).write_bytes(data)
        aside = self.folder / "..data_tmp"
        aside.symlink_to(made.name)
        aside.rename(link)
        if before is not None:
            shutil.rmtree(before)
