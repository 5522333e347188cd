"""Whether this machine can log in to Weights & Biases, judged as wandb itself judges it."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.errors import UsageError
from voxmill.runs.wandb_access import WandbAccess, missing_login

SECRET = "0123456789abcdef" * 3
ENTRY = f"machine {{}}\n  login user\n  password {SECRET}\n"

CASES = {
    "no file": (None, {}, False),
    "the host": (ENTRY.format("api.wandb.ai"), {}, True),
    "the host's other name": (ENTRY.format("api.forge.coreweave.com"), {}, True),
    "another host": (ENTRY.format("github.com"), {}, False),
    "a default for all hosts": (f"default login user password {SECRET}\n", {}, True),
    "an entry without a password": ("machine api.wandb.ai\n  login user\n", {}, False),
    "rubbish": (f"machin {SECRET}\n", {}, False),
    "a server of one's own": (
        ENTRY.format("wandb.example.org:8080"),
        {"WANDB_BASE_URL": "http://wandb.example.org:8080"},
        True,
    ),
    "the public server's key for a server of one's own": (
        ENTRY.format("api.wandb.ai"),
        {"WANDB_BASE_URL": "http://wandb.example.org:8080"},
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_netrc_file_holds_a_key_where_wandb_would_find_one(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle is wandb's own reader; what it says of the file never quotes it."""
    from wandb.sdk.lib.urls import DEFAULT_BASE_URL
    from wandb.sdk.lib.wbauth.wbnetrc import read_netrc_auth

    content, environ, there = CASES[case]
    file = tmp_path / ".netrc"
    if content is not None:
        file.write_text(content)
    said = missing_login({**environ, "HOME": str(tmp_path)})
    assert (said == "") is there
    assert there or str(file) in said
    assert SECRET not in said
    monkeypatch.setenv("NETRC", str(file))
    key = read_netrc_auth(host=environ.get("WANDB_BASE_URL", DEFAULT_BASE_URL))
    assert key == (SECRET if there else None)


def test_the_other_name_of_the_netrc_file_counts_where_the_usual_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle is wandb's own reader again."""
    from wandb.sdk.lib.wbauth.wbnetrc import read_netrc_auth

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    (tmp_path / "_netrc").write_text(ENTRY.format("api.wandb.ai"))
    assert missing_login({"HOME": str(tmp_path)}) == ""
    assert read_netrc_auth(host="https://api.wandb.ai") == SECRET
    (tmp_path / ".netrc").write_text(ENTRY.format("github.com"))
    assert str(tmp_path / ".netrc") in missing_login({"HOME": str(tmp_path)})
    assert read_netrc_auth(host="https://api.wandb.ai") is None


def test_netrc_names_another_file(tmp_path: Path) -> None:
    """As Kubernetes mounts it."""
    file = tmp_path / "secret"
    file.write_text(ENTRY.format("api.wandb.ai"))
    assert missing_login({"NETRC": str(file), "HOME": str(tmp_path)}) == ""
    assert "cannot be read" in missing_login({"NETRC": str(tmp_path), "HOME": str(tmp_path)})


def test_an_empty_key_is_none(tmp_path: Path) -> None:
    """A variable that was set from a secret that is not there."""
    assert "WANDB_API_KEY: not set" in missing_login({"WANDB_API_KEY": " ", "HOME": str(tmp_path)})
    assert missing_login({"WANDB_API_KEY": SECRET, "HOME": str(tmp_path)}) == ""


def test_a_word_that_means_nothing_is_refused() -> None:
    """`yes` might have been meant as `required`."""
    with pytest.raises(
        UsageError, match=r"VOXMILL_WANDB: found 'yes', expected optional or requir"
    ):
        WandbAccess.from_environ({"VOXMILL_WANDB": "yes"})
