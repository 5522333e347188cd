"""Every question of every dashboard has an answer from a real Prometheus and the real exporter.

Runs, releases, GPU and Airflow are fixtures (see toys/monitored_project.py); all that reads them,
scrapes them and evaluates the queries is the real thing.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toys.dashboards import NAMES, Question, filled, panels, questions, read
from toys.monitored_project import airflow_lines, write_everything
from toys.monitored_run import MonitoredRun
from toys.monitoring import Watched, monitoring, shortened
from toys.toy_project import STAGES, make_project
from voxmill.observability.labels import ARTEFACTS

VALUES = {
    "recipe": "digits",
    "recipes": "digits",
    "run": "now",
    "split": "test",
    "artefact": "onnx-fp32",
    "instance": ".+",
    "price": "2.50",
}
SECONDS_APART = 3  # at least two scrapes between two of Airflow's words
EVALUATION_SECONDS = "voxmill_evaluation_seconds"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The monitors over a project in which everything that can be shown is there."""
    folder = tmp_path_factory.mktemp("dashboards")
    toy = make_project(folder)
    nvml = folder / "nvml.json"
    run = write_everything(toy, nvml)
    MonitoredRun.open(toy, "poor", seconds_ago=60).begin("train", seconds_ago=30)
    _challenge(MonitoredRun.open(toy, "better", seconds_ago=0))
    configuration = shortened(folder / "configuration")
    environ = {"FAKE_NVML": str(nvml)}
    with monitoring(
        toy.root, folder / "monitors", configuration=configuration, environ=environ
    ) as found:
        for _ in range(3):  # a rate needs more than one sample
            found.say(*airflow_lines())
            time.sleep(SECONDS_APART)
        run.journal({EVALUATION_SECONDS: 9.5}, step=500, labels={"split": "validation"})
        run.journal({"voxmill_train_loss": None}, step=500)  # an alert for the list of alerts
        found.wait_for('ALERTS{alertstate="firing",recipe="digits",run="now"}', seconds=60)
        found.wait_for(f"changes({EVALUATION_SECONDS}[1m]) > 0")
        run.journal({"voxmill_train_loss": 0.3}, step=501)
        found.wait_for("voxmill_train_loss == 0.3")
        yield found


def _challenge(run: MonitoredRun) -> None:
    """Finishes a run that is better than the champion, and bigger."""
    for stage in STAGES:
        run.done(stage)
    figures = {
        artefact: {"wer": 0.03, "cer": 0.01, "real_time_factor": 0.02} for artefact in ARTEFACTS
    }
    metrics = {"test": figures, "sizes": dict.fromkeys(ARTEFACTS, 5_000_000)}
    out = run.folder / "artifacts" / run.recipe / "evaluate"
    (out / "metrics.json").write_text(json.dumps(metrics))


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_variable_and_annotation_has_an_answer(name: str, watched: Watched) -> None:
    """At least one series with a finite value, each with the labels that its legend shows."""
    found = {each.where: _problem(watched, each) for each in questions(name, VALUES)}
    assert len(found) > 5
    assert {where: problem for where, problem in found.items() if problem} == {}


def _problem(watched: Watched, question: Question) -> str:
    series = watched.query(question.expression)
    if not series:
        return f"no series: {question.expression}"
    if not any(math.isfinite(float(each["value"][1])) for each in series):
        return f"nothing finite: {question.expression}"
    for each in series:
        lacking = sorted(label for label in question.labels if not each["metric"].get(label))
        if lacking:
            return f"series without {', '.join(lacking)}: {each['metric']}"
    return ""


def test_a_wrong_question_would_be_found(watched: Watched) -> None:
    """A metric that nobody exports, a label that a series lacks, and 0 / 0."""
    asked = (
        ("voxmill_train_los", frozenset[str]()),
        ("voxmill_train_loss", frozenset({"split"})),
        ("0 * voxmill_train_loss / 0", frozenset[str]()),
    )
    for expression, labels in asked:
        question = Question(where="", kind="panel", expression=expression, labels=labels)
        assert _problem(watched, question), expression


