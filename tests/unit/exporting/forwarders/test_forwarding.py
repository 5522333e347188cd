"""A run's journal arrives elsewhere whole: read back from the files that were written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from toys.event_files import leveldb_records, tf_records
from toys.monitored_run import MonitoredRun
from toys.toy_project import ToyProject, make_project
from voxmill.cli.main import run as voxmill
from voxmill.errors import UsageError
from voxmill.exporting.forwarders.forwarder import manifest_hashes, subject_of, tag_of
from voxmill.exporting.forwarders.forwarding import forward
from voxmill.observability.curves import JournalLine
from voxmill.runs.run import Run

LOSS, WER = "voxmill_train_loss", "voxmill_wer_ratio"


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


@pytest.fixture
def written(toy: ToyProject) -> MonitoredRun:
    """Two attempts: the second went on from step 2, so step 3 was done twice."""
    run = MonitoredRun.open(toy, "one")
    run.journal({"voxmill_train_resumed_step": 0.0}, step=0)
    for step in (1, 2, 3):
        run.journal({LOSS: 10.0 - step}, step=step)
    run.journal({"voxmill_train_resumed_step": 2.0}, step=2, attempt=2)
    run.journal({LOSS: None}, step=3, attempt=2)
    run.journal({WER: 0.25}, step=3, labels={"split": "validation"}, attempt=2)
    run.journal({LOSS: 5.0}, step=4, attempt=2)
    out = run.folder / "artifacts" / "digits" / "evaluate"
    out.mkdir(parents=True)
    (out / "metrics.json").write_text('{"test": {}}')
    lock = {"stages": {"prepare@digits": {"outs": [{"path": "p", "md5": "abc.dir"}]}}}
    (run.folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    (run.folder / "memory" / "digits" / "source.json").write_text("{}")
    return run


def as_run(written: MonitoredRun) -> Run:
    return Run(written.recipe, written.id, written.folder)


EXPECTED = {"train_loss": {1: 9.0, 2: 8.0, 4: 5.0}, "wer_ratio/validation": {3: 0.25}}
"""Of step 3 the second attempt's loss counts, and that was not finite."""


