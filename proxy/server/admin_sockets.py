"""The sockets of the admin listener: bound once, and shared by all workers.

One socket is enough: who asks there is a load balancer or a person, and each worker
answers for all. A Unix socket leaves a file; one that a process left behind, which was
killed, is in nobody's way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence

from proxy.config.admin_checks import admin_address
from proxy.config.listen_address import ListenAddress
from proxy.config.model import ServerOptions
from proxy.errors import ConfigError
from proxy.server.listener import BACKLOG, addresses
from proxy.server.port_sharing import bound
from proxy.system.port_holder import port_fault

KEY = "[server] admin"
MODE = 0o660  # of the file: its user and its group may connect
REASONS = {
    errno.EADDRNOTAVAIL: "not an address of this machine",
    errno.EAFNOSUPPORT: "this machine has no such addresses",
    errno.EACCES: "permission denied; ports below 1024 usually require root "
    "privileges or CAP_NET_BIND_SERVICE",
}
FILE_REASONS = {
    errno.EACCES: "permission denied: this user may not create a file in that "
    "directory",
    errno.EPERM: "permission denied: this user may not create a socket there",
    errno.ENOENT: "that directory does not exist: create it",
    errno.ENOTDIR: "a part of that path is not a directory",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "the path is too long",
}


class AdminSockets:
    """What is listened on; `given` sockets are taken as they are.

    Raises:
        ConfigError: it cannot listen there.
    """

    def __init__(
        self, address: ListenAddress, given: Sequence[socket.socket] = ()
    ) -> None:
        self.address = address
        self.sockets = list(given)
        self.inode = 0  # of the file that was made
        if given:
            return
        try:
            if address.path:
                self.bind_path(address.path)
            else:
                self.bind_port(address)
        except OSError as fault:
            self.close()
            reason = cannot_listen(address, fault)
            raise ConfigError([f"{KEY}: {reason}"]) from fault

    def bind_port(self, address: ListenAddress) -> None:
        """Listen on a port, with a socket for each address of the host."""
        port = address.port
        for each in addresses(address.host):
            self.sockets.append(bound(each, port, share=False))
            self.sockets[-1].listen(BACKLOG)
            port = self.sockets[-1].getsockname()[1]
        self.address = address._replace(port=port)

    def bind_path(self, path: str) -> None:
        """Listen on a Unix socket, which nobody can connect to before it has its mode.

        What was left there by a process that is gone is removed.
        """
        remove_stale(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sockets.append(sock)
        sock.bind(path)
        self.inode = os.stat(path).st_ino
        os.chmod(path, MODE)
        sock.listen(BACKLOG)

    def close(self) -> None:
        """Listen no longer, here; the file goes, if it is ours and there as yet."""
        for each in self.sockets:
            each.close()
        self.sockets = []
        path, inode, self.inode = self.address.path, self.inode, 0
        if inode:
            with contextlib.suppress(OSError):
                if os.stat(path).st_ino == inode:
                    os.unlink(path)


def open_admin(settings: ServerOptions) -> AdminSockets | None:
    """The sockets of the admin listener; None: there is none.

    Raises:
        ConfigError: it cannot listen there.
    """
    address = admin_address(settings)
    return None if address is None else AdminSockets(address)


def remove_stale(path: str) -> None:
    """Remove a socket to which nobody listens.

    Raises:
        OSError: somebody does, or it is something else.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(
            errno.EEXIST,
            "there is a file that is not a socket: remove it, or choose another path",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:  # its queue is full: somebody listens
            pass
        except OSError as fault:
            raise OSError(
                errno.EEXIST,
                "there is a socket that this user may not use: "
                f"{(fault.strerror or str(fault)).lower()}; remove it, or choose "
                "another path",
            ) from fault
    raise OSError(
        errno.EEXIST,
        "another program is using this socket; stop it, or choose another path",
    )


def cannot_listen(address: ListenAddress, fault: OSError) -> str:
    """Where it cannot listen, and why."""
    if fault.errno == errno.EADDRINUSE and not address.path:
        reason = port_fault(address.host, address.port, KEY)
        return f"cannot listen on {address}: {reason}"
    known = FILE_REASONS if address.path else REASONS
    reason = known.get(fault.errno or 0) or (fault.strerror or str(fault)).lower()
    return f"cannot listen on {address}: {reason}"