TOP_ROW = {
    "now": {
        "Healthy?": "NO: see alerts",
        "Run": "running",
        "Trained": 0.4,
        "Validation WER": 0.3,
        "GPU at work": 0.93,
    },
    "poor": {
        "Run": "running",
        "Backup verified": "NO BACKUP",
        "GPU at work": "no GPU in use",
        "Trained": "nothing yet",
        "Validation WER": "not yet",
    },
    "failed": {"Run": "FAILED", "Done in": "not running", "Done at": "not running"},
    "past-0": {
        "Healthy?": "yes",
        "Run": "finished",
        "Done in": "not running",
        "GPU at work": "no GPU in use",
    },
}


@pytest.mark.parametrize("run", TOP_ROW)
def test_the_first_row_of_training_says_how_a_run_is(run: str, watched: Watched) -> None:
    """In the words that a person reads: a run that trains, a poor one, a failed, a finished one."""
    first = [panel for panel in panels(read("training")) if panel["gridPos"]["y"] == 0]
    said = {panel["title"]: _shown(watched, panel, run) for panel in first}
    for title, expected in TOP_ROW[run].items():
        assert said[title] == (
            pytest.approx(expected, abs=0.01) if isinstance(expected, float) else expected
        ), said


def test_done_in_is_what_the_training_and_the_stages_to_come_take(watched: Watched) -> None:
    """The trainer's own estimate, and the median of finished runs for package and evaluate."""
    panel = next(each for each in panels(read("training")) if each["title"] == "Done in")
    (pending,) = watched.query(
        'sum(voxmill_stage_usual_seconds{recipe="digits",run="now",stage=~"package|evaluate"})'
    )
    shown = _shown(watched, panel, "now")
    assert shown == pytest.approx(0.3 + float(pending["value"][1]))
    at = next(each for each in panels(read("training")) if each["title"] == "Done at")
    assert _shown(watched, at, "now") == pytest.approx(1000 * (time.time() + shown), abs=30_000)


def test_a_backup_s_age_is_shown_and_the_champion_s_version(watched: Watched) -> None:
    """Numbers that move with time, within a minute."""
    backup = next(each for each in panels(read("training")) if each["title"] == "Backup verified")
    assert _shown(watched, backup, "now") == pytest.approx(60, abs=60)
    champion = next(
        each for each in panels(read("releases")) if each["title"] == "Champion in use for"
    )
    (series,) = watched.query(filled(champion["targets"][0]["expr"], VALUES))
    assert series["metric"]["version"] == "v0.2.0"


@pytest.mark.parametrize(
    ("title", "expected"), [("Challenger: WER", -0.5), ("Challenger: size", 0.25)]
)
def test_the_challenger_is_measured_by_the_champion(
    title: str, expected: float, watched: Watched
) -> None:
    """WER 3 % against 6 %, and 5 MB against 4 MB."""
    panel = next(each for each in panels(read("releases")) if each["title"] == title)
    (series,) = watched.query(filled(panel["targets"][0]["expr"], VALUES))
    assert float(series["value"][1]) == pytest.approx(expected)


def _shown(watched: Watched, panel: dict[str, Any], run: str) -> str | float:
    """What Grafana writes on a panel of one value, before it puts the unit on it."""
    (target,) = panel["targets"]
    series = watched.query(filled(target["expr"], {**VALUES, "run": run}))
    defaults = panel["fieldConfig"]["defaults"]
    if not series:
        return str(defaults["noValue"])
    assert len(series) == 1, series
    value = float(series[0]["value"][1])
    for mapping in defaults["mappings"]:
        options = mapping["options"]
        if mapping["type"] == "value" and f"{value:g}" in options:
            return str(options[f"{value:g}"]["text"])
        if mapping["type"] == "range":
            low, high = options["from"], options["to"]
            if (low is None or low <= value) and (high is None or value <= high):
                return str(options["result"]["text"])
    return value


def test_the_folder_of_the_dashboards_is_what_provisioning_names() -> None:
    """Otherwise Grafana starts without a word, and without dashboards."""
    root = Path(__file__).resolve().parents[2] / "monitoring" / "grafana"
    text = (root / "provisioning" / "dashboards" / "voxmill.yml").read_text("utf-8")
    assert "path: $VOXMILL_DASHBOARDS" in text
    assert sorted(path.stem for path in (root / "dashboards").glob("*.json")) == list(NAMES)
