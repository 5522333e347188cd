"""Where links lead: the run in Airflow, its report, the runbook's paragraph."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

_FIELD = "${__data.fields.%s}"


def link(title: str, url: str) -> DashboardLink:
    """A link that opens beside the dashboard."""
    plain = DashboardLink(title).type(DashboardLinkType.LINK).icon("external link")
    return plain.url(url).target_blank(target_blank=True)


def airflow_run() -> DashboardLink:
    """The DAG's run, with its tasks and logs; voxmill's pages know Airflow's id of it."""
    return link("Run in Airflow", "${airflow}/voxmill/runs/${recipe}/${run}/airflow")


def report(recipe: str = "${recipe}", run: str = "${run}") -> DashboardLink:
    """The page that the stage `evaluate` writes."""
    return link("Evaluation report", f"${{airflow}}/voxmill/runs/{recipe}/{run}/evaluate/")


def stage_report(title: str, stage: str) -> DashboardLink:
    """What a stage says of itself: checks, figures, files."""
    return link(title, f"${{airflow}}/voxmill/runs/${{recipe}}/${{run}}/{stage}/")


def stage_report_of_row() -> DashboardLink:
    """The report of the stage in a table's row."""
    return stage_report("Report of the stage", _FIELD % "stage")


def training_of_row() -> DashboardLink:
    """The dashboard *Training* of the run in a table's row."""
    recipe, run = _FIELD % "recipe", _FIELD % "run"
    return link("Look closer", f"/d/voxmill-training?var-recipe={recipe}&var-run={run}")


def report_of_row() -> DashboardLink:
    """The evaluation report of the run in a table's row."""
    return report(_FIELD % "recipe", _FIELD % "run")


def airflow() -> DashboardLink:
    """Airflow's front page."""
    return link("Airflow", "${airflow}/")


def runbook() -> DashboardLink:
    """What the alert in a table's row means, and what to do."""
    return link("What to do", "${runbook}#" + _FIELD % "alertname")
