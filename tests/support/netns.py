"""Machines with addresses of their own: network namespaces on one switch.

Nothing of it is on the test's own network, and nothing has a name that could be left
behind: a namespace lives as long as a process that waits for the end of its input, and
that comes when the test ends, however it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from tests.support.raw import GUARD, Peer

CLONE_NEWNET = 0x40000000  # <linux/sched.h>
NETWORK = "10.77.0"
Made = TypeVar("Made")


def missing() -> str | None:
    """Why there can be no such machines here; None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    for program, package in (
        ("ip", "iproute2"),
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
    ):
        if shutil.which(program) is None:
            return f"{program} is not installed ({package})"
    try:
        with network("a", "b"):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", None) or error
        return f"network namespaces cannot be made here: {str(detail).strip()}"


class Machine:
    """A network namespace with one address."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.life = subprocess.Popen(
            # `ready` once it is in its namespace; then until its input ends.
            ["unshare", "--net", "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.life.stdout is not None
        if self.life.stdout.readline() != b"ready\n":
            self.remove()
            raise OSError("unshare --net failed")
        self.run("ip", "link", "set", "lo", "up")

    @property
    def namespace(self) -> str:
        return f"/proc/{self.life.pid}/ns/net"

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs a program on this machine."""
        return ["nsenter", f"--net={self.namespace}", *arguments]

    def run(self, *arguments: str) -> str:
        """Run a program to its end, and return its output."""
        done = subprocess.run(
            self.command(*arguments),
            check=True,
            capture_output=True,
            text=True,
            timeout=GUARD,
        )
        return done.stdout

    def unplug(self) -> None:
        """Pull the cable: nobody gets a FIN or a reset."""
        self.run("ip", "link", "set", "eth0", "down")

    def plug(self) -> None:
        """Put it in again."""
        self.run("ip", "link", "set", "eth0", "up")

    def cannot_impair(self) -> str | None:
        """Why its line cannot be made slow; None if it can."""
        if shutil.which("tc") is None:
            return "tc is not installed (iproute2)"
        try:
            self.impair("delay", "0ms")
        except subprocess.CalledProcessError as error:
            return f"tc netem does not work here: {error.stderr.strip()}"
        return None

    def impair(self, *netem: str) -> None:
        """What leaves it is late, or lost: `impair("delay", "50ms", "loss", "1%")`."""
        self.run("tc", "qdisc", "replace", "dev", "eth0", "root", "netem", *netem)

    def on(self, make: Callable[[], Made]) -> Made:
        """What `make` returns, called on this machine: a socket stays there."""
        return in_namespace(self.namespace, make)

    async def connect(self, other: Machine, port: int) -> Peer:
        """A raw client on this machine, connected to a port of another one."""
        sock = self.on(socket.socket)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(GUARD):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(sock, (other.address, port))
                return Peer(*await asyncio.open_connection(sock=sock))
        except BaseException:
            sock.close()
            raise

    def listener(self, port: int = 0) -> socket.socket:
        """A socket that listens on this machine."""
        sock = self.on(lambda: socket.create_server((self.address, port)))
        sock.setblocking(False)
        return sock

    def remove(self) -> None:
        """The namespace and its devices vanish with their last process."""
        assert self.life.stdin is not None
        assert self.life.stdout is not None
        self.life.stdin.close()
        self.life.stdout.close()
        self.life.wait(GUARD)


def in_namespace(namespace: str, make: Callable[[], Made]) -> Made:
    """What `make` returns, called by a thread that is in a network namespace."""
    made: list[Made] = []
    faults: list[BaseException] = []

    def enter() -> None:
        # Only this thread is there, and it ends.
        try:
            with open(namespace, "rb") as file:
                set_namespace(file.fileno())
            made.append(make())
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return made[0]


def set_namespace(descriptor: int) -> None:
    """Move this thread into a network namespace (os.setns is of Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


@contextlib.contextmanager
def network(*names: str) -> Iterator[list[Machine]]:
    """Machines of these names, which reach each other. None of them reaches others.

    Raises:
        OSError, CalledProcessError: it cannot be made here.
    """
    with contextlib.ExitStack() as stack:

        def machine(name: str, number: int) -> Machine:
            made = Machine(name, f"{NETWORK}.{number}")
            stack.callback(made.remove)
            return made

        switch = machine("switch", 254)
        machines = [machine(name, number) for number, name in enumerate(names, 1)]
        switch.run("ip", "link", "add", "switch", "type", "bridge")
        switch.run("ip", "link", "set", "switch", "up")
        for number, each in enumerate(machines):
            wire(switch, f"port{number}", each)
        yield machines


def wire(switch: Machine, port: str, machine: Machine) -> None:
    """A cable from a machine to the switch."""
    ends = ["link", "add", port, "type", "veth", "peer", "name", "eth0"]
    switch.run("ip", *ends, "netns", str(machine.life.pid))
    switch.run("ip", "link", "set", port, "master", "switch", "up")
    machine.run("ip", "address", "add", f"{machine.address}/24", "dev", "eth0")
    machine.plug()
