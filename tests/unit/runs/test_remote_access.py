"""What a machine says about its way to the DVC remote, and what of it is committed."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from toys.toy_project import ToyProject, make_project
from voxmill.errors import UsageError
from voxmill.runs.opening import write_local
from voxmill.runs.remote_access import RemoteAccess, check_remote_url, write_committed
from voxmill.runs.remote_failures import RemoteRefused, StorageFailed, told

ENDPOINT = "https://s3.example.org"


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def config(folder: Path, name: str) -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read(folder / ".dvc" / name)
    section = "'remote \"storage\"'"
    return dict(parser[section]) if parser.has_section(section) else {}


@pytest.mark.parametrize(
    ("url", "everybody", "here"),
    [
        ("ssh://host/folder", {}, {"keyfile": "key"}),
        ("s3://bucket/x", {"endpointurl": ENDPOINT}, {"credentialpath": "login"}),
    ],
)
def test_files_and_logins_stay_out_of_what_is_committed(
    toy: ToyProject, tmp_path: Path, url: str, everybody: dict[str, str], here: dict[str, str]
) -> None:
    """The branch has the address and the endpoint, which everybody needs; the rest is local."""
    for name in ("key", "hosts", "login"):
        (tmp_path / name).touch()
    access = RemoteAccess.from_environ(
        {
            "VOXMILL_SSH_KEY": str(tmp_path / "key"),
            "VOXMILL_SSH_KNOWN_HOSTS": str(tmp_path / "hosts"),
            "VOXMILL_S3_ENDPOINT": f"{ENDPOINT}/",
            "VOXMILL_S3_CREDENTIALS": str(tmp_path / "login"),
        }
    )
    write_committed(toy.root, url, access)
    write_local(toy.root, access)
    assert config(toy.root, "config") == {"url": url, **everybody}
    files = {name: str(tmp_path / file) for name, file in here.items()}
    assert config(toy.root, "config.local") == {**everybody, **files}


def test_a_clone_remembers_and_what_is_said_later_counts_more(toy: ToyProject, tmp_path) -> None:
    """A worker that resumes a run need not be told again."""
    said = RemoteAccess(fingerprint="SHA256:a", key_file=str(tmp_path / "old"))
    said.remember(toy.root)
    assert RemoteAccess.of_clone(toy.root) == said
    later = RemoteAccess(key_file=str(tmp_path / "new"))
    assert later.over(said) == RemoteAccess(fingerprint="SHA256:a", key_file=later.key_file)


def test_every_mistake_of_the_environment_is_told_at_once(tmp_path: Path) -> None:
    environ = {
        "VOXMILL_SSH_KEY": str(tmp_path / "nowhere"),
        "VOXMILL_SSH_FINGERPRINT": "SHA256:good, 12:34:56",
        "VOXMILL_S3_ENDPOINT": "s3.example.org",
    }
    with pytest.raises(UsageError) as caught:
        RemoteAccess.from_environ(environ)
    assert all(name in str(caught.value) for name in environ)
    assert "SHA256:good" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("gs://bucket/x", "expected a folder, ssh://"),
        ("ssh://host", "ssh://HOST/PATH"),
        ("s3://", "s3://BUCKET/PREFIX"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_remote_url(url)


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    """It would be committed and pushed."""
    with pytest.raises(UsageError, match="VOXMILL_SSH_KEY") as caught:
        check_remote_url("ssh://me:hunter2@host/folder")  # pragma: allowlist secret
    assert "hunter2" not in str(caught.value)


def test_what_a_library_says_at_any_depth_becomes_an_error_of_voxmill() -> None:
    """Refused: 64, for trying again is no help; away: 1, for it may be."""
    import asyncssh

    deep = RuntimeError("1 file failed")
    deep.__cause__ = asyncssh.HostKeyNotVerifiable("host h shows key SHA256:x")
    refused = told(deep, "ssh://h/f")
    assert isinstance(refused, RemoteRefused)
    assert "SHA256:x" in str(refused)
    assert isinstance(told(asyncssh.ConnectionLost("gone"), "ssh://h/f"), StorageFailed)
    assert isinstance(told(ConnectionRefusedError(111, "no"), "ssh://h/f"), StorageFailed)
    assert told(ValueError("ours"), "ssh://h/f") is None


def test_a_clock_that_an_s3_server_does_not_take_is_told() -> None:
    """Trying again would not help: somebody has to set the clock."""
    from botocore.exceptions import ClientError

    response = {"Error": {"Code": "RequestTimeTooSkewed", "Message": "too large"}}
    refused = told(ClientError(response, "PutObject"), "s3://bucket/remote")
    assert isinstance(refused, RemoteRefused)
    assert "clock" in str(refused)
