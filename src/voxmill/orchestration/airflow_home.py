"""An Airflow of one's own: its home, its database, the project's DAGs; apart from any other.

Airflow reads its settings when it is imported, so `enter` comes before the first import of it;
this file imports none.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from importlib.metadata import version
from pathlib import Path

DATABASE = "airflow.db"
_MIGRATED = "migrated-for"
IDENTITY = (
    "AIRFLOW_HOME",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
)
"""Those of `settings` that nobody else's setting may replace."""


def enter(home: Path, *, project: Path, environ: MutableMapping[str, str]) -> None:
    """Points Airflow at its own home and at the project's DAGs.

    Args:
        home: Folder of configuration, database and logs; made where it is not there.
        project: The checkout with `dags/` and `pipeline.json`.
        environ: The environment of this process; changed.

    Raises:
        RuntimeError: Airflow has been imported already, so it would not read the settings.
    """
    if "airflow" in sys.modules:
        raise RuntimeError("airflow_home.enter came after an import of airflow")
    # Airflow says where it reads its settings, before it has read how much it is to say.
    logging.getLogger("airflow").setLevel(logging.WARNING)
    home.mkdir(parents=True, exist_ok=True)
    environ.update(settings(home, project=project))
    environ.update(
        {
            # Airflow's handler would hold our own lines back at WARNING; `rehearsal` quietens the
            # standard loggers, this its own kind.
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow=WARNING task=WARNING",
            "AIRFLOW__LOGGING__CALLSITE_PARAMETERS": "",
        }
    )


def settings(home: Path, *, project: Path) -> dict[str, str]:
    """The environment variables that tie an Airflow to its home and to the project's DAGs.

    Args:
        home: Folder of configuration, database and logs.
        project: The checkout with `dags/` and `pipeline.json`.
    """
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / DATABASE}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(project / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "VOXMILL_PROJECT": str(project),
    }


def is_migrated(home: Path) -> bool:
    """Whether this Airflow has made or migrated the home's SQLite database.

    Asking the database itself would cost the second start some seconds, so a file remembers it.
    """
    marker = home / _MIGRATED
    wanted = version("apache-airflow")
    return marker.exists() and marker.read_text() == wanted and (home / DATABASE).exists()


def migrate(home: Path) -> bool:
    """Makes or migrates the database where this Airflow has not done so; says whether it did."""
    if is_migrated(home):
        return False
    from airflow.utils.db import initdb

    initdb()
    if (home / DATABASE).exists():  # it lies elsewhere where a server has PostgreSQL
        (home / _MIGRATED).write_text(version("apache-airflow"))
    return True
