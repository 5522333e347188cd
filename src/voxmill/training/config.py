"""The `train` section: how long, how fast, when to stop and what to keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from voxmill.section import Conflict, Section


class AugmentConfig(Section):
    """Distortions of training audio; each utterance draws its own from (seed, epoch, utterance)."""

    speed: list[Annotated[float, Field(gt=0)]] = Field(default=[1.0], min_length=1)
    """Playback rates to draw from; 1.1 is faster and higher, 0.9 slower and lower."""
    noise_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of utterances that get white or pink noise."""
    noise_min_snr_db: float = 10.0
    """Loudest noise, as the signal-to-noise ratio in dB."""
    gain_db: float = Field(default=0.0, ge=0)
    """Loudness changes by up to this much either way."""
    equalise_db: float = Field(default=0.0, ge=0)
    """Seven frequencies an octave apart become louder or softer by up to this much, those between
    them in proportion: another microphone. No use where `model.normalise` takes it away again."""
    vocal_tract: float = Field(default=0.0, ge=0, lt=0.5)
    """Formants move up or down by up to this share while the pitch stays (VTLP): 0.1 is about the
    difference between two men, 0.2 that between a man and a woman."""
    pad_seconds: float = Field(default=0.0, ge=0)
    """Up to this much faint noise before and after, for recordings whose edges were cut by hand:
    without it, a model of tightly cut words takes the silence after a word for a part of it."""
    time_masks: int = Field(default=0, ge=0)
    """SpecAugment (Park et al., 2019): number of blanked stretches of time."""
    time_mask_share: float = Field(default=0.05, ge=0, le=1)
    """Longest blanked stretch as a share of the utterance."""
    frequency_masks: int = Field(default=0, ge=0)
    """Number of blanked bands."""
    frequency_mask_bins: int = Field(default=15, ge=0)
    """Widest blanked band in mel bins."""
    concatenate: int = Field(default=1, ge=1)
    """Up to this many utterances (of any speaker) strung together into one, with short pauses."""


class CollapseConfig(Section):
    """A network that says the same whatever it hears, and does not get out of it."""

    evaluations: int | None = Field(default=3, ge=1)
    """Stop after so many in a row; None: only count them, for the alert."""
    blank_ratio: float = Field(default=0.98, gt=0, le=1)
    """Silence: share of frames whose best token is blank, from which on."""
    frame_entropy_ratio: float = Field(default=0.95, gt=0, le=1)
    """Undecided: mean entropy of a frame as a share of that of pure guessing, from which on."""
    token_diversity_ratio: float = Field(default=0.05, ge=0, lt=1)
    """Monotone: share of the vocabulary that is ever written, up to which."""
    wer: float = Field(default=0.9, gt=0)
    """No collapse while fewer words are wrong, whatever the signs say."""


class RegressionConfig(Section):
    """A watched metric that gets worse instead of better."""

    evaluations: int | None = Field(default=3, ge=1)
    """Stop after so many in a row; None: only count them, for the alert."""
    relative: float = Field(default=0.05, gt=0)
    """Worse is: by more than this share than at the evaluation before."""
    from_best: float = Field(default=1.0, gt=0)
    """Also: by more than this share than the best so far (1: twice as high), at twice as many."""
    floor: float = Field(default=0.1, ge=0)
    """Watched values up to this one count as this one: small numbers wobble."""


class StuckConfig(Section):
    """A word error rate that never began to fall."""

    evaluations: int | None = Field(default=10, ge=1)
    """Stop after so many past the warm-up (and `grace_steps`); None: never."""
    wer: float = Field(default=0.93, gt=0)
    """Stuck is: no evaluation so far was below this word error rate."""


class ExplosionConfig(Section):
    """A training loss that leaves everything reached behind."""

    steps: int | None = Field(default=50, ge=1)
    """Stop after so many steps in a row above the limit; None: never."""
    factor: float = Field(default=3.0, gt=1)
    """The limit: so many times the lowest mean loss so far, and 1 more (a loss near 0 may well
    triple)."""


class WatchdogConfig(Section):
    """What ends a training that cannot succeed (exit code 70); docs/training-guide.md explains."""

    grace_steps: int | None = Field(default=None, ge=0)
    """Steps past the warm-up in which a network that has learned nothing yet is let be, for CTC
    begins with silence. None: a fifth of those planned, at least 500 and at most 3000."""
    collapse: CollapseConfig = Field(default_factory=CollapseConfig)
    regression: RegressionConfig = Field(default_factory=RegressionConfig)
    stuck: StuckConfig = Field(default_factory=StuckConfig)
    explosion: ExplosionConfig = Field(default_factory=ExplosionConfig)


