"""Alerts that people trust: each is tested with promtool, explained, and asks for what there is."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from toys.monitoring import CONFIGURATION, REPOSITORY, shortened, shorter_expression
from toys.programs import program
from toys.promql import grouped_labels, known_labels, mistakes, selectors

RULES = sorted((CONFIGURATION / "prometheus" / "rules").glob("*.yml"))
CASES = sorted((CONFIGURATION / "prometheus" / "tests").glob("*.test.yml"))
RUNBOOK = (CONFIGURATION / "runbook.md").read_text()
WORDLESS = {
    "TrainingGaveUp",
    "RunFailed",
    "RunAbandoned",
    "ExporterDown",
    "DagFailed",
    "SchedulerSilent",
    "AlertsUndelivered",
}
"""Alerts whose value says nothing beyond that they fire."""


def rules() -> list[dict[str, Any]]:
    """Every rule of every file."""
    files = [yaml.safe_load(path.read_text()) for path in RULES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = [rule for rule in rules() if "record" in rule]
NAMES = {rule["alert"] for rule in ALERTS}


def labels_of(expression: str, known: dict[str, frozenset[str]]) -> frozenset[str]:
    """Every label that a series of the expression may have."""
    found = {label for one in selectors(expression) for label in known[one.metric]}
    return frozenset(found | grouped_labels(expression))


def recorded_labels() -> dict[str, frozenset[str]]:
    """Labels by name of the recording rules."""
    found: dict[str, frozenset[str]] = {}
    for rule in RECORDED:
        dropped = re.findall(r"without \(([^)]*)\)", rule["expr"])
        left = {label.strip() for labels in dropped for label in labels.split(",")}
        found[rule["record"]] = labels_of(rule["expr"], {**known_labels(), **found}) - left
    return found


def promtool(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """What promtool says and how it ends."""
    command = [program("promtool"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("rule", [*RECORDED, *ALERTS], ids=lambda r: r.get("alert") or r["record"])
def test_rules_ask_only_for_catalogued_metrics_and_labels(rule):
    """A misspelt name would be an alert that never comes."""
    assert not mistakes(rule["expr"], recorded_labels())


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_grave_it_is_what_it_found_and_where_to_look(rule):
    """Severity of three, a summary that names its object, the value, links."""
    name, notes = rule["alert"], rule["annotations"]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(notes) - {"run_url"} == {"summary", "description", "dashboard", "runbook_url"}
    assert notes["runbook_url"] == "{{ $externalLabels.runbook }}#" + name.lower()
    text = notes["summary"] + notes["description"]
    assert "$value" in text or name in WORDLESS
    shown = set(re.findall(r"\$labels\.(\w+)", " ".join(notes.values())))
    known = {**known_labels(), **recorded_labels()}
    made = set(re.findall(r'label_replace\(.*?"(\w+)", "\$1"', rule["expr"], re.DOTALL))
    assert shown <= labels_of(rule["expr"], known) | made


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_links_lead_to_dashboards_that_are_there_with_their_variables(rule):
    """Uid and `var-…` of each link stand in the generated dashboards."""
    boards = {
        board["uid"]: board
        for board in (
            yaml.safe_load(path.read_text())
            for path in (CONFIGURATION / "grafana" / "dashboards").glob("*.json")
        )
    }
    link = rule["annotations"]["dashboard"]
    uid = re.search(r"/d/([\w-]+)", link)
    assert uid
    variables = {one["name"] for one in boards[uid[1]]["templating"]["list"]}
    assert set(re.findall(r"var-(\w+)=", link)) <= variables


def test_the_runbook_has_a_paragraph_for_each_alert_and_no_other():
    """What it means, how to look, what to do, when it is a false alarm."""
    sections = re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]
    by_name = {section.split("\n", 1)[0]: section for section in sections}
    assert set(by_name) == NAMES
    for name, section in by_name.items():
        for part in ("**Means:**", "**False alarm:**"):
            assert part in section, (name, part)
        assert ("**Look:**" in section and "**Do:**" in section) or "**Look and do:**" in section


@dataclass(frozen=True)
class Moment:
    """What a case of a promtool test expects to fire at one time."""

    case: str
    minutes: int
    firing: frozenset[str]


def moments() -> list[Moment]:
    """Of all cases, in the order of time."""
    found = []
    for path in CASES:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for asked in case["promql_expr_test"]:
                assert 'ALERTS{alertstate="firing"}' in asked["expr"]
                samples = " ".join(sample["labels"] for sample in asked["exp_samples"])
                firing = frozenset(re.findall(r'alertname="(\w+)"', samples))
                minutes = int(asked["eval_time"].removesuffix("m"))
                found.append(Moment(f"{path.name}: {case['name']}", minutes, firing))
    return sorted(found, key=lambda moment: (moment.case, moment.minutes))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_alert_is_tested_silent_firing_and_silent_again(name):
    """It fires and resolves in one case; there is a healthy moment before, or a case of its own."""
    mine = [moment for moment in moments() if name in moment.case]
    fires = [moment for moment in mine if name in moment.firing]
    assert fires
    assert any(
        later.case == moment.case and later.minutes > moment.minutes and name not in later.firing
        for moment in fires
        for later in mine
    )
    assert any(
        name not in other.firing and (other.case != moment.case or other.minutes < moment.minutes)
        for moment in fires
        for other in mine
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_the_cases_hold(path):
    """`promtool test rules` on the checked-in files."""
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_a_rule_that_never_fires_breaks_its_cases(path, tmp_path):
    """The cases can fail: with every alert muted each of them is missed by name."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "tests").mkdir()
    for file in RULES:
        content = yaml.safe_load(file.read_text())
        for group in content["groups"]:
            group["rules"] = [rule for rule in group["rules"] if "alert" in rule]
            for rule in group["rules"]:
                rule["expr"] = "vector(0) > 1"
        (tmp_path / "rules" / file.name).write_text(yaml.safe_dump(content))
    copy = tmp_path / "tests" / path.name
    copy.write_text(path.read_text())
    done = promtool("test", "rules", str(copy))
    assert done.returncode != 0
    missed = set(re.findall(r'exp:.*?alertname="(\w+)"', done.stdout + done.stderr))
    group = path.name.removesuffix(".test.yml")
    content = yaml.safe_load((CONFIGURATION / "prometheus" / "rules" / f"{group}.yml").read_text())
    assert missed == {rule["alert"] for one in content["groups"] for rule in one["rules"]}


