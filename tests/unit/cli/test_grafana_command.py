"""`voxmill grafana`, from its command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.grafana.server import TOKEN, Grafana, grafana_server
from voxmill.cli.main import run


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Grafana]:
    monkeypatch.chdir(tmp_path)
    with grafana_server() as server:
        monkeypatch.setenv("GRAFANA_URL", server.url)
        monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
        yield server


def test_build_writes_what_check_then_finds_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed, a missing and a left-over file are named; check changes nothing."""
    monkeypatch.chdir(tmp_path)
    assert run(["grafana", "build"]) == 0
    assert run(["grafana", "build", "--check"]) == 0
    folder = tmp_path / "monitoring/grafana/dashboards"
    (folder / "training.json").write_text("{}")
    (folder / "old.json").write_text("{}")
    capsys.readouterr()
    assert run(["grafana", "build", "--check"]) == 64
    said = capsys.readouterr().err
    assert "training.json" in said
    assert "old.json" in said
    assert "make dashboards" in said
    assert (folder / "training.json").read_text() == "{}"
    assert run(["grafana", "build"]) == 0
    assert json.loads((folder / "training.json").read_text())["uid"] == "voxmill-training"
    assert not (folder / "old.json").exists()


def test_push_says_each_step_and_diff_then_finds_nothing(
    grafana: Grafana, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run first: the same words, and nothing written."""
    assert run(["grafana", "push", "--dry-run"]) == 0
    rehearsed = capsys.readouterr().out
    assert grafana.writes() == []
    assert run(["grafana", "push"]) == 0
    done = capsys.readouterr().out
    assert rehearsed.replace(": dry run", "") == done
    assert "make           dashboard Training (missing)" in done
    assert len(grafana.dashboards) == 5
    assert run(["grafana", "diff"]) == 0
    assert capsys.readouterr().out.count("same ") == 8


def test_diff_shows_what_people_changed_and_push_leaves_it(
    grafana: Grafana, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 64, with what to do about it."""
    run(["grafana", "push"])
    newest = grafana.dashboards["voxmill-fleet"][-1]["dashboard"]
    mine = {**newest, "title": "My fleet", "version": 2}
    grafana.dashboards["voxmill-fleet"].append(
        {"dashboard": mine, "folderUid": "voxmill", "message": ""}
    )
    capsys.readouterr()
    assert run(["grafana", "diff"]) == 0
    said = capsys.readouterr().out
    assert "changed by hand  dashboard Fleet" in said
    assert '-  "title": "My fleet",' in said
    assert run(["grafana", "push"]) == 64
    captured = capsys.readouterr()
    assert "LEAVE          dashboard Fleet" in captured.out
    assert "--force" in captured.err
    assert run(["grafana", "push", "--force"]) == 0
    assert len(grafana.dashboards["voxmill-fleet"]) == 3


def test_what_files_provision_is_left_to_the_files(
    grafana: Grafana, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server would refuse with 400; even --force does not try."""
    run(["grafana", "push"])
    uid = "voxmill-data"
    grafana.provisioned.add(uid)
    grafana.dashboards[uid][-1]["dashboard"]["title"] = "Older"
    capsys.readouterr()
    assert run(["grafana", "push", "--force"]) == 0
    assert "nothing to do  dashboard Data (provisioned by file)" in capsys.readouterr().out


def test_an_old_grafana_without_contact_points_gets_all_the_rest(
    grafana: Grafana, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the backup says what it left out, and why."""
    grafana.knows_contact_points = False
    assert run(["grafana", "push"]) == 0
    assert "contact point voxmill (not in this version of Grafana)" in capsys.readouterr().out
    assert run(["grafana", "backup", "copy"]) == 0
    assert "left out: contact-points" in capsys.readouterr().out
    assert len(list(Path("copy/dashboards/voxmill").glob("*.json"))) == 5


def test_a_backup_that_breaks_off_leaves_nothing(
    grafana: Grafana, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a backup would be taken for a whole one."""
    run(["grafana", "push"])
    grafana.misbehave("GET", "/api/datasources", 500, {"message": "database is locked"})
    assert run(["grafana", "backup", "copy"]) == 69
    assert "database is locked" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_names_from_the_server_lead_nowhere_else(grafana: Grafana) -> None:
    """A uid is the server's word; it becomes a file's name only where it can be one."""
    grafana.dashboards["../../x"] = [
        {"dashboard": {"title": "T", "version": 1}, "folderUid": "/etc", "message": ""}
    ]
    grafana.misbehave("GET", "/api/dashboards/uid/../../x", 200, {"dashboard": {}, "meta": {}})
    assert run(["grafana", "backup", "copy"]) == 0
    found = {path.name for path in Path("copy").rglob("*.json")}
    assert found == {
        "contact-points.json", "datasources.json", "folders.json", "server.json",
        f"uid-{b'../../x'.hex()}.json",
    }  # fmt: skip


@pytest.mark.parametrize("command", ["push", "diff", "backup"])
def test_without_address_or_token_it_says_which(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 64, and nothing is asked."""
    monkeypatch.delenv("GRAFANA_URL", raising=False)
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)
    assert run(["grafana", command]) == 64
    assert "GRAFANA_URL and GRAFANA_TOKEN: not set" in capsys.readouterr().err


def test_the_token_is_never_shown(grafana: Grafana, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever happens."""
    for command in (["diff"], ["push"], ["backup", "copy"]):
        run(["grafana", *command])
    grafana.misbehave("GET", "/api/health", 500, {"message": "x"})
    for command in (["diff"], ["push"], ["backup", "other"]):
        run(["grafana", *command])
    captured = capsys.readouterr()
    assert TOKEN not in captured.out + captured.err
