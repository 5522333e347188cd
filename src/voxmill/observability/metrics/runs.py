"""What the exporter derives from the files of runs, and from all runs of a recipe."""

from __future__ import annotations

from voxmill.observability.labels import RUN_STATES, STAGE_STATES
from voxmill.observability.metric import Namer

_says = Namer("run")
_gauge, _counter = _says.gauge, _says.counter
_of_recipe = Namer("recipe").gauge
_RUN = frozenset(RUN_STATES)
_STAGE = frozenset(STAGE_STATES)

RUNS = (
    _gauge("run_state", "1", "1 for the run's present state, 0 for the others.", state=_RUN),
    _gauge("run_start_timestamp_seconds", "seconds", "When the run was opened."),
    _gauge("run_end_timestamp_seconds", "seconds", "When it finished, failed or was stopped."),
    _gauge("run_gpus", "1", "GPUs that its running stages asked for."),
    _gauge("run_gpu_seconds", "seconds", "GPUs times the time that its stages held them."),
    _gauge("stage_state", "1", "1 for a stage's present state, else 0.", "stage", state=_STAGE),
    _gauge("stage_start_timestamp_seconds", "seconds", "When the newest try began.", "stage"),
    _gauge("stage_seconds", "seconds", "Time that a stage took; so far, if it runs.", "stage"),
    _gauge(
        "stage_usual_seconds",
        "seconds",
        "Median time of the stage in this recipe's finished runs on this machine.",
        "stage",
    ),
    _gauge("stage_attempts", "1", "Tries of a stage so far.", "stage"),
    _gauge("stage_peak_memory_bytes", "bytes", "Largest resident memory of a stage.", "stage"),
    _gauge("stage_checks", "1", "Checks of a stage by verdict.", "stage", "verdict"),
    _gauge("journal_last_line_timestamp_seconds", "seconds", "When the newest journal line came."),
    _counter("journal_broken_lines_total", "1", "Journal lines that cannot be read."),
    _gauge("checkpoint_timestamp_seconds", "seconds", "When the newest checkpoint was written."),
    _gauge("train_restarts", "1", "Attempts that went on from an earlier one."),
    _counter("train_lost_steps_total", "1", "Steps that were done again after a stop."),
    _gauge("dataset_seconds", "seconds", "Speech in a split.", "split"),
    _gauge("dataset_utterances", "1", "Utterances in a split.", "split"),
    _gauge("dataset_rejected_files", "1", "Files or utterances left out, by reason.", "reason"),
    _gauge("backup_verified_timestamp_seconds", "seconds", "When a backup was last verified."),
    _gauge("backup_bytes", "bytes", "Size of the last verified backup."),
    _counter("backup_failures_total", "1", "Backups that failed."),
)

RECIPES = (
    _of_recipe("recipe_runs", "1", "Runs on this machine by state.", state=_RUN),
    _of_recipe("recipe_last_run_timestamp_seconds", "seconds", "When a run was last opened."),
)
