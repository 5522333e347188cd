"""Batches out of prepare's shards: augmented and shuffled to train on, plain to validate on.

Legend: N samples, T input frames (mel frames, samples, or steps of features), F mel bands or
dimensions of features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.ctc.batch import CtcBatch, padded_labels
from voxmill.families.ctc.hearing import Hearing, batch_frontend
from voxmill.families.ctc.takes import Take, TakePlan
from voxmill.families.family import Samples
from voxmill.signal import augment
from voxmill.signal.standardise import FeatureSettings, strung
from voxmill.training.batching import BucketPlan
from voxmill.training.config import AugmentConfig, TrainConfig

_VALIDATION_SEED = 0


class SampleReader(Protocol):
    """Reads an utterance's samples, (N,) float32 in [-1, 1], or its features, (T, F) float32."""

    def samples(self, utterance: PreparedUtterance) -> Samples:
        """The first `utterance.samples` samples from where it stands in its shard."""


@dataclass(frozen=True, kw_only=True)
class Speech:
    """A set of utterances and what turns them into features and labels."""

    utterances: Sequence[PreparedUtterance]
    reader: SampleReader
    hearing: Hearing
    separator: tuple[int, ...]
    """Labels between two utterances strung together."""


class TrainingBatches:
    """Batches to train on: every utterance once an epoch, distorted anew each time."""

    def __init__(self, speech: Speech, train: TrainConfig) -> None:
        self._speech = speech
        self._train = train
        self._rate_hz = speech.hearing.frontend.sample_rate_hz
        self._frontend = batch_frontend(speech.hearing.frontend)
        self._takes = TakePlan(
            speech.utterances,
            train,
            hearing=speech.hearing,
            separator_labels=len(speech.separator),
        )
        self._counts: dict[int, int] = {}
        self._epoch: tuple[int, list[Take], BucketPlan] | None = None

    def batch_count(self, epoch: int) -> int:
        """How many batches the epoch has; with concatenation epochs may differ by a few."""
        if epoch not in self._counts:
            self._counts[epoch] = self.plan(epoch).batch_count
        return self._counts[epoch]

    def batch(self, epoch: int, position: int) -> CtcBatch:
        """The batch at `position`; the same whenever it is asked for."""
        takes, plan = self._planned(epoch)
        chosen = plan.batches(epoch)[position]
        return self._collated([takes[index] for index in chosen], epoch)

    def plan(self, epoch: int) -> BucketPlan:
        """Which takes form which batch, for padding figures."""
        return self._planned(epoch)[1]

    def _planned(self, epoch: int) -> tuple[list[Take], BucketPlan]:
        # One reading and one writing of the field: the prefetch thread may be an epoch ahead of
        # the loop, and neither may end up with the other's takes.
        planned = self._epoch
        if planned is None or planned[0] != epoch:
            takes = self._takes.takes(epoch)
            planned = (epoch, takes, _plan([take.seconds for take in takes], self._train))
            self._epoch = planned
        return planned[1], planned[2]

    def _collated(self, takes: Sequence[Take], epoch: int) -> CtcBatch:
        generators = [
            augment.utterance_generator(self._train.seed, epoch, take.members[0]) for take in takes
        ]
        waves = [
            self._wave(take, generator) for take, generator in zip(takes, generators, strict=True)
        ]
        features, frames = self._frontend(waves, warps=self._warps(generators))
        centred = getattr(self._speech.hearing.frontend, "normalise", "utterance") == "utterance"
        for row, generator in enumerate(generators):
            # numpy shares the tensor's memory: masks land in the batch
            own = features[row, : frames[row]].numpy()
            if own.ndim == 1:  # of samples, time alone can be masked
                own = own[:, None]
            _mask(own, self._train.augment, generator, blank=0.0 if centred else float(own.mean()))
        labels, counts = padded_labels([self._labels(take) for take in takes])
        return CtcBatch(
            features=features,
            frames=frames,
            labels=labels,
            label_counts=counts,
            texts=tuple(self._text(take) for take in takes),
            seconds=sum(map(len, waves)) / self._rate_hz,
        )

    def _wave(self, take: Take, generator: np.random.Generator) -> Samples:
        settings = self._speech.hearing.frontend
        if isinstance(settings, FeatureSettings):  # no waveform, nothing that distorts one
            read = self._speech.reader.samples
            return strung([read(self._member(i)) for i in take.members], take.pauses, settings)
        parts = [
            augment.change_speed(self._speech.reader.samples(self._member(index)), speed)
            for index, speed in zip(take.members, take.speeds, strict=True)
        ]
        wave = augment.concatenate(
            parts,
            take.pauses,
            sample_rate_hz=settings.sample_rate_hz,
            generator=generator,
        )
        wave = augment.pad(
            wave,
            take.edges,
            sample_rate_hz=settings.sample_rate_hz,
            generator=generator,
        )
        wave = _recoloured(wave, self._train.augment, generator, settings.sample_rate_hz)
        return _distorted(wave, self._train.augment, generator)

    def _warps(self, generators: Sequence[np.random.Generator]) -> list[float] | None:
        """How far each utterance's formants move; None where nobody's do."""
        widest = self._train.augment.vocal_tract
        if not widest:
            return None
        return [float(np.exp(generator.uniform(-widest, widest))) for generator in generators]

    def _labels(self, take: Take) -> tuple[int, ...]:
        joined = self._member(take.members[0]).labels
        for index in take.members[1:]:
            joined = (*joined, *self._speech.separator, *self._member(index).labels)
        return joined

    def _text(self, take: Take) -> str:
        return " ".join(self._member(index).text for index in take.members)

    def _member(self, index: int) -> PreparedUtterance:
        return self._speech.utterances[index]


