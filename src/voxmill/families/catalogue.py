"""The families that voxmill knows; config classes are light, families are loaded when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from voxmill.section import Section

if TYPE_CHECKING:
    from voxmill.families.family import Family


@dataclass(frozen=True)
class FamilyEntry:
    """Where a family's parts stand, as `module:name`."""

    config: str
    family: str
    version: int
    """Raised when the same inputs would give another model; a parameter of stages in DVC."""


FAMILIES: dict[str, FamilyEntry] = {
    "ctc": FamilyEntry(
        config="voxmill.families.ctc.config:CtcModelConfig",
        family="voxmill.families.ctc.family:CtcFamily",
        version=1,
    ),
}


def config_class(name: str) -> type[Section]:
    """The class of a family's `model` section; imports nothing heavy."""
    found: type[Section] = _named(FAMILIES[name].config)
    return found


def load_family(name: str) -> Family:
    """An instance of the family, with whatever it needs (torch, transformers) imported."""
    family: Family = _named(FAMILIES[name].family)()
    return family


def _named(place: str) -> type:
    module, _, name = place.partition(":")
    found: type = getattr(import_module(module), name)
    return found
