"""Run a command where no network can be reached.

Start it as a script: ``python tests/packaging/offline.py PROGRAM``. Inside a network namespace
that has no routes it only brings up the loopback device; with ``COURSE_REFUSE_SOCKETS`` set it
refuses every connection that leaves the machine, for systems that permit no namespaces.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
import sys
from typing import Any

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1  # man 7 netdevice


def raise_loopback() -> None:
    """Bring up the loopback device of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def refuse_sockets() -> None:
    """Make connections of this process fail unless they stay on the machine."""
    plain = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] != "localhost":
            try:
                stays = ipaddress.ip_address(address[0]).is_loopback
            except ValueError:
                stays = False
            if not stays:
                raise OSError(f"this process may not reach {address[0]}")
        plain(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign, assignment]


def namespaces_permitted() -> bool:
    """Whether this user may make a network namespace."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rn", "true"], check=False).returncode == 0


def command(program: str, *, namespace: bool) -> list[str]:
    """The command that runs a Python program offline."""
    prefix = ["unshare", "-rn"] if namespace else ["env", "COURSE_REFUSE_SOCKETS=1"]
    return [*prefix, sys.executable, __file__, program]


if __name__ == "__main__":
    if os.environ.get("COURSE_REFUSE_SOCKETS"):
        refuse_sockets()
    else:
        raise_loopback()
    exec(sys.argv[1], {"__name__": "__main__"})
