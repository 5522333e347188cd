"""The port between the training loop and a model: what the loop asks, and nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

BatchT_contra = TypeVar("BatchT_contra", contravariant=True)
BatchT_co = TypeVar("BatchT_co", covariant=True)


class Learner(Protocol[BatchT_contra]):
    """Learns from windows of batches and tells how well; owns its model and its optimisers.

    The loop counts steps, checkpoints, records and stops. A learner with two optimisers (a GAN)
    keeps both inside.
    """

    def step(self, window: Sequence[BatchT_contra]) -> dict[str, float]:
        """Makes one optimizer update from an accumulation window of micro-batches.

        The gradient equals that of one batch made of the whole window: losses are summed over
        the window and divided once by the window's weight (tokens, utterances), so that a short
        last window and unequal lengths weigh as they would without accumulation.

        Where several processes train together (`training/team.py`) each gets its own part of the
        window and adds its gradient to the others', so that all make the same update and return
        the same values: those of the whole window.

        Args:
            window: One to `train.accumulation` micro-batches; of several processes some may get
                none in the last window of an epoch.

        Returns:
            Values of this update by metric name (`loss`, `gradient_norm`, `learning_rate`, …). A
            network with several branches also gives the parts: `ctc_loss`, `attention_loss`.
        """

    def validate(self, batches: Iterable[BatchT_contra]) -> dict[str, float]:
        """Measures the model on batches without learning from them.

        Of several processes only the first is asked.

        Returns:
            Values by metric name; holds the metric that `train.watch` names. Figures of one of
            several decoders begin with its name: `ctc_wer`, `attention_cer`; there are none of a
            branch that is not trained. `blank_ratio`, `token_diversity_ratio` and
            `frame_entropy_ratio` let the watchdog see a collapse.
        """

    def state(self) -> dict[str, Any]:
        """Everything that a bit-equal continuation needs: tensors, numbers, strings, lists, dicts.

        Asked of every process at once; what the first one gives is written.

        Holds `model` (a flat dict of tensors by parameter name); loads with
        `torch.load(weights_only=True)`.
        """

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            DataError: A parameter is missing, left over or of another shape.
        """


class BatchSource(Protocol[BatchT_co]):
    """Gives the batches of one epoch, the same ones in the same order each time it is asked.

    A loading thread asks for batches ahead of the training, which asks for counts: both methods
    must bear two threads.
    """

    def batch_count(self, epoch: int) -> int:
        """How many micro-batches epoch number `epoch` (from 0) has."""

    def batch(self, epoch: int, position: int) -> BatchT_co:
        """The micro-batch at `position` of epoch `epoch`; costs the same at every position.

        Augmentation draws from a generator seeded by (seed, epoch, utterance), never from global
        state, so that a resumed run sees the same samples.
        """
