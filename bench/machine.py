"""What a result has to say of the machine it was taken on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def field(path: str, name: str) -> str:
    """The first line of that name in a file of /proc."""
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def describe() -> dict[str, str]:
    """Processor, memory, system, and what else was going on."""
    virtual = "hypervisor" in field("/proc/cpuinfo", "flags").split()
    memory = int(field("/proc/meminfo", "MemTotal").split()[0]) / 1024**2
    kind = ", virtual machine" if virtual else ""
    return {
        "processor": f"{field('/proc/cpuinfo', 'model name')}{kind}",
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_before": f"{os.getloadavg()[0]:.2f}",
    }
