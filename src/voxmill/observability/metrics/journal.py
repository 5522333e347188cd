"""What stages record into their journals while they work."""

from __future__ import annotations

from voxmill.observability.labels import GOAL_FIGURES, STOP_REASONS
from voxmill.observability.metric import Namer

_says = Namer("journal")
_gauge, _counter = _says.gauge, _says.counter
_REASON = frozenset(STOP_REASONS)
_BY_DECODER = ("split", "decoder")

TRAINING = (
    _gauge("train_loss", "1", "Mean training loss of one optimizer step."),
    _gauge("train_ctc_loss", "1", "CTC part of the training loss, where there are several parts."),
    _gauge("train_attention_loss", "1", "Attention part of the loss, where there are several."),
    _gauge("train_learning_rate", "1", "Learning rate of the step."),
    _gauge("train_gradient_norm", "1", "Norm of the gradient before clipping."),
    _gauge("train_utterances_per_second", "1", "Utterances learned from in one second."),
    _gauge("train_audio_seconds_per_second", "1", "Speech learned from in one second."),
    _gauge("train_data_wait_ratio", "ratio", "Share of a step's time spent waiting for data."),
    _gauge("train_eta_seconds", "seconds", "Time to the last planned step at the mean pace."),
    _gauge("train_step", "1", "Optimizer steps made."),
    _gauge("train_total_steps", "1", "Optimizer steps planned."),
    _gauge("train_warmup_steps", "1", "Steps over which the learning rate rises."),
    _gauge("train_epoch", "1", "Epochs made, with a fraction for the one in progress."),
    _gauge("train_resumed_step", "1", "Step that this attempt went on from; 0: the beginning."),
    _counter("train_skipped_updates_total", "1", "Updates left out for a non-finite gradient."),
    _counter("train_infinite_losses_total", "1", "Training utterances whose loss was infinite."),
    _gauge("train_skipped_utterances", "1", "Training utterances left out as too long."),
    _gauge("train_truncated_utterances", "1", "Training utterances cut, text and all."),
    _gauge("train_parameters", "1", "Parameters of the model."),
    _gauge("train_watched_value", "1", "Watched metric at the newest evaluation; low is good."),
    _gauge("train_previous_watched_value", "1", "Watched metric at the evaluation before."),
    _gauge("train_watched_floor_value", "1", "Watched value below which no regression counts."),
    _gauge(
        "train_regressed_evaluations",
        "1",
        "Evaluations in a row at which the watched metric was worse, as the trainer counts.",
    ),
    _gauge(
        "train_collapsed_evaluations",
        "1",
        "Evaluations in a row at which the network had collapsed, as the trainer counts.",
    ),
    _gauge("train_stopped", "1", "1: the trainer gave up, for this reason.", reason=_REASON),
    _gauge("train_best_value", "1", "Best value of the watched metric so far."),
    _gauge("train_peak_memory_bytes", "bytes", "Largest memory in use, GPU where there is one."),
)

EVALUATION = (
    _gauge("loss", "1", "Mean loss on a split.", "split"),
    _gauge("ctc_loss", "1", "CTC part of the loss on a split, where there are several.", "split"),
    _gauge("attention_loss", "1", "Attention part of the loss, where there are several.", "split"),
    _gauge("wer_ratio", "ratio", "Word error rate on a split while training.", "split"),
    _gauge("cer_ratio", "ratio", "Character error rate on a split while training.", "split"),
    _gauge("decoder_wer_ratio", "ratio", "Word error rate of one decoder.", *_BY_DECODER),
    _gauge("decoder_cer_ratio", "ratio", "Character error rate of one decoder.", *_BY_DECODER),
    _gauge("decoder_token_accuracy_ratio", "ratio", "Of one decoder's tokens.", *_BY_DECODER),
    _gauge("token_accuracy_ratio", "ratio", "1 less the token error rate.", "split"),
    _gauge("sequence_accuracy_ratio", "ratio", "Share of utterances without an error.", "split"),
    _gauge("blank_ratio", "ratio", "Share of frames whose best token is blank.", "split"),
    _gauge("token_diversity_ratio", "ratio", "Share of the tokens ever written.", "split"),
    _gauge("frame_entropy_nats", "nats", "Mean entropy of a frame's distribution.", "split"),
    _gauge("frame_entropy_ratio", "ratio", "The same; 1: all tokens are as likely.", "split"),
    _gauge("infinite_losses", "1", "Utterances of a split whose loss was infinite.", "split"),
    _gauge("evaluation_seconds", "seconds", "Time that an evaluation took.", "split"),
)

CHECKPOINTS = (
    _gauge("train_checkpoint_steps", "1", "Steps between two planned checkpoints."),
    _gauge("checkpoint_step", "1", "Step of the newest checkpoint."),
    _gauge("checkpoint_bytes", "bytes", "Size of the newest checkpoint."),
    _gauge("checkpoint_seconds", "seconds", "Time that writing the newest checkpoint took."),
    _gauge("checkpoint_age_seconds", "seconds", "Time since a checkpoint was last written."),
)

PACKAGED = (
    _gauge("packaged_wer_ratio", "ratio", "Word error rate, packaged.", "split", "artefact"),
    _gauge("packaged_cer_ratio", "ratio", "Character error rate, packaged.", "split", "artefact"),
    _gauge(
        "packaged_real_time_ratio",
        "ratio",
        "Seconds of computing for one second of speech.",
        "split",
        "artefact",
    ),
    _gauge(
        "goal_reached",
        "1",
        "1 where the main artefact reaches the recipe's goal on a test set, else 0.",
        "split",
        figure=frozenset(GOAL_FIGURES),
    ),
    _gauge("packaged_bytes", "bytes", "Size of a packaged artefact.", "artefact"),
)

JOURNAL = (*TRAINING, *EVALUATION, *CHECKPOINTS, *PACKAGED)