class Milestone(Section):
    """What must be reached by the end of an epoch."""

    after_epochs: int = Field(ge=1)
    """Judged at the evaluation that ends this epoch, which is made for it if need be."""
    wer: float | None = Field(default=None, gt=0)
    """The word error rate must be below this."""
    cer: float | None = Field(default=None, gt=0)
    """The character error rate must be below this."""
    loss: float | None = Field(default=None, gt=0)
    """The validation loss must be below this."""
    stop: bool = False
    """End the training where it is missed (exit code 70), instead of failing a check at its end."""

    def conflicts(self) -> Iterator[Conflict]:
        """It asks for something."""
        if self.wer is None and self.cer is None and self.loss is None:
            others = ("cer", "loss")
            yield Conflict("wer", "no limit", "a limit for wer, cer or loss", others=others)

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by metric."""
        limits = {"wer": self.wer, "cer": self.cer, "loss": self.loss}
        return {name: limit for name, limit in limits.items() if limit is not None}


class TrainConfig(Section):
    """The training loop's settings."""

    seed: int = 1
    """Of weights, order and augmentation."""
    epochs: int = Field(default=10, ge=1)
    """Passes over the training set."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps after which to stop, whatever the epochs say."""
    num_samples: int | None = Field(default=None, ge=1)
    """Train on the first so many training utterances (in hash order) only."""
    max_seconds: float = Field(default=30.0, gt=0)
    """Longer recordings are cut (with their text kept) or left out, see `too_long`."""
    max_labels: int = Field(default=256, ge=1)
    """More tokens than this in one utterance are too long, see `too_long`."""
    too_long: Literal["skip", "truncate"] = "skip"
    """`truncate` shortens audio and labels in proportion (dynamic truncation); `skip` counts."""
    batch_seconds: float = Field(default=60.0, gt=0)
    """Duration budget of a micro-batch, padding included."""
    max_batch_utterances: int = Field(default=64, ge=1)
    """Most utterances of a micro-batch, however short they are."""
    accumulation: int = Field(default=1, ge=1)
    """Micro-batches in one optimizer step."""
    buckets: int = Field(default=100, ge=1)
    """Quantile buckets of duration that batches are made from."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Highest value, reached after warm-up."""
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt"] = "cosine"
    """How the learning rate falls after warm-up."""
    warmup_steps: int = Field(default=100, ge=0)
    """Optimizer steps in which the learning rate rises from zero."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Longer gradients are shortened to this norm."""
    precision: Literal["no", "fp16", "bf16"] = "no"
    """Mixed precision; `fp16` needs a GPU."""
    gradient_checkpointing: bool = False
    """Saves memory for about a third more time."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of PyTorch; bit-equal resume holds for one count. None: all cores."""
    evaluate_every_steps: int | None = Field(default=None, ge=1)
    """None: at the end of each epoch."""
    checkpoint_every_steps: int | None = Field(default=None, ge=1)
    """None: at each evaluation."""
    keep_checkpoints: int = Field(default=3, ge=1)
    """The last so many stay, besides the best."""
    watch: Literal["wer", "cer", "loss"] = "wer"
    """Validation metric that picks the best checkpoint and stops early; lower is better."""
    patience: int | None = Field(default=None, ge=1)
    """Evaluations without a better value after which to stop; not within the warm-up, nor within
    `watchdog.grace_steps` while no word is right yet."""
    milestones: list[Milestone] = Field(default_factory=list)
    """What must be reached by when; a missed one is a failed check of train, or stops it."""
    watchdog: WatchdogConfig = Field(default_factory=WatchdogConfig)
    """What ends a training that cannot succeed."""
    log_every_steps: int | None = Field(default=None, ge=1)
    """Off a terminal, a log line every so many steps; None: every 30 seconds. The journal has each
    step, whatever this says."""
    augment: AugmentConfig = Field(default_factory=AugmentConfig)

    def conflicts(self) -> Iterator[Conflict]:
        """One milestone for each epoch."""
        epochs = [milestone.after_epochs for milestone in self.milestones]
        if len(set(epochs)) < len(epochs):
            found = f"after_epochs {', '.join(map(str, epochs))}"
            yield Conflict("milestones", found, "at most one milestone for an epoch")