class ValidationBatches:
    """Batches to validate on: whole, plain, the shortest first; every epoch is the same."""

    def __init__(self, speech: Speech, train: TrainConfig) -> None:
        self._speech = speech
        self._frontend = batch_frontend(speech.hearing.frontend)
        self._rate_hz = speech.hearing.frontend.sample_rate_hz
        seconds = [utterance.samples / self._rate_hz for utterance in speech.utterances]
        batches = _plan(seconds, train, seed=_VALIDATION_SEED).batches(0)
        self._batches = sorted(batches, key=lambda batch: max(seconds[index] for index in batch))

    def batch_count(self, epoch: int) -> int:
        """How many batches the whole validation set has."""
        del epoch
        return len(self._batches)

    def batch(self, epoch: int, position: int) -> CtcBatch:
        """The batch at `position`."""
        del epoch
        chosen = [self._speech.utterances[index] for index in self._batches[position]]
        waves = [self._speech.reader.samples(utterance) for utterance in chosen]
        features, frames = self._frontend(waves)
        labels, counts = padded_labels([utterance.labels for utterance in chosen])
        return CtcBatch(
            features=features,
            frames=frames,
            labels=labels,
            label_counts=counts,
            texts=tuple(utterance.text for utterance in chosen),
            seconds=sum(map(len, waves)) / self._rate_hz,
        )


def _plan(seconds: Sequence[float], train: TrainConfig, *, seed: int | None = None) -> BucketPlan:
    return BucketPlan(
        durations=seconds,
        budget_seconds=train.batch_seconds,
        max_utterances=train.max_batch_utterances,
        buckets=train.buckets,
        seed=train.seed if seed is None else seed,
    )


def _distorted(wave: Samples, config: AugmentConfig, generator: np.random.Generator) -> Samples:
    # Each draw is made whether it is used or not, so that one setting does not shift another.
    noisy, snr_share, pink, gain = generator.random(4)
    if noisy < config.noise_probability:
        snr_db = config.noise_min_snr_db + 20 * snr_share
        colour: Literal["white", "pink"] = "pink" if pink < 0.5 else "white"
        wave = augment.add_noise(wave, snr_db, colour=colour, generator=generator)
    if config.gain_db:
        wave = augment.change_gain(wave, (2 * gain - 1) * config.gain_db)
    return wave


def _recoloured(
    wave: Samples, config: AugmentConfig, generator: np.random.Generator, sample_rate_hz: int
) -> Samples:
    if config.equalise_db:
        sliders = augment.draw_equaliser(config.equalise_db, generator)
        wave = augment.equalise(wave, sliders, sample_rate_hz=sample_rate_hz)
    return wave


def _mask(
    features: Samples, config: AugmentConfig, generator: np.random.Generator, *, blank: float
) -> None:
    augment.mask_time(
        features,
        count=config.time_masks,
        longest_share=config.time_mask_share,
        generator=generator,
        blank=blank,
    )
    if features.shape[1] == 1:
        return
    augment.mask_frequency(
        features,
        count=config.frequency_masks,
        widest_bins=config.frequency_mask_bins,
        generator=generator,
        blank=blank,
    )
