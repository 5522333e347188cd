"""PROOF: the DVC remote over SSH and S3, with a real sshd and a server that checks signatures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from toys.s3_server import BUCKET, S3Server, s3_server
from toys.ssh_server import SshServer, make_key, ssh_server
from toys.toy_project import STAGES, ToyProject, git, hashes, make_project
from voxmill.runs.execution import forget_storage
from voxmill.runs.git import GitFailed
from voxmill.runs.release import release
from voxmill.runs.remote_failures import RemoteRefused, StorageFailed
from voxmill.runs.remote_reach import reach
from voxmill.runs.run import Run


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SshServer]:
    with ssh_server(tmp_path / "ssh") as server:
        yield server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(autouse=True)
def _nobody_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, known host or AWS login of whoever runs the test takes part."""
    (tmp_path / "nobody").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in [*os.environ]:
        if name.startswith("AWS_") and name != "AWS_EC2_METADATA_DISABLED":
            monkeypatch.delenv(name)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield
    forget_storage()


def over_ssh(server: SshServer, folder: Path) -> dict[str, str]:
    return {
        "VOXMILL_REMOTE": server.url(folder),
        "VOXMILL_SSH_KEY": str(server.user_key),
        "VOXMILL_SSH_KNOWN_HOSTS": str(server.known_hosts),
    }


def over_s3(server: S3Server) -> dict[str, str]:
    return {
        "VOXMILL_REMOTE": f"s3://{BUCKET}/remote",
        "VOXMILL_S3_ENDPOINT": server.endpoint_url,
        "VOXMILL_S3_CREDENTIALS": str(server.credentials()),
    }


def two_hosts(folder: Path, environ: Mapping[str, str]) -> tuple[ToyProject, ToyProject]:
    """Two checkouts with a home each, one git origin, and the remote of `environ`."""
    shared = {"VOXMILL_GIT": str(folder / "origin.git"), **environ}
    first = make_project(folder / "first", shared)
    git(folder, "clone", "--quiet", "--bare", str(first.root), shared["VOXMILL_GIT"])
    (folder / "second").mkdir()
    git(folder / "second", "clone", "--quiet", shared["VOXMILL_GIT"], "project")
    second = ToyProject(folder / "second" / "project", first.control, shared)
    for key in ("user.name", "user.email"):
        git(second.root, "config", key, git(first.root, "config", key))
    return first, second


def finish_together(folder: Path, environ: Mapping[str, str]) -> tuple[ToyProject, Run, str]:
    """Prepared on one host, trained on the other, released from the first; the release's tag."""
    first, second = two_hosts(folder, environ)
    here = first.open("one")
    first.run_all(here, until="prepare")
    there = second.open("one")
    ran = second.run_all(there, until="train")
    assert [ran[stage] for stage in STAGES[:6]] == ["unchanged"] * 4 + ["executed"] * 2
    assert first.run_all(here)["train"] == "unchanged"
    assert [first.launches(stage) for stage in STAGES] == [1] * len(STAGES)
    return first, there, release(first.project, here).tag


