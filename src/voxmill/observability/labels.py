"""The values that labels may have: closed sets, or names that somebody declares."""

from __future__ import annotations

from collections.abc import Mapping

STAGES = ("ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate")
ARTEFACTS = ("hf", "onnx-fp32", "onnx-int8")

RUN_STATES = ("running", "waiting", "stopped", "failed", "finished", "released")
"""Of a run: a job goes on; between stages or for a person; asked to stop; a stage failed; all
stages done; done and tagged."""
STAGE_STATES = ("pending", "running", "done", "not_applicable", "failed", "stopped", "refused")
"""Of a stage; `refused`: a gate before it failed and nobody waived it."""
VERDICTS = ("passed", "failed", "waived")
DECODERS = ("ctc", "attention")
"""What reads tokens out of a network, each from a branch of its own."""
STOP_REASONS = ("collapse", "regression", "stuck", "explosion", "milestone")
"""Why the trainer itself ends a training that cannot succeed."""
GOAL_FIGURES = ("wer", "cer")
"""What goals are set for."""
ROLES = ("champion", "challenger", "former")
"""Of a version: in use; the newest finished run that is not; the others."""
PLACES = ("home", "cache", "remote")
ERROR_REASONS = ("run", "journal", "report", "registry", "host", "gpu", "statsd")
"""What the exporter was reading when something was wrong."""
TASK_STATES = (
    "success",
    "failed",
    "skipped",
    "up_for_retry",
    "up_for_reschedule",
    "upstream_failed",
    "restarting",
    "removed",
    "deferred",
    "awaiting_input",
    "queued",
    "running",
    "scheduled",
    "none",
)
"""Of a task or a DAG's run, as Airflow names them."""

LABELS: Mapping[str, frozenset[str] | None] = {
    "stage": frozenset(STAGES),
    "artefact": frozenset(ARTEFACTS),
    "verdict": frozenset(VERDICTS),
    "role": frozenset(ROLES),
    "place": frozenset(PLACES),
    "decoder": frozenset(DECODERS),
    "figure": frozenset(GOAL_FIGURES),
    # Each metric's own set, see `Metric.closed`.
    "state": frozenset({*RUN_STATES, *STAGE_STATES, *TASK_STATES}),
    # Closed by the recipe: train, validation, test and the test sets that it names.
    "split": None,
    # Closed by corpus/reasons.py, or by the metric itself.
    "reason": None,
    # Closed by what is there: recipes, runs that go on or ended of late, the newest versions,
    # the GPUs of this machine, the DAGs, tasks, pools and queues that Airflow has.
    "recipe": None,
    "run": None,
    "version": None,
    "gpu": None,
    "dag_id": None,
    "task_id": None,
    "pool": None,
    "queue": None,
    # Prometheus' own.
    "job": None,
    "instance": None,
    "alertname": None,
    "alertstate": frozenset({"pending", "firing"}),
    "severity": None,
    "integration": None,
}
"""Allowed values by label; None: names that somebody declares."""
