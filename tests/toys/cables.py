"""Hosts with a network each, and a server that all of them reach: network namespaces, as root.

with cabled_hosts("first", "second") as cables:
    cables.start("first", [sys.executable, "worker.py"])
    cables.cut("first")
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

SERVER = "10.201.0.1"
"""The server's address, this machine's own; the same from every host."""
_LONGEST_NAME = 15  # of a network interface


class Cables:
    """The hosts' cables.

    Args:
        hosts: Names; the namespaces are called `vox-<name>`.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self.hosts = tuple(hosts)

    def lay(self) -> None:
        _ip("address", "add", f"{SERVER}/32", "dev", "lo")
        for number, host in enumerate(self.hosts, 1):
            space, ours = f"vox-{host}", f"vox-{host}"[:_LONGEST_NAME]
            _ip("netns", "add", space)
            _ip("link", "add", ours, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("address", "add", f"10.201.{number}.1/30", "dev", ours)
            _ip("link", "set", ours, "up")
            _ip("-n", space, "address", "add", f"10.201.{number}.2/30", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", space, "link", "set", device, "up")
            _ip("-n", space, "route", "add", "default", "via", f"10.201.{number}.1")

    def take_away(self) -> None:
        for host in self.hosts:
            _ip("netns", "delete", f"vox-{host}", check=False)
            _ip("link", "delete", f"vox-{host}"[:_LONGEST_NAME], check=False)
        _ip("address", "delete", f"{SERVER}/32", "dev", "lo", check=False)

    def cut(self, host: str) -> None:
        """Nothing that is sent to the host arrives any more; nobody is told so."""
        self._filter(host, "--append")

    def heal(self, host: str) -> None:
        self._filter(host, "--delete")

    def start(
        self, host: str, command: Sequence[str], environ: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """A process with the host's network and nothing of this machine's."""
        return subprocess.Popen(
            ["ip", "netns", "exec", f"vox-{host}", *command],
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _filter(self, host: str, verb: str) -> None:
        rule = ["iptables", verb, "INPUT", "--in-interface", "eth0", "--jump", "DROP"]
        subprocess.run(["ip", "netns", "exec", f"vox-{host}", *rule], check=True)


@contextmanager
def cabled_hosts(*hosts: str) -> Iterator[Cables]:
    """Hosts that are there as long as the block runs."""
    missing = [name for name in ("ip", "iptables") if shutil.which(name) is None]
    assert not missing, f"{missing} not found: apt-get install iproute2 iptables"
    assert os.geteuid() == 0, "network namespaces need root"
    cables = Cables(hosts)
    cables.take_away()
    try:
        cables.lay()
        yield cables
    finally:
        cables.take_away()


def _ip(*arguments: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
