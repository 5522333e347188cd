"""A recipe: one system to train, as typed sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from voxmill.corpus.config import AuditConfig
from voxmill.corpus.sources.config import SourceConfig
from voxmill.families.catalogue import FAMILIES
from voxmill.recipe.base_config import BaseConfig
from voxmill.recipe.sections import (
    EvaluateConfig,
    PackageConfig,
    PrepareConfig,
    ProbeConfig,
    ReleaseConfig,
    ResourcesConfig,
    ScheduleConfig,
    VerifyConfig,
)
from voxmill.section import Section
from voxmill.training.config import TrainConfig

SECTIONS = (
    "source",
    "base",
    "audit",
    "verify",
    "prepare",
    "probe",
    "model",
    "train",
    "package",
    "evaluate",
    "release",
    "schedule",
    "resources",
)

if TYPE_CHECKING:
    FamilyName = str
else:
    FamilyName = Literal[tuple(FAMILIES)]  # a new family is allowed as soon as it is catalogued


class Recipe(Section):
    """What a user edits: where data comes from, what is trained, what it must reach."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """From the file name."""
    title: str = Field(pattern=r"^[^\n]+$", examples=["Digits read by children"])
    """One line that says what this system does."""
    family: FamilyName
    """Kind of model; says what the section `model` takes."""
    language: str = Field(
        default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", examples=["en", "sr-Latn"]
    )
    """BCP 47 code, for model card and normalisation."""
    source: SourceConfig
    base: BaseConfig = Field(default_factory=BaseConfig)
    audit: AuditConfig = Field(default_factory=AuditConfig)
    verify: VerifyConfig = Field(default_factory=VerifyConfig)
    prepare: PrepareConfig = Field(default_factory=PrepareConfig)
    probe: ProbeConfig = Field(default_factory=ProbeConfig)
    model: Any
    """Typed by the family: an instance of its config class."""
    train: TrainConfig = Field(default_factory=TrainConfig)
    package: PackageConfig = Field(default_factory=PackageConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    release: ReleaseConfig = Field(default_factory=ReleaseConfig)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    resources: ResourcesConfig = Field(default_factory=ResourcesConfig)