def pull_on_a_third(
    folder: Path, first: ToyProject, revision: str, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What somebody does who wants a release or a run, with `voxmill dvc pull`."""
    third = folder / "third"
    if not third.exists():
        git(folder, "clone", "--quiet", first.environ["VOXMILL_GIT"], str(third))
        git(third, "checkout", "--quiet", revision)
    return subprocess.run(
        ["voxmill", "dvc", "pull", "--quiet"],
        cwd=third,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def committed(run: Run) -> str:
    """Everything that the run's branch ever said, changes and names."""
    return git(run.folder, "log", "--patch", run.branch)


def test_two_hosts_finish_a_run_over_ssh_and_a_third_pulls_its_release(ssh, tmp_path) -> None:
    environ = over_ssh(ssh, tmp_path / "data")
    first, there, tag = finish_together(tmp_path, environ)
    assert (tmp_path / "data" / "files" / "md5").is_dir()
    done = pull_on_a_third(tmp_path, first, tag, environ)
    assert done.returncode == 0, done.stderr
    trained = hashes(there.folder / "artifacts" / "digits" / "train")
    assert hashes(tmp_path / "third" / "artifacts" / "digits" / "train") == trained
    assert ssh.url(tmp_path / "data") in committed(there)
    assert str(ssh.user_key) not in committed(there)
    assert str(ssh.known_hosts) not in committed(there)


def test_two_hosts_finish_a_run_over_s3_and_a_third_pulls_its_release(s3, tmp_path) -> None:
    environ = over_s3(s3)
    first, there, tag = finish_together(tmp_path, environ)
    assert any(key.startswith("remote/files/md5/") for key in s3.objects())
    only_login = {"AWS_SHARED_CREDENTIALS_FILE": environ["VOXMILL_S3_CREDENTIALS"]}
    done = pull_on_a_third(tmp_path, first, tag, only_login)
    assert done.returncode == 0, done.stderr
    trained = hashes(there.folder / "artifacts" / "digits" / "train")
    assert hashes(tmp_path / "third" / "artifacts" / "digits" / "train") == trained
    assert s3.endpoint_url in committed(there)
    assert environ["VOXMILL_S3_CREDENTIALS"] not in committed(there)


def test_a_host_key_that_changes_under_a_run_is_refused_and_nothing_is_lost(ssh, tmp_path) -> None:
    """64 with both keys' fingerprint to be compared; with the new key in known hosts it goes on."""
    first, _ = two_hosts(tmp_path, over_ssh(ssh, tmp_path / "data"))
    run = first.open("one")
    first.run_all(run, until="ingest")
    ssh.take_another_host_key()
    before = sorted((tmp_path / "data").rglob("*"))
    forget_storage()  # a worker of its own; an open connection stays as good as it was
    with pytest.raises(RemoteRefused, match="not the known one") as caught:
        first.run_all(run, until="audit")
    assert ssh.fingerprint() in str(caught.value)
    assert caught.value.exit_code == 64
    assert sorted((tmp_path / "data").rglob("*")) == before
    ssh.known_hosts.write_text(ssh.line())
    forget_storage()
    first.run_all(run, until="audit")
    assert first.launches("audit") == 1


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_host_with_another_key_is_refused_before_a_run_is_opened(ssh, tmp_path, kind) -> None:
    """A key of another kind is another key."""
    first, _ = two_hosts(tmp_path, over_ssh(ssh, tmp_path / "data"))
    ssh.take_another_host_key(kind)
    with pytest.raises(RemoteRefused, match="nothing was sent"):
        first.open("one")
    assert not list(first.project.runs.glob("digits/one"))


def test_a_git_origin_with_another_key_or_login_is_refused_and_nothing_is_lost(
    ssh, tmp_path, monkeypatch
) -> None:
    """64 and no retries, unlike an origin that is down; what was done is sent afterwards."""
    login = f"ssh -o IdentitiesOnly=yes -o UserKnownHostsFile={ssh.known_hosts} -i "
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{login}{ssh.user_key}")
    environ = {"VOXMILL_REMOTE": str(tmp_path / "data")}
    first, _ = two_hosts(tmp_path, environ)
    origin = {"VOXMILL_GIT": ssh.url(tmp_path / "origin.git")}
    first = ToyProject(first.root, first.control, {**first.environ, **origin})
    run = first.open("one")
    first.run_all(run, until="ingest")
    ssh.take_another_host_key()
    with pytest.raises(GitFailed, match="host key is not the known one") as caught:
        first.run_all(run, until="audit")
    assert caught.value.exit_code == 64
    ssh.known_hosts.write_text(ssh.line())
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{login}{make_key(tmp_path / 'stranger')}")
    with pytest.raises(GitFailed, match="does not let us in"):
        first.run_all(run, until="audit")
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{login}{ssh.user_key}")
    first.run_all(run, until="audit")
    assert [first.launches(stage) for stage in ("ingest", "audit")] == [1, 1]
    assert git(tmp_path / "origin.git", "rev-parse", run.branch) == git(
        run.folder, "rev-parse", "HEAD"
    )


def test_an_unknown_host_is_refused_and_a_pinned_fingerprint_lets_it_in(ssh, tmp_path) -> None:
    """Never blind: without known hosts and fingerprint nobody is trusted."""
    environ = over_ssh(ssh, tmp_path / "data")
    del environ["VOXMILL_SSH_KNOWN_HOSTS"]
    first, _ = two_hosts(tmp_path, environ)
    with pytest.raises(RemoteRefused, match="not the known one"):
        first.open("one")
    pinned = {**environ, "VOXMILL_SSH_FINGERPRINT": ssh.fingerprint()}
    again = ToyProject(first.root, first.control, {**first.environ, **pinned})
    again.run_all(again.open("one"), until="ingest")
    ssh.take_another_host_key()
    with pytest.raises(RemoteRefused, match="not the known one"):
        reach(environ["VOXMILL_REMOTE"], again.project.access)


def test_dvc_by_hand_refuses_an_unknown_host_too(ssh, tmp_path) -> None:
    environ = over_ssh(ssh, tmp_path / "data")
    first, _ = two_hosts(tmp_path, environ)
    run = first.open("one")
    first.run_all(run, until="ingest")
    ssh.take_another_host_key()
    done = pull_on_a_third(tmp_path, first, run.branch, environ)
    assert done.returncode != 0
    assert ssh.fingerprint() in done.stderr
    assert not (tmp_path / "third" / "artifacts").exists()


def test_a_key_that_the_server_does_not_know_is_refused(ssh, tmp_path) -> None:
    """And nobody is asked for a password, which a worker would wait for."""
    environ = over_ssh(ssh, tmp_path / "data")
    environ["VOXMILL_SSH_KEY"] = str(make_key(tmp_path / "stranger"))
    first, _ = two_hosts(tmp_path, environ)
    with pytest.raises(RemoteRefused, match="does not let us in") as caught:
        first.open("one")
    assert "VOXMILL_SSH_KEY" in str(caught.value)


def test_a_server_that_is_away_is_worth_another_try(ssh, tmp_path) -> None:
    """The result is committed here; the next try only sends it."""
    first, _ = two_hosts(tmp_path, over_ssh(ssh, tmp_path / "data"))
    run = first.open("one")
    first.run_all(run, until="ingest")
    ssh.stop()
    forget_storage()
    with pytest.raises(StorageFailed, match="does not answer") as caught:
        first.run_all(run, until="audit")
    assert caught.value.exit_code == 1
    ssh.start()
    forget_storage()
    first.run_all(run, until="audit")
    assert first.launches("audit") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"VOXMILL_REMOTE": "s3://another-bucket/remote"}, "no such bucket"),
        ({"key": "AKIASTRANGER"}, "does not know the access key"),
        ({"secret": "wrong"}, "the secret key is wrong"),  # pragma: allowlist secret
        ({"VOXMILL_S3_CREDENTIALS": ""}, "no keys were found"),
    ],
)
def test_a_wrong_bucket_or_wrong_keys_are_refused_before_a_run_is_opened(
    s3, tmp_path, change, words
) -> None:
    environ = over_s3(s3)
    if change.keys() & {"key", "secret"}:
        environ["VOXMILL_S3_CREDENTIALS"] = str(s3.credentials(**change))
    else:
        environ |= change
    first, _ = two_hosts(tmp_path, environ)
    with pytest.raises(RemoteRefused, match=words) as caught:
        first.open("one")
    assert caught.value.exit_code == 64


def test_an_s3_server_that_is_away_is_worth_another_try(s3, tmp_path) -> None:
    environ = over_s3(s3) | {"VOXMILL_S3_ENDPOINT": "http://127.0.0.1:9"}
    first, _ = two_hosts(tmp_path, environ)
    with pytest.raises(StorageFailed, match="does not answer"):
        first.open("one")