def test_tensorboard_gets_every_point_of_the_true_course(
    toy: ToyProject,
    written: MonitoredRun,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Twice, and still one file with each point once."""
    monkeypatch.chdir(toy.root)
    for _ in range(2):
        assert voxmill(["forward", "one", "--to", "tensorboard", "--out", "tb"]) == 0
    assert "tensorboard --logdir tb" in capsys.readouterr().out
    (file,) = Path("tb/digits/one").iterdir()
    found = _scalars(file)
    for tag, points in EXPECTED.items():
        assert found[tag] == {step: pytest.approx(value) for step, value in points.items()}


def _scalars(file: Path) -> dict[str, dict[int, float]]:
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, dict[int, float]] = {}
    for record in tf_records(file):
        event = Event.FromString(record)
        for value in event.summary.value:
            if value.HasField("simple_value"):
                points = found.setdefault(value.tag, {})
                assert event.step not in points, (value.tag, event.step)
                points[event.step] = value.simple_value
    return found


@pytest.mark.parametrize(
    ("options", "more"), [(["--offline"], {}), ([], {"WANDB_MODE": "offline"})]
)
def test_wandb_offline_gets_points_config_and_comparisons(
    toy: ToyProject,
    written: MonitoredRun,
    tmp_path: Path,
    options: list[str],
    more: dict[str, str],
) -> None:
    """No key and no network; in a process of its own, for wandb leaves one behind."""
    command = [sys.executable, "-m", "voxmill.cli.main", "forward", "one", "--to", "wandb"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    environ |= {"HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9", **more}
    done = subprocess.run(
        [*command, *options, "--out", str(tmp_path / "wb")],
        cwd=toy.root, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "wandb sync" in done.stdout
    (file,) = (tmp_path / "wb").rglob("*.wandb")
    records = _wandb_records(file)
    (opened,) = records["run"][:1]
    config = {each.key: json.loads(each.value_json) for each in opened.config.update}
    assert opened.display_name == subject_of(as_run(written)).name
    assert opened.run_group == "digits"
    assert config["manifests"] == manifest_hashes(as_run(written))
    assert config["recipe"]["title"]
    points: dict[str, dict[int, float]] = {}
    for history in records["history"]:
        values = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for item in history.item
        }
        for key in values.keys() & EXPECTED.keys():
            points.setdefault(key, {})[values["step"]] = values[key]
    assert points == EXPECTED
    named = [
        each.log_artifact.artifact for each in records["request"] if each.HasField("log_artifact")
    ]
    artefacts = [each for each in (*records["artifact"], *named) if each.type == "comparison"]
    assert [each.name for each in artefacts] == ["digits-one-comparisons"]
    assert [entry.path for entry in artefacts[0].manifest.contents] == ["metrics.json"]


def _wandb_records(file: Path) -> dict[str, list[Any]]:
    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, list[Any]] = {"request": [], "artifact": []}
    for content in leveldb_records(file):
        record = Record.FromString(content)
        kind = record.WhichOneof("record_type")
        found.setdefault(kind, []).append(getattr(record, kind))
    return found


def test_wandb_online_without_a_key_fails_before_anything_is_written(
    toy: ToyProject,
    written: MonitoredRun,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 64 and what to do; a day of training must not end with it."""
    monkeypatch.chdir(toy.root)
    for variable in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NETRC", str(toy.control / "no-netrc"))
    assert voxmill(["forward", "one", "--to", "wandb", "--out", "wb"]) == 64
    said = capsys.readouterr().err
    assert "WANDB_API_KEY: not set" in said
    assert "--offline" in said
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert voxmill(["forward", "one", "--to", "wandb", "--out", "wb"]) == 64
    assert "WANDB_MODE=disabled" in capsys.readouterr().err
    assert not Path("wb").exists()


def test_a_run_is_named_by_date_and_commit(written: MonitoredRun) -> None:
    """Sorted by name they stand in order of time."""
    found = subject_of(as_run(written))
    record = json.loads((written.folder / "run.json").read_text())
    assert found.name.startswith(record["created"][:10])
    assert found.name.endswith(record["base_commit"][:7])
    assert found.config["manifests"]["prepare"] == "md5:abc.dir"
    assert found.config["manifests"]["source"].startswith("sha256:")


def test_tags_carry_labels_in_a_fixed_order() -> None:
    """One curve has one name."""
    labels = {"split": "test", "artefact": "hf"}
    assert tag_of("voxmill_packaged_wer_ratio", labels) == "packaged_wer_ratio/hf/test"


class Collector:
    """Keeps what it is sent."""

    place = "here"

    def __init__(self) -> None:
        self.lines: list[JournalLine] = []
        self.finished: list[Path] | None = None

    def send(self, lines: Any) -> None:
        self.lines += lines

    def finish(self, comparisons: Any) -> None:
        self.finished = list(comparisons)


def test_following_sends_what_comes_and_nothing_twice(written: MonitoredRun) -> None:
    """Until there is no more to wait for; a line that grew comes again."""
    taken, looks = Collector(), iter((True, True, False))

    def wait() -> bool:
        more = next(looks)
        if taken.lines:
            written.journal({LOSS: 4.0}, step=5 if more else 6, attempt=2)
        return more

    count = forward(as_run(written), taken, wait=wait)
    steps = [line.step for line in taken.lines if not line.labels]
    assert steps == [0, 1, 2, 3, 4, 5, 6]
    assert count == len(taken.lines)
    assert [path.name for path in taken.finished or ()] == ["metrics.json"]


def test_a_forwarder_is_closed_also_when_the_run_is_left(written: MonitoredRun) -> None:
    """Ctrl-C while following loses nothing that was sent."""
    taken = Collector()

    def wait() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forward(as_run(written), taken, wait=wait)
    assert taken.finished is not None


def test_offline_says_nothing_to_tensorboard(
    toy: ToyProject, written: MonitoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option without effect is a mistake."""
    monkeypatch.chdir(toy.root)
    assert voxmill(["forward", "one", "--to", "tensorboard", "--offline"]) == UsageError.exit_code
