"""A recipe: one system to train, as typed sections."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from voxmill.corpus.sources.config import SourceConfig
from voxmill.families.catalogue import FAMILIES, config_class
from voxmill.recipe.sections import (
    AuditConfig,
    EvaluateConfig,
    PackageConfig,
    PrepareConfig,
    ProbeConfig,
    ResourcesConfig,
    ScheduleConfig,
    VerifyConfig,
)
from voxmill.section import Section
from voxmill.training.config import TrainConfig

SECTIONS = (
    "source",
    "audit",
    "verify",
    "prepare",
    "probe",
    "model",
    "train",
    "package",
    "evaluate",
    "schedule",
    "resources",
)


class Recipe(Section):
    """What a user edits: where data comes from, what is trained, what it must reach."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """From the file name."""
    title: str
    """One line that says what this system does."""
    family: Literal["ctc"]
    language: str = "en"
    """BCP 47 code, for model card and normalisation."""
    source: SourceConfig
    audit: AuditConfig = Field(default_factory=AuditConfig)
    verify: VerifyConfig = Field(default_factory=VerifyConfig)
    prepare: PrepareConfig = Field(default_factory=PrepareConfig)
    probe: ProbeConfig = Field(default_factory=ProbeConfig)
    model: Any
    """Typed by the family: an instance of its config class."""
    train: TrainConfig = Field(default_factory=TrainConfig)
    package: PackageConfig = Field(default_factory=PackageConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    resources: ResourcesConfig = Field(default_factory=ResourcesConfig)
