"""Links of a task to what a person looks at next: its report, its run's branch, its curves.

Airflow keeps a task's links as XComs and writes them when the task ends; `offer_links` writes them
as it begins, for training takes hours and its curves are looked at meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

from voxmill.runs.run import Run, slug

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

PREFIX = "/voxmill"
"""Where the API server shows voxmill's own pages, below its own address."""
ORIGIN_VARIABLE = "VOXMILL_GIT"
GRAFANA_VARIABLE = "VOXMILL_GRAFANA_URL"
DASHBOARD = "voxmill-training"
"""Uid of the dashboard that shows one run."""

_TREES = {
    "github": "{repository}/tree/{branch}",
    "gitlab": "{repository}/-/tree/{branch}",
    "bitbucket": "{repository}/branch/{branch}",
    "codeberg": "{repository}/src/branch/{branch}",
    "gitea": "{repository}/src/branch/{branch}",
    "forgejo": "{repository}/src/branch/{branch}",
}
"""Page of a branch, by the word in the host's name that tells what runs there."""


class _Link(BaseOperatorLink):  # type: ignore[misc]
    """A link that knows its recipe from the task and its run from Airflow's id of it."""

    name = ""

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """The URL; empty where there is nothing to link to."""
        run_id = slug(ti_key.run_id)
        return self.url(operator.recipe, run_id, getattr(operator, "stage", ""), os.environ)

    def url(self, recipe: str, run: str, stage: str, environ: Mapping[str, str]) -> str:
        """The URL.

        Args:
            recipe: Name of the recipe.
            run: The run's own id.
            stage: Name of the stage; empty for tasks that run none.
            environ: The worker's environment.
        """
        raise NotImplementedError


class ReportLink(_Link):
    """The page that the stage's report is read on; the run's page for other tasks."""

    name = "Report"

    def url(self, recipe: str, run: str, stage: str, environ: Mapping[str, str]) -> str:
        """See the base class."""
        return report_path(recipe, run, stage)


class BranchLink(_Link):
    """The run's branch, where the git origin is a forge that shows branches."""

    name = "Run branch"

    def url(self, recipe: str, run: str, stage: str, environ: Mapping[str, str]) -> str:
        """See the base class."""
        return branch_page(environ.get(ORIGIN_VARIABLE, ""), _branch(recipe, run))


class MetricsLink(_Link):
    """The run's dashboard in Grafana, where `VOXMILL_GRAFANA_URL` says where that is."""

    name = "Metrics"

    def url(self, recipe: str, run: str, stage: str, environ: Mapping[str, str]) -> str:
        """See the base class."""
        return dashboard_page(environ.get(GRAFANA_VARIABLE, ""), recipe, run)


LINKS = (ReportLink(), BranchLink(), MetricsLink())
"""For `operator_extra_links` of a task."""


def offer_links(operator: BaseOperator, ti: RuntimeTaskInstanceProtocol) -> None:
    """Shows a task's links from its first second on.

    Args:
        operator: The task, with `recipe` and, where it runs one, `stage`.
        ti: Its instance, as the context has it.
    """
    for link in LINKS:
        ti.xcom_push(key=link.xcom_key, value=link.get_link(operator, ti_key=ti))


def report_path(recipe: str, run: str, stage: str = "") -> str:
    """Path of a run's page, or of a stage's, on the server that shows the task.

    A path and no URL: the browser knows by which name and port it reached the server.

    Args:
        recipe: Name of the recipe.
        run: The run's own id.
        stage: Name of the stage.
    """
    from airflow.configuration import conf

    base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return f"{base}{PREFIX}/runs/{recipe}/{run}/{f'{stage}/' if stage else ''}"


def branch_page(origin: str, branch: str) -> str:
    """Page of a branch at its forge; empty for folders and for hosts that we do not know.

    Args:
        origin: URL of the git origin: https, ssh, or scp's `git@host:owner/name.git`.
        branch: Name of the branch.
    """
    host, path = _host_and_path(origin)
    kind = next((kind for kind in _TREES if kind in host.split(".")), "")
    if not (kind and path):
        return ""
    repository = f"https://{host}/{path.strip('/').removesuffix('.git')}"
    return _TREES[kind].format(repository=repository, branch=quote(branch))


def dashboard_page(grafana: str, recipe: str, run: str) -> str:
    """A run's dashboard; empty where nobody says where Grafana is."""
    if not grafana:
        return ""
    return f"{grafana.rstrip('/')}/d/{DASHBOARD}?var-recipe={quote(recipe)}&var-run={quote(run)}"


def _branch(recipe: str, run: str) -> str:
    return Run(recipe, run, Path()).branch


def _host_and_path(origin: str) -> tuple[str, str]:
    """Host without user and port, and path; both empty for a folder."""
    if "://" in origin:
        parts = urlsplit(origin)
        known = parts.scheme in {"http", "https", "ssh", "git+ssh"}
        return (parts.hostname or "", parts.path) if known else ("", "")
    user_and_host, colon, path = origin.partition(":")
    if not colon or "/" in user_and_host:
        return "", ""
    return user_and_host.rpartition("@")[2].lower(), path
