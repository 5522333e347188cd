"""Has the network collapsed: does it say the same whatever it hears?

Every CTC network is silent for a while (blanks are the cheapest answer) and then begins to speak.
So the signs alone mean nothing: they count only for a network that had learned to speak before, or
that should have begun by now and whose validation loss falls no more. Three signs:

- silent: nearly every frame's best token is blank;
- undecided: the entropy of a frame is near log V (V tokens), every token is as likely;
- monotone: hardly any token of the vocabulary is ever written.

Figures of real runs that these limits were chosen on stand in docs/training-guide.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from voxmill.training.config import CollapseConfig
from voxmill.training.stops import LEAST_GRACE_STEPS, Evaluation, Phases, Stop, percent, steps_text

_LOSS_FALLS = 0.01
"""A validation loss that is lower by this share moves: the silence of a healthy run."""
_HAD_SPOKEN = 0.8
"""A network had spoken if its best word error rate was below this share of the present one (and
below `train.watchdog.collapse.wer`)."""

CAUSES = (
    "a learning rate that is too high or a warm-up that is too short (the weights were thrown "
    "where only the blank is left), too much dropout, features that are not normalised or of "
    "another sample rate, transcripts that do not belong to the audio, fewer frames than labels "
    "(too much subsampling), too few samples."
)
REMEDY = (
    "lower train.learning_rate (from scratch 1e-4 learns where 3e-4 collapsed) or lengthen "
    "train.warmup_steps; lower model.encoder.dropout (0.1, not 0.3); look whether audio and "
    "transcripts belong together (evaluate's examples, audit's suspects); set "
    "train.num_samples: 100 and see whether the network can learn these by heart."
)


@dataclass(kw_only=True)
class CollapseState:
    """What a checkpoint holds of it."""

    count: int = 0
    """Evaluations in a row at which the network had collapsed, or stood still."""
    certain: int = 0
    """The same once it is long enough to mean something: what is recorded and alerted on."""
    since_step: int = 0
    """The evaluation that the row is measured from."""
    anchor_loss: float | None = None
    """Validation loss that must be undercut for the network to be on its way."""
    lowest_wer: float | None = None


class Collapse:
    """Counts evaluations in a row at which the network had collapsed."""

    def __init__(self, config: CollapseConfig, phases: Phases) -> None:
        self.state = CollapseState()
        self._config = config
        self._phases = phases

    def see(self, evaluation: Evaluation) -> Stop | None:
        """Takes in an evaluation; a reason to end once there were enough."""
        state, figures, step = self.state, evaluation.figures, evaluation.step
        wer = figures.get("wer")
        signs = tuple(signs_of_collapse(evaluation, self._config))
        if not signs or not self._phases.warm(step):
            self.state = CollapseState(lowest_wer=_lower(state.lowest_wer, wer))
            return None
        if self._had_spoken(wer):
            state.since_step = state.since_step if state.count else step
            state.count += 1
            certain = True
        else:
            self._count_standstill(step, figures.get("loss"))
            least = min(LEAST_GRACE_STEPS, self._phases.grace_steps)
            certain = self._phases.ripe(step) and step - state.since_step >= least
        state.lowest_wer = _lower(state.lowest_wer, wer)
        state.certain = state.count if certain else 0
        limit = self._config.evaluations
        return None if limit is None or state.certain < limit else self._stop(evaluation, signs)

    def _had_spoken(self, wer: float | None) -> bool:
        lowest = self.state.lowest_wer
        if wer is None or lowest is None:
            return False
        return lowest < min(self._config.wer, _HAD_SPOKEN * wer)

    def _count_standstill(self, step: int, loss: float | None) -> None:
        """Counts from the evaluation on after which the loss fell no more."""
        state = self.state
        falls = (
            loss is not None
            and math.isfinite(loss)
            and (state.anchor_loss is None or loss < (1 - _LOSS_FALLS) * state.anchor_loss)
        )
        if falls or not state.since_step:
            state.anchor_loss, state.since_step, state.count = loss, step, 0
        else:
            state.count += 1

    def _stop(self, evaluation: Evaluation, signs: tuple[str, ...]) -> Stop:
        state = self.state
        rates = [
            f"{name.upper()} {evaluation.figures[name]:.3f}"
            for name in ("wer", "cer")
            if name in evaluation.figures
        ]
        before = (
            f"it had been better (WER {state.lowest_wer:.3f})"
            if state.lowest_wer is not None and self._had_spoken(evaluation.figures.get("wer"))
            else f"the validation loss has not fallen by {_LOSS_FALLS:.0%} since step "
            f"{state.since_step}, {self._phases.warmup_steps} steps of warm-up and "
            f"{self._phases.grace_steps} more are over"
        )
        return Stop(
            reason="collapse",
            evidence=(
                f"at {state.count} evaluations in a row "
                f"({steps_text(state.since_step, evaluation.step)}) the network said the same "
                f"whatever it heard: {'; '.join(signs)}; {', '.join(rates) or 'no error rate'}; "
                f"{before}."
            ),
            causes=CAUSES,
            remedy=REMEDY,
            switch="train.watchdog.collapse.evaluations: null",
        )


def signs_of_collapse(evaluation: Evaluation, config: CollapseConfig) -> Iterator[str]:
    """The signs that an evaluation bears, in words; none where enough words are right.

    Sparse speech is healthy at 97 % blanks and a vocabulary of thousands is never written out, so
    a network that gets words right has not collapsed.
    """
    figures = evaluation.figures
    if figures.get("wer", math.inf) < config.wer:
        return
    blank = figures.get("blank_ratio")
    entropy = figures.get("frame_entropy_ratio")
    diversity = figures.get("token_diversity_ratio")
    if blank is not None and blank >= config.blank_ratio:
        yield f"silent ({percent(blank)} of the frames blank, limit {percent(config.blank_ratio)})"
    if entropy is not None and entropy >= config.frame_entropy_ratio:
        yield (
            f"undecided (entropy of a frame {percent(entropy)} of pure guessing, limit "
            f"{percent(config.frame_entropy_ratio)})"
        )
    if diversity is not None and diversity <= config.token_diversity_ratio:
        yield (
            f"monotone ({percent(diversity)} of the vocabulary ever written, limit "
            f"{percent(config.token_diversity_ratio)})"
        )


def _lower(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None and math.isfinite(value)]
    return min(known, default=None)
