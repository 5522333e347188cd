"""The dashboards as they are checked in: valid, readable, and only of what there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import grafana_foundation_sdk.models.units as sdk_units
import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from jsonschema import Draft7Validator

from toys.dashboards import NAMES, panels, questions, read, variables, variables_used
from toys.promql import legend_labels, mistakes
from voxmill.cli.grafana import DASHBOARDS, stale_files
from voxmill.exporting.dashboards import frame
from voxmill.exporting.dashboards.catalogue import dashboard_texts
from voxmill.exporting.dashboards.panels import DATASOURCE
from voxmill.exporting.dashboards.wording import RUN_CODES, STAGE_CODES
from voxmill.observability.labels import RUN_STATES, STAGE_STATES, STAGES

ROOT = Path(__file__).resolve().parents[4]
SCHEMA = json.loads(Path(__file__).with_name("grafana-11.6.0.schema.json").read_text("utf-8"))
PROMETHEUS_ANNOTATION = {
    "expr",
    "step",
    "tagKeys",
    "textFormat",
    "titleFormat",
    "useValueForTime",
}
"""Fields that the Prometheus datasource adds to annotations; the schema knows no datasource's."""
VALUES = {
    "recipe": "digits",
    "recipes": "digits",
    "run": "r1",
    "split": "test",
    "artefact": "onnx-fp32",
    "instance": ".+",
    "price": "2.5",
}
UNIT_PREFIXES = ("suffix:", "time:")


