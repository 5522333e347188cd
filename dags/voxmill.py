"""Airflow DAGs of voxmill: one for each recipe, built from pipeline.json.

Airflow takes every DAG it finds among this file's names. What a DAG does stands in
`voxmill.orchestration`; what depends on what stands in dvc.yaml.
"""

import os
from pathlib import Path

from voxmill.orchestration.dag import build_dags
from voxmill.pipeline.snapshot import read_snapshot

PROJECT = Path(os.environ.get("VOXMILL_PROJECT") or Path(__file__).resolve().parents[1])

globals().update(build_dags(read_snapshot(PROJECT / "pipeline.json"), PROJECT))
