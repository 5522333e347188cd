"""Airflow's plugin: the API server also shows voxmill's own pages, to whoever is logged in.

Every component of Airflow loads plugins, so nothing is imported before the API server asks.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin

PREFIX = "/voxmill"


class VoxmillPlugin(AirflowPlugin):  # type: ignore[misc]
    """Found by its entry point in the group `airflow.plugins`."""

    name = "voxmill"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The pages, mounted below the API server's own address."""
        from voxmill.orchestration.report_pages import make_app
        from voxmill.orchestration.report_pages_files import Place
        from voxmill.orchestration.report_pages_guard import may_read_recipe, may_read_something

        project = Path(os.environ.get("VOXMILL_PROJECT") or Path.cwd())
        home = Path(os.environ.get("VOXMILL_HOME") or project / ".voxmill").absolute()
        place = Place(project=project, runs=home / "runs")
        app = make_app(place, guard=may_read_something, recipe_guard=may_read_recipe)
        return [{"app": app, "url_prefix": PREFIX, "name": self.name}]
