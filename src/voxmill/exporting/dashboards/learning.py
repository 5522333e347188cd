"""Learning curves of *Training*: errors, losses, pace, and what collapses look like."""

from __future__ import annotations

from voxmill.exporting.dashboards.expressions import RUN
from voxmill.exporting.dashboards.frame import Tile
from voxmill.exporting.dashboards.panels import Look, Query, lines
from voxmill.exporting.dashboards.wording import BAD, CARE, GOOD, steps


def main_tiles() -> tuple[Tile, ...]:
    """Error rates, losses and pace."""
    panels = (
        lines(
            "Error rates",
            "Word and character error rate at each evaluation, by split. Both must fall after "
            "warm-up; the dashed line is a rate that says nothing is learned.",
            [
                Query(f"voxmill_wer_ratio{{{RUN}}}", "WER {{split}}"),
                Query(f"voxmill_cer_ratio{{{RUN}}}", "CER {{split}}"),
            ],
            Look(unit="percentunit", low=0, thresholds=steps(GOOD, (0.95, BAD))),
        ),
        lines(
            "Loss",
            "Training loss of each step, its parts where there are several, and the mean loss "
            "on each split. Validation that rises while training falls is overfitting.",
            [
                Query(f"voxmill_train_loss{{{RUN}}}", "{{run}}: training"),
                Query(f"voxmill_train_ctc_loss{{{RUN}}}", "{{run}}: CTC part"),
                Query(f"voxmill_train_attention_loss{{{RUN}}}", "{{run}}: attention part"),
                Query(f"voxmill_loss{{{RUN}}}", "{{split}}"),
                Query(f"voxmill_ctc_loss{{{RUN}}}", "{{split}}: CTC part"),
                Query(f"voxmill_attention_loss{{{RUN}}}", "{{split}}: attention part"),
            ],
            Look(unit="short"),
            logarithmic=True,
        ),
        lines(
            "Pace",
            "Speech learned from in one second of time.",
            [Query(f"voxmill_train_audio_seconds_per_second{{{RUN}}}", "{{run}}")],
            Look(unit="suffix: x real time", low=0, decimals=1),
        ),
    )
    return tuple(Tile(panel, 8, 9) for panel in panels)


def detail_tiles() -> tuple[Tile, ...]:
    """What to look at when a curve is not as it should be."""
    panels = (
        lines(
            "Blank share",
            "Share of frames whose best token is blank, by split. Near 100 % after warm-up the "
            "model has collapsed to silence.",
            [Query(f"voxmill_blank_ratio{{{RUN}}}", "{{split}}")],
            Look(unit="percentunit", low=0, high=1, thresholds=steps(GOOD, (0.98, BAD))),
        ),
        lines(
            "Tokens ever written",
            "Share of the vocabulary that shows up in the model's output, by split. Close to "
            "nothing after warm-up: collapse.",
            [Query(f"voxmill_token_diversity_ratio{{{RUN}}}", "{{split}}")],
            Look(unit="percentunit", low=0, high=1, thresholds=steps(BAD, (0.1, GOOD))),
        ),
        lines(
            "Frame entropy",
            "How undecided a frame is, in nats. Flat at the logarithm of the vocabulary's size: "
            "the model guesses.",
            [Query(f"voxmill_frame_entropy_nats{{{RUN}}}", "{{split}}")],
            Look(unit="suffix: nats", low=0, decimals=2),
        ),
        lines(
            "Frames undecided",
            "Frame entropy as a share of that of pure guessing, by split. Near 100 % after "
            "warm-up: collapse.",
            [Query(f"voxmill_frame_entropy_ratio{{{RUN}}}", "{{split}}")],
            Look(unit="percentunit", low=0, high=1, thresholds=steps(GOOD, (0.95, BAD))),
        ),
        lines(
            "Right tokens and sequences",
            "Share of the tokens, and of whole utterances, that are right, by split.",
            [
                Query(f"voxmill_token_accuracy_ratio{{{RUN}}}", "tokens {{split}}"),
                Query(f"voxmill_sequence_accuracy_ratio{{{RUN}}}", "utterances {{split}}"),
            ],
            Look(unit="percentunit", low=0, high=1),
        ),
        lines(
            "Learning rate",
            "It rises over the warm-up steps and falls to the end.",
            [Query(f"voxmill_train_learning_rate{{{RUN}}}", "{{run}}")],
            Look(unit="sci", low=0),
        ),
        lines(
            "Gradient norm",
            "Before clipping. Jumps of some orders of magnitude come before a loss explodes.",
            [Query(f"voxmill_train_gradient_norm{{{RUN}}}", "{{run}}")],
            Look(unit="short"),
            logarithmic=True,
        ),
        lines(
            "Left out",
            "Updates with a non-finite gradient, utterances with an infinite loss, utterances "
            "that are too long, left out or cut. More than a few: look at the data.",
            [
                Query(f"voxmill_train_skipped_updates_total{{{RUN}}}", "{{run}}: updates"),
                Query(f"voxmill_train_infinite_losses_total{{{RUN}}}", "{{run}}: infinite losses"),
                Query(f"voxmill_train_skipped_utterances{{{RUN}}}", "{{run}}: too long"),
                Query(f"voxmill_train_truncated_utterances{{{RUN}}}", "{{run}}: cut"),
            ],
            Look(unit="short", low=0, decimals=0, thresholds=steps(GOOD, (10, CARE))),
        ),
        lines(
            "Error rates by decoder",
            "Of a network with several branches: what each decoder gets wrong, by split. Missing "
            "for a branch that is not trained.",
            [
                Query(f"voxmill_decoder_wer_ratio{{{RUN}}}", "WER {{decoder}} {{split}}"),
                Query(f"voxmill_decoder_cer_ratio{{{RUN}}}", "CER {{decoder}} {{split}}"),
                Query(
                    f"1 - voxmill_decoder_token_accuracy_ratio{{{RUN}}}",
                    "wrong tokens {{decoder}} {{split}}",
                ),
            ],
            Look(
                unit="percentunit",
                low=0,
                thresholds=steps(GOOD, (0.95, BAD)),
                empty="one decoder only",
            ),
        ),
        lines(
            "What the trainer counts",
            "Evaluations in a row at which the network had collapsed, or the watched value was "
            "worse, as the watchdog judges. At the limits of train.watchdog the training is ended.",
            [
                Query(f"voxmill_train_collapsed_evaluations{{{RUN}}}", "{{run}}: collapsed"),
                Query(f"voxmill_train_regressed_evaluations{{{RUN}}}", "{{run}}: regressed"),
                Query(f"voxmill_train_stopped{{{RUN}}}", "given up: {{reason}}"),
            ],
            Look(unit="short", low=0, decimals=0, thresholds=steps(GOOD, (1, CARE), (3, BAD))),
        ),
        lines(
            "Watched value",
            "What early stopping and the best checkpoint look at; low is good. Below the floor "
            "nothing counts as a regression.",
            [
                Query(f"voxmill_train_watched_value{{{RUN}}}", "{{run}}: newest"),
                Query(f"voxmill_train_best_value{{{RUN}}}", "{{run}}: best"),
                Query(f"voxmill_train_watched_floor_value{{{RUN}}}", "{{run}}: floor"),
            ],
            Look(unit="short", low=0, decimals=4),
        ),
        lines(
            "Time of an evaluation",
            "By split; it stands still for training.",
            [Query(f"voxmill_evaluation_seconds{{{RUN}}}", "{{split}}")],
            Look(unit="s", low=0),
        ),
    )
    return tuple(Tile(panel, 8, 8) for panel in panels)
