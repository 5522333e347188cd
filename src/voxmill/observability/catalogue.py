"""Every metric that voxmill records: name, type, unit, help and labels.

Names follow Prometheus: `voxmill_<thing>_<unit>[_total]`, base units (seconds, bytes, nats,
ratio 0-1).
A counter only grows within a run; it stands in the checkpoint, so a resumed run counts on.
Run and recipe are no labels here: the exporter takes them from where the journal lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

STAGES = ("ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate")
ARTEFACTS = ("hf", "onnx-fp32", "onnx-int8")

_DECLARED = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")

LABELS: Mapping[str, frozenset[str] | None] = {
    "stage": frozenset(STAGES),
    "artefact": frozenset(ARTEFACTS),
    # Closed by the recipe: train, validation, test and the test sets that it names.
    "split": None,
}
"""Allowed values by label; None: the names that the recipe declares."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric as dashboards and alerts know it."""

    name: str
    type: Literal["gauge", "counter"]
    unit: str
    """Base unit; `1` for a bare number."""
    help: str
    labels: tuple[str, ...] = ()


class UncataloguedMetricError(ValueError):
    """A metric name, or a label of it, that the catalogue does not have."""


def _gauge(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(name=f"voxmill_{name}", type="gauge", unit=unit, help=text, labels=labels)


def _counter(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(name=f"voxmill_{name}", type="counter", unit=unit, help=text, labels=labels)


_ALL = (
    _gauge("train_loss", "1", "Mean training loss of one optimizer step."),
    _gauge("train_learning_rate", "1", "Learning rate of the step."),
    _gauge("train_gradient_norm", "1", "Norm of the gradient before clipping."),
    _gauge("train_utterances_per_second", "1", "Utterances learned from in one second."),
    _gauge("train_audio_seconds_per_second", "1", "Speech learned from in one second."),
    _gauge("train_data_wait_ratio", "ratio", "Share of a step's time spent waiting for data."),
    _gauge("train_eta_seconds", "seconds", "Time to the last planned step at the mean pace."),
    _gauge("train_step", "1", "Optimizer steps made."),
    _gauge("train_epoch", "1", "Epochs made, with a fraction for the one in progress."),
    _gauge("train_resumed_step", "1", "Step that this attempt went on from; 0: the beginning."),
    _gauge("train_blank_ratio", "ratio", "Share of training frames whose best token is blank."),
    _counter("train_skipped_updates_total", "1", "Updates left out for a non-finite gradient."),
    _counter("train_infinite_losses_total", "1", "Training utterances whose loss was infinite."),
    _gauge("train_skipped_utterances", "1", "Training utterances left out as too long."),
    _gauge("train_parameters", "1", "Parameters of the model."),
    _gauge("train_best_value", "1", "Best value of the watched metric so far."),
    _gauge("train_peak_memory_bytes", "bytes", "Largest memory in use, GPU where there is one."),
    _gauge("loss", "1", "Mean loss on a split.", "split"),
    _gauge("wer_ratio", "ratio", "Word error rate on a split while training.", "split"),
    _gauge("cer_ratio", "ratio", "Character error rate on a split while training.", "split"),
    _gauge("blank_ratio", "ratio", "Share of frames whose best token is blank.", "split"),
    _gauge("token_diversity_ratio", "ratio", "Share of the tokens ever written.", "split"),
    _gauge("frame_entropy_nats", "nats", "Mean entropy of a frame's tokens.", "split"),
    _gauge("token_diversity_ratio", "ratio", "Share of the tokens ever written.", "split"),
    _gauge("frame_entropy_nats", "nats", "Mean entropy of a frame's distribution.", "split"),
    _gauge("infinite_losses", "1", "Utterances of a split whose loss was infinite.", "split"),
    _gauge("evaluation_seconds", "seconds", "Time that an evaluation took.", "split"),
    _gauge("checkpoint_step", "1", "Step of the newest checkpoint."),
    _gauge("checkpoint_bytes", "bytes", "Size of the newest checkpoint."),
    _gauge("checkpoint_seconds", "seconds", "Time that writing the newest checkpoint took."),
    _gauge("checkpoint_age_seconds", "seconds", "Time since a checkpoint was last written."),
    _gauge("stage_seconds", "seconds", "Time that a stage took.", "stage"),
    _gauge("stage_peak_memory_bytes", "bytes", "Largest resident memory of a stage.", "stage"),
    _gauge("stage_failed_checks", "1", "Checks of a stage that failed.", "stage"),
    _gauge("release_wer_ratio", "ratio", "Word error rate, packaged.", "split", "artefact"),
    _gauge("release_cer_ratio", "ratio", "Character error rate, packaged.", "split", "artefact"),
    _gauge(
        "release_real_time_ratio",
        "ratio",
        "Seconds of computing for one second of speech.",
        "split",
        "artefact",
    ),
    _gauge("release_artefact_bytes", "bytes", "Size of a packaged artefact.", "artefact"),
)

CATALOGUE: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by name."""


def check_names(names: Iterable[str]) -> None:
    """Makes sure that every name is catalogued.

    Raises:
        UncataloguedMetricError: One or more are not.
    """
    unknown = sorted(name for name in names if name not in CATALOGUE)
    if unknown:
        raise UncataloguedMetricError(
            f"Not in the metric catalogue: {', '.join(unknown)}. Add name, type, unit, help and "
            f"labels to voxmill/observability/catalogue.py before recording them."
        )


def check_labels(name: str, labels: Mapping[str, str]) -> None:
    """Makes sure that a metric carries exactly its labels, with allowed values.

    Raises:
        UncataloguedMetricError: A label is missing, left over or has a value outside its set.
    """
    expected = CATALOGUE[name].labels
    if set(labels) != set(expected):
        raise UncataloguedMetricError(
            f"{name} takes the labels {sorted(expected) or 'none'}, "
            f"found {sorted(labels) or 'none'}. Pass exactly those."
        )
    for label, value in labels.items():
        allowed = LABELS[label]
        good = bool(_DECLARED.match(value)) if allowed is None else value in allowed
        if not good:
            choice = "a name as a recipe declares it" if allowed is None else sorted(allowed)
            raise UncataloguedMetricError(f"{name}: label {label} is {value!r}, allowed: {choice}.")