def marks(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """What stands on the time axis."""
    return list(dashboard.get("annotations", {}).get("list") or ())


every_dashboard = pytest.mark.parametrize("name", NAMES)


def test_there_are_the_five() -> None:
    """One for each question that a person comes with."""
    assert set(NAMES) == {"training", "fleet", "data", "releases", "platform"}


def test_the_checked_in_files_are_fresh() -> None:
    """`voxmill grafana build` would write nothing; the same code gives the same bytes."""
    assert stale_files(ROOT / DASHBOARDS, dashboard_texts()) == []
    assert dashboard_texts() == dashboard_texts()


def test_files_that_differ_lack_or_are_left_over_are_stale(tmp_path: Path) -> None:
    """A dashboard that nobody builds any more would stay in Grafana for ever."""
    (tmp_path / "same.json").write_text("1")
    (tmp_path / "old.json").write_text("1")
    (tmp_path / "gone.json").write_text("1")
    wanted = {"same.json": "1", "old.json": "2", "new.json": "1"}
    assert stale_files(tmp_path, wanted) == ["old.json", "new.json", "gone.json"]


@every_dashboard
def test_a_dashboard_is_valid_by_grafanas_own_types(name: str) -> None:
    """Grafana drops what it does not know, and says nothing."""
    dashboard = read(name)
    for annotation in marks(dashboard):
        for field in PROMETHEUS_ANNOTATION:
            annotation.pop(field, None)
    assert _problems("dashboard", dashboard) == []
    for panel in panels(dashboard):
        kind = panel["type"].replace("-", "")
        assert _problems(f"{kind}.Options", panel["options"]) == [], panel["title"]
        custom = panel["fieldConfig"]["defaults"].get("custom") or {}
        if f"{kind}.FieldConfig" in SCHEMA:
            assert _problems(f"{kind}.FieldConfig", custom) == [], panel["title"]
        else:
            assert custom == {}, panel["title"]


def _problems(name: str, value: object) -> list[str]:
    validator = Draft7Validator(SCHEMA[name])
    return [f"{list(e.absolute_path)}: {e.message[:300]}" for e in validator.iter_errors(value)]


def test_the_schema_would_find_a_mistake() -> None:
    """A wrong field, type and option, each of them."""
    dashboard = read("fleet")
    dashboard["annotations"]["list"] = []
    for change in ({"colour": "red"}, {"id": "one"}, {"gridPos": {"x": 0}}):
        wrong = json.loads(json.dumps(dashboard))
        wrong["panels"][0] |= change
        assert _problems("dashboard", wrong), change
    assert _problems("stat.Options", {**panels(dashboard)[0]["options"], "graphMode": "pie"})


@every_dashboard
def test_the_sdk_reads_back_what_it_wrote(name: str) -> None:
    """Nothing in the files stands outside the pinned SDK's model but the annotations' fields."""
    plugins.register_default_plugins()
    found = read(name)
    again = json.loads(frame.as_text(Dashboard.from_json(json.loads(json.dumps(found)))))
    found.pop("annotations", None)
    again.pop("annotations", None)
    assert again == found


@every_dashboard
def test_panels_lie_beside_each_other_and_have_their_own_ids(name: str) -> None:
    """Grafana shoves overlapping panels around; two with one id share their links."""
    found = read(name)["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    assert all(panel["id"] > 0 for panel in found)
    for panel in found:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= frame.WIDTH, panel["title"]
        assert place["w"] > 0
        assert place["h"] > 0
    for one, other in combinations(found, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


@every_dashboard
def test_rows_of_panels_are_full_and_follow_each_other(name: str) -> None:
    """No gap at the right, none between the rows: gaps look as if something failed to load."""
    found = read(name)["panels"]
    covered = sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in found)
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in found)
    assert covered == bottom * frame.WIDTH


@every_dashboard
def test_every_panel_says_what_it_shows(name: str) -> None:
    """Title, a description in sentences, unit, thresholds, a word for no value."""
    found = panels(read(name))
    titles = [panel["title"] for panel in found]
    assert len(titles) == len(set(titles)), titles
    known = {value for key, value in vars(sdk_units).items() if key.isupper() or key[0].isupper()}
    known = {value for value in known if isinstance(value, str)}
    for panel in found:
        assert panel["title"]
        assert len(panel["description"]) > 15, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["noValue"], panel["title"]
        assert defaults["thresholds"]["steps"], panel["title"]
        for unit in (defaults["unit"], *_units_of_columns(panel)):
            assert unit in known or unit.startswith(UNIT_PREFIXES), (panel["title"], unit)


def _units_of_columns(panel: dict[str, Any]) -> Iterator[str]:
    for override in panel["fieldConfig"]["overrides"]:
        yield from (each["value"] for each in override["properties"] if each["id"] == "unit")


@every_dashboard
def test_thresholds_rise(name: str) -> None:
    """The first step has no value, the others are in order; else Grafana shows the last colour."""
    for panel in panels(read(name)):
        first, *others = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert first["value"] is None
        values = [step["value"] for step in others]
        assert values == sorted(set(values)), panel["title"]


@every_dashboard
def test_panels_with_several_series_name_them_by_a_label(name: str) -> None:
    """Time lines and bars have a legend with a label for each series, tables have columns."""
    for panel in panels(read(name)):
        legends = [target.get("legendFormat", "") for target in panel["targets"]]
        if panel["type"] in {"timeseries", "state-timeline", "bargauge", "barchart"}:
            assert all(legend_labels(legend) for legend in legends), panel["title"]
            if panel["type"] in {"timeseries", "bargauge"}:
                assert len(set(legends)) == len(legends), panel["title"]
        if panel["type"] == "table":
            kinds = {target["format"] for target in panel["targets"]}
            assert kinds == {"table"}, panel["title"]
            assert all(target["instant"] for target in panel["targets"])


@every_dashboard
def test_the_datasource_is_the_fixed_one_everywhere(name: str) -> None:
    """A panel that names another datasource stays empty on every other server."""
    dashboard = read(name)
    wanted = {"type": "prometheus", "uid": DATASOURCE.uid}
    asking = [variable for variable in variables(dashboard) if variable["type"] == "query"]
    asked = [target for panel in panels(dashboard) for target in panel["targets"]]
    assert asked
    assert all(each["datasource"] == wanted for each in (*panels(dashboard), *asked))
    assert all(each["datasource"] == wanted for each in (*asking, *marks(dashboard)))


@every_dashboard
def test_variables_ask_again_when_the_page_does(name: str) -> None:
    """Without `refresh` a variable, and with it every panel, stays as it was saved: empty."""
    for variable in variables(read(name)):
        assert variable["label"], variable["name"]
        if variable["type"] == "query":
            assert variable["refresh"] == 2, variable["name"]


@every_dashboard
def test_only_variables_that_there_are_are_used(name: str) -> None:
    """In expressions, links and other variables."""
    dashboard = read(name)
    names = {variable["name"] for variable in variables(dashboard)}
    assert variables_used(json.dumps(dashboard)) <= names
    needed = {"recipe", "run"} & names
    asked = json.dumps([panel["targets"] for panel in panels(dashboard)])
    assert needed <= variables_used(asked)


@every_dashboard
def test_only_catalogued_metrics_and_labels_are_asked_for(name: str) -> None:
    """What nobody exports can never be shown."""
    asked = questions(name, VALUES)
    found = {each.where: mistakes(each.expression) for each in asked}
    assert {where: problems for where, problems in found.items() if problems} == {}


@every_dashboard
def test_dashboards_lead_to_each_other_and_carry_the_choice_along(name: str) -> None:
    """A person goes from Fleet to Training without choosing anew."""
    links = {each["type"]: each for each in read(name)["links"]}
    assert links["dashboards"]["tags"] == ["voxmill"]
    assert links["dashboards"]["includeVars"]
    assert links["dashboards"]["keepTime"]
    assert read(name)["tags"] == ["voxmill"]
    assert len(read(name)["uid"]) <= 40  # Grafana refuses longer ones


def test_a_variable_that_is_carried_along_means_the_same_everywhere() -> None:
    """What is "all" in one dashboard would be an unknown recipe in the next."""
    kinds: dict[str, set[bool]] = {}
    for name in NAMES:
        for variable in variables(read(name)):
            kinds.setdefault(variable["name"], set()).add(bool(variable.get("multi")))
    assert {name: each for name, each in kinds.items() if len(each) > 1} == {}


def test_ten_seconds_on_training_answer_the_four_questions() -> None:
    """Healthy? When done? Backups good? GPU at work? In the first row, in words and colours."""
    first = [panel for panel in panels(read("training")) if panel["gridPos"]["y"] == 0]
    titles = {panel["title"] for panel in first}
    assert {"Healthy?", "Done in", "Done at", "Backup verified", "GPU at work"} <= titles
    assert all(panel["type"] == "stat" for panel in first)
    assert all(panel["options"]["colorMode"] == "background" for panel in first)
    assert all(panel["gridPos"]["h"] == 4 for panel in first)
    by_title = {panel["title"]: panel["fieldConfig"]["defaults"] for panel in first}
    for title in ("Healthy?", "Run", "Backup verified", "GPU at work"):
        assert by_title[title]["mappings"], title


def test_every_state_has_a_number_words_and_a_colour() -> None:
    """A state without a mapping would show as a bare number."""
    assert set(RUN_CODES) == set(RUN_STATES)
    assert set(STAGE_CODES) == set(STAGE_STATES)
    for title, codes in (("Run", RUN_CODES), ("Stages over time", STAGE_CODES)):
        panel = next(each for each in panels(read("training")) if each["title"] == title)
        texts = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
        assert set(texts) == {str(number) for number in codes.values()}
        assert all(text["text"] and text["color"] for text in texts.values())


def test_panels_lead_to_the_run_the_report_and_the_runbook() -> None:
    """From what is seen to where something can be done about it."""
    training = json.dumps(read("training"))
    assert "${airflow}/voxmill/runs/${recipe}/${run}/airflow" in training
    assert "${airflow}/voxmill/runs/${recipe}/${run}/evaluate/" in training
    for name in ("training", "fleet", "platform"):
        alerts = next(panel for panel in panels(read(name)) if panel["title"] == "Alerts")
        (link,) = alerts["fieldConfig"]["defaults"]["links"]
        assert link["url"] == "${runbook}#${__data.fields.alertname}"
    runs = next(panel for panel in panels(read("fleet")) if panel["title"] == "Runs")
    urls = [link["url"] for link in runs["fieldConfig"]["defaults"]["links"]]
    assert "/d/voxmill-training?var-recipe=${__data.fields.recipe}" in urls[0]


def test_events_mark_stages_evaluations_and_releases() -> None:
    """On the time axis of *Training*."""
    found = {each["name"]: each for each in marks(read("training"))}
    assert set(found) == {"Stages", "Evaluations", "Releases"}
    assert all(each["enable"] for each in found.values())


def test_stages_stand_in_their_order() -> None:
    """In the timeline by the order of its queries, in tables by their number."""
    stages = next(each for each in panels(read("training")) if each["title"] == "Stages over time")
    for target, stage in zip(stages["targets"], STAGES, strict=True):
        assert f'stage="{stage}"' in target["expr"]
    for name, title in (("training", "Stages"), ("data", "Gates")):
        table = next(each for each in panels(read(name)) if each["title"] == title)
        assert [each["displayName"] for each in table["options"]["sortBy"]] == ["#"]
        numbered = table["targets"][0]["expr"].split(" or ")
        for number, (part, stage) in enumerate(zip(numbered, STAGES, strict=True), start=1):
            assert f'vector({number}), "stage", "{stage}"' in part
