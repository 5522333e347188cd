"""The sections that only stages read: verify, prepare, probe, package, evaluate, and so on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from voxmill.corpus.config import SplitConfig, SplitName
from voxmill.section import Conflict, Section
from voxmill.text.config import TextConfig

ArtefactName = Literal["hf", "onnx-fp32", "onnx-int8"]
_CRON_FIELD = re.compile(r"^[0-9A-Za-z*/,#?-]+$")


class VerifyConfig(Section):
    """Do the transcripts match? Nothing to set yet."""


class PrepareConfig(Section):
    """Normalise, resample, split, tokenise, write shards."""

    text: TextConfig = Field(default_factory=TextConfig)
    split: SplitConfig = Field(default_factory=SplitConfig)
    shard_megabytes: int = Field(default=256, ge=1)
    """Size of one file of prepared audio."""
    max_unknown_share: float = Field(default=0.0, ge=0, le=1)
    """Gate: share of characters that the tokenizer does not know."""
    max_skipped_share: float = Field(default=0.05, ge=0, le=1)
    """Gate: share of utterances with too few frames for their labels."""


class ProbeConfig(Section):
    """Can it learn? Nothing to set yet."""


class LanguageModelConfig(Section):
    """An n-gram model of the training transcripts, packaged for the decoder `beam`."""

    order: int = Field(default=0, ge=0, le=10)
    """Tokens of the longest n-gram: 6 with characters, 3 with words. 0 packages none."""
    weight: float = Field(default=0.5, gt=0)
    """What its log-probabilities count beside those of the network."""
    token_bonus: float = Field(default=1.0, ge=0)
    """Nats for each token written: n-grams alone prefer short answers."""


class PackageConfig(Section):
    """Hugging Face and ONNX artefacts and their gates."""

    max_bytes: int = Field(default=100_000_000, ge=1)
    """Gate: largest size of any one artefact."""
    max_parity_difference: float = Field(default=1e-3, gt=0)
    """Gate: largest difference of a log-probability between PyTorch and ONNX fp32."""
    min_int8_agreement: float = Field(default=0.97, ge=0, le=1)
    """Gate: share of frames on which ONNX int8 picks the same token as PyTorch."""
    parity_seconds: list[Annotated[float, Field(gt=0)]] = Field(
        default=[0.5, 1.3, 3.0, 7.9], min_length=1
    )
    """Lengths that parity is measured at."""
    licence: str = "other"
    """Licence of the released model, as a Hugging Face licence id."""
    language_model: LanguageModelConfig = Field(default_factory=LanguageModelConfig)
    """Counted on the training transcripts and packaged, for `evaluate.language_model`."""


class ErrorLimits(Section):
    """Limits of one test set, which stand in the place of those for all."""

    wer: float | None = Field(default=None, ge=0)
    """Largest word error rate; None: the one for all test sets."""
    cer: float | None = Field(default=None, ge=0)
    """Largest character error rate; None: the one for all test sets."""


class EvaluateGates(Section):
    """Limits that a release must keep; None asks for nothing."""

    wer: float | None = Field(default=None, ge=0)
    """Largest word error rate of the main artefact on every test set."""
    cer: float | None = Field(default=None, ge=0)
    """Largest character error rate of the main artefact on every test set."""
    real_time_factor: float | None = Field(default=None, gt=0)
    """Seconds of computing for one second of speech."""
    int8_wer_difference: float | None = Field(default=None, ge=0)
    """How much worse int8 may be than fp32, absolute."""
    test_sets: dict[SplitName, ErrorLimits] = Field(default_factory=dict)
    """Limits by name of a test set, over `wer` and `cer`, such as `domain: {wer: 0.1}`."""


class EvaluateGoals(Section):
    """What is hoped for: shown as reached or not, and nothing waits for it."""

    wer: float | None = Field(default=None, ge=0)
    """Word error rate of the main artefact on every test set."""
    cer: float | None = Field(default=None, ge=0)
    """Character error rate of the main artefact on every test set."""
    test_sets: dict[SplitName, ErrorLimits] = Field(default_factory=dict)
    """Goals by name of a test set, over `wer` and `cer`."""


class EvaluateConfig(Section):
    """Measure the packaged artefacts on the test sets."""

    decoder: Literal["greedy", "beam", "attention"] = "greedy"
    """`greedy` takes the likeliest token of each frame; `beam` follows several texts; `attention`
    lets the model's own attention decoder write (`model.ctc_weight` below 1, artefact hf)."""
    beam_width: int = Field(default=8, ge=1)
    """Texts that the decoder `beam` follows at once."""
    language_model: bool = False
    """Whether the decoder `beam` heeds the packaged n-grams (`package.language_model`)."""
    min_tokens: int = Field(default=0, ge=0)
    """Tokens of the vocabulary that the decoder `beam` writes at least: 1 where silence is never
    an answer."""
    max_tokens: int | None = Field(default=None, ge=1)
    """And at most: 1 with `min_tokens: 1` for isolated words of a vocabulary of words."""
    artefacts: list[ArtefactName] = Field(default=["hf", "onnx-fp32", "onnx-int8"], min_length=1)
    """Packaged files to measure."""
    main_artefact: ArtefactName = "onnx-fp32"
    """The one whose figures stand for the release."""
    bootstrap_samples: int = Field(default=1000, ge=100)
    """Resamplings behind each 95 % interval."""
    max_utterances: int | None = Field(default=None, ge=1)
    """Measure at most so many of each test set (the first in hash order)."""
    gates: EvaluateGates = Field(default_factory=EvaluateGates)
    goals: EvaluateGoals = Field(default_factory=EvaluateGoals)

    def conflicts(self) -> Iterator[Conflict]:
        """What figures and gates stand on is measured."""
        measured = ", ".join(self.artefacts)
        if self.main_artefact not in self.artefacts:
            allowed = f"one of artefacts ({measured})"
            yield Conflict("main_artefact", self.main_artefact, allowed, others=("artefacts",))
        if self.decoder == "attention" and set(self.artefacts) != {"hf"}:
            allowed = "[hf] with decoder attention: ONNX files hold the CTC branch alone"
            yield Conflict("artefacts", f"[{measured}]", allowed, others=("decoder",))
        if self.decoder != "beam" and (self.min_tokens or self.max_tokens is not None):
            allowed = "beam, where min_tokens or max_tokens bounds an answer"
            yield Conflict("decoder", self.decoder, allowed, others=("min_tokens", "max_tokens"))
        if self.decoder != "beam" and self.language_model:
            allowed = "beam, where language_model is to be heeded"
            yield Conflict("decoder", self.decoder, allowed, others=("language_model",))
        if self.max_tokens is not None and self.max_tokens < self.min_tokens:
            allowed = f"at least min_tokens ({self.min_tokens})"
            yield Conflict("max_tokens", str(self.max_tokens), allowed, others=("min_tokens",))
        difference = self.gates.int8_wer_difference
        if difference is not None and not {"onnx-fp32", "onnx-int8"} <= set(self.artefacts):
            allowed = f"only with onnx-fp32 and onnx-int8 among artefacts ({measured})"
            others = ("artefacts",)
            yield Conflict("gates.int8_wer_difference", str(difference), allowed, others=others)


