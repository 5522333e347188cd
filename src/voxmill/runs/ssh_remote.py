"""DVC's SSH remote with the host key verified.

DVC's own filesystem trusts every host (sshfs sets `known_hosts=None`), its configuration has no
word for known hosts, and it asks for passwords on the terminal, where a worker would wait for
ever. This one takes its place for as long as the process lives, and refuses where ssh would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
from dvc_ssh import SSHFileSystem

from voxmill.runs.remote_access import RemoteAccess

# What `ssh` reads where it is not told otherwise.
_KNOWN_HOSTS = (
    *("~/.ssh/known_hosts", "~/.ssh/known_hosts2"),
    *("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"),
)
_NOBODY_KNOWN = b"\n"  # asyncssh takes an empty value for "look into ~/.ssh/known_hosts"
# Known kinds come first; without the others a server that has only another kind of key now would
# hang up before we saw it, and look as if it were away.
_MORE_KINDS = (
    "+ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,"
    "rsa-sha2-512,rsa-sha2-256"
)
_CONNECT_SECONDS = 20.0
_KEEPALIVE_SECONDS = 30.0


class VerifiedSSHFileSystem(SSHFileSystem):  # type: ignore[misc]  # DVC has no types
    """DVC's filesystem for `ssh://`, which talks to known hosts only and never asks a person."""

    _access = RemoteAccess()

    def _prepare_credentials(self, **config: Any) -> dict[str, Any]:
        access = type(self)._access  # noqa: SLF001
        if access.key_file:
            config.setdefault("keyfile", access.key_file)
        login: dict[str, Any] = super()._prepare_credentials(**config)
        return login | {
            "known_hosts": _known_hosts(access),
            "server_host_key_algs": _MORE_KINDS,
            "client_factory": partial(_Client, access),
            "agent_forwarding": False,  # a host that stores data needs no keys of ours
            "connect_timeout": _CONNECT_SECONDS,
            "login_timeout": _CONNECT_SECONDS,
            "keepalive_interval": _KEEPALIVE_SECONDS,
        }


def verify_host_keys() -> None:
    """Makes DVC use this filesystem for every `ssh://` in this process."""
    from dvc_objects.fs import known_implementations

    name = f"{VerifiedSSHFileSystem.__module__}.{VerifiedSSHFileSystem.__name__}"
    known_implementations["ssh"]["class"] = name


@contextmanager
def access_in_force(access: RemoteAccess) -> Iterator[None]:
    """Connections that DVC opens in this block use these keys and known hosts.

    DVC hands a filesystem nothing that its configuration does not know, so this is a setting of
    the class. DVC changes the current folder too: its calls take turns in a process.
    """
    before = VerifiedSSHFileSystem._access  # noqa: SLF001
    VerifiedSSHFileSystem._access = access  # noqa: SLF001
    try:
        yield
    finally:
        VerifiedSSHFileSystem._access = before  # noqa: SLF001


class _Client(asyncssh.SSHClient):
    """Says yes to pinned fingerprints, says which key it refused, and never asks anything."""

    def __init__(self, access: RemoteAccess) -> None:
        self._access = access

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Asked about a key that the known hosts do not have."""
        found = key.get_fingerprint()
        if found in self._access.fingerprints:
            return True
        # asyncssh turns this into its HostKeyNotVerifiable, text included.
        raise ValueError(f"host {host} shows the {key.get_algorithm()} key {found}, not trusted")


def _known_hosts(access: RemoteAccess) -> list[str] | bytes:
    if access.fingerprints:
        return _NOBODY_KNOWN
    named = (access.known_hosts,) if access.known_hosts else _KNOWN_HOSTS
    there = [str(path) for path in map(_expanded, named) if path.is_file()]
    return there or _NOBODY_KNOWN


def _expanded(path: str) -> Path:
    return Path(path).expanduser()
