"""Reaching the DVC remote with what this machine knows, and asking whether it will have us."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from voxmill.errors import EngineMissing
from voxmill.runs.remote_access import RemoteAccess
from voxmill.runs.remote_failures import told

_AWS_FILE = "AWS_SHARED_CREDENTIALS_FILE"


@contextmanager
def reaching(remote: str, access: RemoteAccess) -> Iterator[None]:
    """DVC reaches the remote with these keys and known hosts while the block runs.

    Both are settings of the whole process, so callers take turns, as DVC itself makes them.
    """
    scheme = urlsplit(remote).scheme
    if scheme == "ssh":
        from voxmill.runs.ssh_remote import access_in_force, verify_host_keys

        verify_host_keys()
        with access_in_force(access):
            yield
    elif scheme == "s3":
        with _aws_file(access.credentials_file):
            yield
    else:
        yield


def reach(remote: str, access: RemoteAccess) -> None:
    """Connects to the remote and looks at its folder, before anything is computed for it.

    Args:
        remote: Its URL; a folder is taken as it is.
        access: Keys, known hosts and endpoint of this machine.

    Raises:
        RemoteRefused: Host key, login or bucket is wrong.
        StorageFailed: It does not answer.
        EngineMissing: The library for that kind of remote is not installed.
    """
    if "://" not in remote:
        return
    try:
        with reaching(remote, access):
            _look(remote, access)
    except ImportError as error:
        raise EngineMissing(
            f"The DVC remote {remote} needs a library that is missing ({error}). Install "
            f"voxmill[office]."
        ) from error
    except Exception as error:
        failure = told(error, remote)
        if failure is None:
            raise
        raise failure from error


def _look(remote: str, access: RemoteAccess) -> None:
    from dvc.fs import parse_external_url

    if urlsplit(remote).scheme == "s3":
        from s3fs import S3FileSystem

        # It would give us a connection again that was made with other keys for this endpoint.
        S3FileSystem.clear_instance_cache()
    filesystem: Any
    filesystem, path = parse_external_url(remote, access.dvc_settings(remote), {})
    if urlsplit(remote).scheme == "s3":
        filesystem.fs.call_s3("list_objects_v2", Bucket=path.partition("/")[0], MaxKeys=1)
    else:
        filesystem.exists(path)


@contextmanager
def _aws_file(path: str) -> Iterator[None]:
    """DVC sets this variable and leaves it, and the next remote would get this one's keys."""
    before = os.environ.get(_AWS_FILE)
    if path:
        os.environ[_AWS_FILE] = path
    try:
        yield
    finally:
        os.environ.pop(_AWS_FILE, None)
        if before is not None:
            os.environ[_AWS_FILE] = before
