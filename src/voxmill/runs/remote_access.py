"""How this machine gets at the DVC remote: keys, known hosts, endpoint; nothing of it is committed.

A run's branch names the remote and, for S3, its endpoint, so that whoever checks out a release can
pull. Files and fingerprints belong to the machine: they stand in the clone's git configuration and
in `.dvc/config.local`, as paths. No secret is ever copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from voxmill.errors import UsageError
from voxmill.runs.git import Git

REMOTE_NAME = "storage"
"""Name of the remote in `.dvc/config`."""
_SETTING = "voxmill.access-"  # followed by the field's name
_SCHEMES = ("ssh", "s3")


@dataclass(frozen=True, kw_only=True)
class RemoteAccess:
    """What only this machine knows about the remote; empty texts where nothing was said."""

    key_file: str = ""
    """`VOXMILL_SSH_KEY`: private key; else the agent and the keys that ssh would take."""
    known_hosts: str = ""
    """`VOXMILL_SSH_KNOWN_HOSTS`: file of host keys; else those that ssh reads."""
    fingerprint: str = ""
    """`VOXMILL_SSH_FINGERPRINT`: `SHA256:…` of the host key, several separated by commas; then no
    file of host keys is asked."""
    endpoint_url: str = ""
    """`VOXMILL_S3_ENDPOINT`: the S3 server as this machine reaches it; else Amazon's."""
    credentials_file: str = ""
    """`VOXMILL_S3_CREDENTIALS`: keys as in `~/.aws/credentials`; else where botocore looks."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> RemoteAccess:
        """What the environment says.

        Raises:
            UsageError: A file is not there, or a fingerprint or an endpoint is malformed; all
                mistakes are named.
        """
        access = cls(
            key_file=_absolute(environ.get("VOXMILL_SSH_KEY", "")),
            known_hosts=_absolute(environ.get("VOXMILL_SSH_KNOWN_HOSTS", "")),
            fingerprint=environ.get("VOXMILL_SSH_FINGERPRINT", "").strip(),
            endpoint_url=environ.get("VOXMILL_S3_ENDPOINT", "").strip().rstrip("/"),
            credentials_file=_absolute(environ.get("VOXMILL_S3_CREDENTIALS", "")),
        )
        mistakes = [*access._missing_files(), *access._malformed()]
        if mistakes:
            raise UsageError(" ".join(mistakes))
        return access

    @classmethod
    def of_clone(cls, folder: Path) -> RemoteAccess:
        """What `remember` left in a clone."""
        listed = Git(folder).run("config", "--null", "--list").split("\0")
        known = dict(entry.split("\n", 1) for entry in listed if "\n" in entry)
        values = {each.name: known.get(_key(each.name), "") for each in fields(cls)}
        return cls(**values)

    def over(self, other: RemoteAccess) -> RemoteAccess:
        """These settings, and the other ones where these say nothing."""
        names = [each.name for each in fields(self)]
        return RemoteAccess(**{name: getattr(self, name) or getattr(other, name) for name in names})

    @property
    def fingerprints(self) -> frozenset[str]:
        """The pinned host keys; none: known hosts decide."""
        return frozenset(part.strip() for part in self.fingerprint.split(",") if part.strip())

    def dvc_settings(self, remote: str) -> dict[str, str]:
        """What DVC's own commands need in `.dvc/config.local` for this remote."""
        by_scheme = {
            "ssh": {"keyfile": self.key_file},
            "s3": {"endpointurl": self.endpoint_url, "credentialpath": self.credentials_file},
        }
        values = by_scheme.get(urlsplit(remote).scheme, {})
        return {key: value for key, value in values.items() if value}

    def remember(self, folder: Path) -> None:
        """Writes what was said into the clone, over what an earlier one said."""
        for each in fields(self):
            if value := getattr(self, each.name):
                Git(folder).run("config", _key(each.name), value)

    def _missing_files(self) -> list[str]:
        files = {
            "VOXMILL_SSH_KEY": self.key_file,
            "VOXMILL_SSH_KNOWN_HOSTS": self.known_hosts,
            "VOXMILL_S3_CREDENTIALS": self.credentials_file,
        }
        return [
            f"{name}={path}: there is no such file; name one that this user can read."
            for name, path in files.items()
            if path and not Path(path).is_file()
        ]

    def _malformed(self) -> list[str]:
        mistakes = [
            f"VOXMILL_SSH_FINGERPRINT: found {each!r}, expected SHA256:… as "
            f"`ssh-keygen -l -f KEY.pub` shows it on the server."
            for each in sorted(self.fingerprints)
            if not each.startswith("SHA256:")
        ]
        if self.endpoint_url and urlsplit(self.endpoint_url).scheme not in {"http", "https"}:
            mistakes.append(
                f"VOXMILL_S3_ENDPOINT: found {self.endpoint_url!r}, expected http://HOST:PORT or "
                f"https://HOST."
            )
        return mistakes


def check_remote_url(remote: str) -> str:
    """The remote itself where it is a folder, `ssh://HOST/PATH` or `s3://BUCKET/PREFIX`.

    Raises:
        UsageError: It is something else, or carries a password.
    """
    parts = urlsplit(remote)
    if "://" not in remote:
        return remote
    problem = ""
    if parts.scheme not in _SCHEMES:
        problem = f"expected a folder, {' or '.join(f'{scheme}://…' for scheme in _SCHEMES)}"
    elif parts.password is not None:
        remote = remote.replace(f":{parts.password}@", ":…@", 1)
        problem = "it would be committed with its password: use a key (VOXMILL_SSH_KEY)"
    elif not parts.hostname:
        problem = (
            f"expected {parts.scheme}://{'BUCKET/PREFIX' if parts.scheme == 's3' else 'HOST/PATH'}"
        )
    elif parts.scheme == "ssh" and len(parts.path) < 2:
        problem = "expected a folder on that host: ssh://HOST/PATH"
    if problem:
        raise UsageError(f"VOXMILL_REMOTE={remote}: {problem}.")
    return remote


def write_committed(folder: Path, remote: str, access: RemoteAccess) -> None:
    """Makes the remote the clone's default one in `.dvc/config`, which is committed."""
    from dvc.config import Config

    values = {"url": remote}
    if urlsplit(remote).scheme == "s3" and access.endpoint_url:
        values["endpointurl"] = access.endpoint_url
    with Config(str(folder / ".dvc")).edit("repo") as config:
        config["core"]["remote"] = REMOTE_NAME
        config["remote"] = {**config.get("remote", {}), REMOTE_NAME: values}


def write_local(folder: Path, access: RemoteAccess) -> None:
    """Writes what this machine knows into the clone: git configuration and `.dvc/config.local`.

    The remote is the one that the clone's branch names, which another host may have chosen.
    """
    from dvc.config import Config

    access.remember(folder)
    config_files = Config(str(folder / ".dvc"))
    url = config_files.get("remote", {}).get(REMOTE_NAME, {}).get("url", "")
    settings = access.over(RemoteAccess.of_clone(folder)).dvc_settings(url)
    if settings:
        with config_files.edit("local") as config:
            config["remote"] = {**config.get("remote", {}), REMOTE_NAME: settings}


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""


def _key(field: str) -> str:
    return _SETTING + field.replace("_", "-")
