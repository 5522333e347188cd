"""The front ends that stand before a network, by the `kind` that a package's file names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxmill.signal.mel import LogMel, MelSettings
from voxmill.signal.standardise import FeatureSettings, Standardised
from voxmill.signal.waveform import Waveform, WaveformSettings

FrontendSettings = MelSettings | WaveformSettings | FeatureSettings
Frontend = LogMel | Waveform | Standardised

FEATURES = "features"
"""Kind of the front end that takes arrays (T, D) in place of samples."""


def frontend(settings: FrontendSettings) -> Frontend:
    """The front end in numpy: samples (N,) or an array (T, D) in, what the network hears out."""
    if isinstance(settings, FeatureSettings):
        return Standardised(settings)
    return LogMel(settings) if isinstance(settings, MelSettings) else Waveform(settings)


def settings_from_json(values: Mapping[str, Any]) -> FrontendSettings:
    """The settings of a `frontend.json`; without a kind they are those of a mel front end.

    Raises:
        KeyError: A setting is missing.
        TypeError: A setting is unknown.
    """
    named = {name: value for name, value in values.items() if name != "kind"}
    if values.get("kind", "mel") == "waveform":
        return WaveformSettings.from_json(named)
    if values.get("kind") == FEATURES:
        return FeatureSettings.from_json(named)
    return MelSettings.from_json(named)


def settings_to_json(settings: FrontendSettings) -> dict[str, Any]:
    """What `settings_from_json` takes back."""
    if isinstance(settings, FeatureSettings):
        return {"kind": FEATURES, **settings.to_json()}
    kind = "mel" if isinstance(settings, MelSettings) else "waveform"
    return {"kind": kind, **settings.to_json()}
