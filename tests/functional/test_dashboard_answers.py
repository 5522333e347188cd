"""What *Training* answers where several machines run trainings: promtool evaluates its queries."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from toys.dashboards import filled, panels, read
from toys.programs import program

VALUES = {"recipe": "digits", "run": "one"}
OURS = 'instance="ours", recipe="digits", run="one"'
SERIES = {
    f'voxmill_run_state{{{OURS}, state="running"}}': "1x30",
    f"voxmill_run_gpus{{{OURS}}}": "1x30",
    'voxmill_run_gpus{instance="theirs", recipe="digits", run="two"}': "1x30",
    'voxmill_gpu_utilisation_ratio{instance="ours", gpu="0"}': "0.1x30",
    'voxmill_gpu_utilisation_ratio{instance="theirs", gpu="0"}': "0.9x30",
    'voxmill_gpu_memory_used_bytes{instance="ours", gpu="0"}': "20x30",
    'voxmill_gpu_memory_used_bytes{instance="theirs", gpu="0"}': "80x30",
    'voxmill_gpu_memory_total_bytes{instance="ours", gpu="0"}': "80x30",
    'voxmill_gpu_memory_total_bytes{instance="theirs", gpu="0"}': "80x30",
    f'voxmill_evaluation_seconds{{{OURS}, split="validation"}}': "_x10 5x9 6x10",
    'ALERTS{alertname="GpuIdle", alertstate="firing", instance="theirs"}': "1x30",
    'ALERTS{alertname="RunFailed", alertstate="firing", instance="theirs", recipe="digits", '
    'run="two"}': "1x30",
    'ALERTS{alertname="GpuLost", alertstate="firing", instance="ours"}': "_x14 1x5 _x10",
}


def question(title: str) -> str:
    """The only query of a panel of *Training*."""
    panel = next(each for each in panels(read("training")) if each["title"] == title)
    (target,) = panel["targets"]
    return filled(target["expr"], VALUES)


def mark(name: str) -> str:
    """The query of its marks on the time axis."""
    marks = read("training")["annotations"]["list"]
    return filled(next(each["expr"] for each in marks if each["name"] == name), VALUES)


def check(tmp_path: Path, *asked: dict[str, Any]) -> None:
    """Puts questions to promtool and compares what it answers."""
    series = [{"series": name, "values": values} for name, values in SERIES.items()]
    case = {"interval": "1m", "input_series": series, "promql_expr_test": list(asked)}
    file = tmp_path / "answers.test.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}))
    command = [program("promtool"), "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def asks(expression: str, minute: int, *values: float) -> dict[str, Any]:
    """A question at one minute, whatever the labels of its answers, and the expected values."""
    samples = [{"labels": f'{{n="{n}"}}', "value": value} for n, value in enumerate(values)]
    expression = f'label_replace(max({expression}), "n", "0", "", "")' if values else expression
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}


@pytest.mark.parametrize(
    ("title", "expected"), [("GPU at work", 0.1), ("GPU use", 0.1), ("GPU memory", 0.25)]
)
def test_gpus_are_those_of_the_machine_that_the_run_is_on(
    tmp_path: Path, title: str, expected: float
) -> None:
    """Its own is idle while another machine's is busy: the rent is wasted."""
    check(tmp_path, asks(question(title), 9, expected))


def test_a_run_is_not_healthy_while_its_machine_is_not(tmp_path: Path) -> None:
    """Alerts about its GPUs and disks count, those of other machines and runs do not."""
    healthy = question("Healthy?")
    check(tmp_path, asks(healthy, 10, 0), asks(healthy, 16, 1), asks(healthy, 26, 0))
    listed = {
        "expr": question("Alerts"),
        "eval_time": "16m",
        "exp_samples": [{"labels": '{alertname="GpuLost"}', "value": 1}],
    }
    check(tmp_path, listed)


def test_the_first_evaluation_is_marked_as_every_later_one(tmp_path: Path) -> None:
    """Its series begins there, which is no change of a value."""
    found = f"sum by (split) (0 * ({mark('Evaluations')}) + 1)"
    at = {"labels": '{split="validation"}', "value": 1}
    moments = {8: [], 10: [at], 13: [], 20: [at], 24: []}
    check(
        tmp_path,
        *(
            {"expr": found, "eval_time": f"{minute}m", "exp_samples": samples}
            for minute, samples in moments.items()
        ),
    )


def test_gates_and_rejects_lead_to_the_reports_that_speak_of_them() -> None:
    """The stage's own report, not the evaluation's."""
    expected = {
        ("data", "Left out by reason"): "${airflow}/voxmill/runs/${recipe}/${run}/audit/",
        ("data", "Gates"): "${airflow}/voxmill/runs/${recipe}/${run}/${__data.fields.stage}/",
        ("training", "Stages"): "${airflow}/voxmill/runs/${recipe}/${run}/${__data.fields.stage}/",
    }
    for (name, title), url in expected.items():
        panel = next(each for each in panels(read(name)) if each["title"] == title)
        assert url in json.dumps(panel["fieldConfig"]["defaults"]["links"]), title