def test_prometheus_takes_its_configuration_and_rules():
    """`promtool check config` reads the rules and target files too."""
    done = promtool("check", "config", str(CONFIGURATION / "prometheus" / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_sets_of_targets_name_the_same_jobs():
    """Compose mounts its folder over the other one; a file that lacks would be a job without."""
    folders = [CONFIGURATION / "prometheus" / name for name in ("targets", "targets-compose")]
    first, second = ({path.name for path in folder.glob("*.yml")} for folder in folders)
    assert first == second
    for folder in folders:
        for path in folder.glob("*.yml"):
            (group,) = yaml.safe_load(path.read_text())
            assert re.fullmatch(r"[\w.]+:\d+", group["targets"][0])


def test_alertmanager_takes_its_configuration_and_every_severity_has_a_way():
    """`amtool` checks the file and follows the routes."""
    path = str(CONFIGURATION / "alertmanager" / "alertmanager.yml")
    amtool = program("amtool")
    command = [amtool, "check-config", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for severity, receiver in (("critical", "urgent"), ("warning", "attention")):
        command = [amtool, "config", "routes", "test", f"--config.file={path}"]
        done = subprocess.run(
            [*command, f"severity={severity}"], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == receiver


def test_inhibitions_speak_of_alerts_that_there_are():
    """A renamed alert must not leave a rule that mutes nothing."""
    path = CONFIGURATION / "alertmanager" / "alertmanager.yml"
    for rule in yaml.safe_load(path.read_text())["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            _, names = re.split(r"!?=~?", matcher.replace('"', ""))
            assert set(names.split("|")) <= NAMES


def test_shortened_rules_are_the_real_ones_with_shorter_times(tmp_path):
    """The proof's rules: same names, all of them valid, a second for a minute."""
    made = shortened(tmp_path)
    files = [str(path) for path in (made / "prometheus" / "rules").glob("*.yml")]
    done = promtool("check", "rules", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [yaml.safe_load(Path(file).read_text()) for file in files]
    short = {
        rule["alert"]: rule
        for file in found
        for group in file["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert set(short) == NAMES
    assert short["GateUnanswered"]["for"] == "30000ms"
    assert short["BackupStale"]["expr"].startswith(
        "time() - voxmill_backup_verified_timestamp_seconds > 120\n"
    )
    assert (
        shorter_expression("a[10m:30s] offset 1h > 1800") == "a[10000ms:500ms] offset 60000ms > 30"
    )