class ReleaseConfig(Section):
    """Who may make a version of a finished run."""

    auto: bool = False
    """Release without asking a person, if every gate passes or is waived."""
    answer_hours: float | None = Field(default=None, gt=0)
    """How long Airflow waits for a person's answer before it gives up; None: for ever."""


class ScheduleConfig(Section):
    """When Airflow starts a run by itself, and how many at once."""

    cron: str | None = None
    """Cron expression in UTC; None: not by the clock."""
    watch_source: bool = False
    """Look at the source every 15 minutes and start a run when its content has changed."""
    min_hours_between_runs: float = Field(default=24.0, ge=0)
    """A changed source starts no run before the last one began so long ago."""
    max_active_runs: int = Field(default=1, ge=1)
    """How many runs of this recipe Airflow may have going at once."""
    deadline_hours: float | None = Field(default=None, gt=0)
    """Alert when a run is not done so long after it was queued; the run goes on."""

    def conflicts(self) -> Iterator[Conflict]:
        """Five fields; what each of them may say is for Airflow to know."""
        parts = ("* * * * *" if self.cron is None else self.cron).split()
        if len(parts) != 5 or not all(_CRON_FIELD.match(part) for part in parts):
            allowed = "minute hour day month weekday in UTC, such as `0 3 * * 1`, or null"
            yield Conflict("cron", repr(self.cron), allowed)


class ResourcesConfig(Section):
    """What this recipe's stages need of a machine, over what dvc.yaml's `meta` says."""

    launcher: Literal["process", "docker"] | None = None
    """Where stages run; None: as VOXMILL_LAUNCHER says."""
    image: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._/:@-]*$")
    """Image that stages run in, where the launcher is `docker`."""
    gpus: int | None = Field(default=None, ge=0)
    """GPUs for each stage. None: as dvc.yaml says for the stage."""
    processes: int | None = Field(default=None, ge=1)
    """Processes that train together, each with a GPU of its own, or all on the CPU where there is
    none. None: one for each GPU."""
    cpus: float | None = Field(default=None, gt=0)
    """Limit of a container, in cores."""
    memory_gb: float | None = Field(default=None, gt=0)
    """Limit of a container, in GiB, swap included."""
    shm_gb: float | None = Field(default=None, gt=0)
    """Shared memory of a container, in GiB; data loaders hand tensors on through it."""
    timeout_hours: float | None = Field(default=None, gt=0)
    """A stage that takes longer is stopped. None: as dvc.yaml says for the stage."""

    def conflicts(self) -> Iterator[Conflict]:
        """No two processes on one GPU."""
        if self.gpus and self.processes and self.processes > self.gpus:
            allowed = f"at most gpus ({self.gpus}): each process needs one of its own"
            yield Conflict("processes", str(self.processes), allowed, others=("gpus",))
