"""The front ends that stand before a network, by the `kind` that a package's file names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxmill.signal.mel import LogMel, MelSettings
from voxmill.signal.waveform import Waveform, WaveformSettings

FrontendSettings = MelSettings | WaveformSettings
Frontend = LogMel | Waveform


def frontend(settings: FrontendSettings) -> Frontend:
    """The front end in numpy: samples (N,) in, what the network hears out."""
    return LogMel(settings) if isinstance(settings, MelSettings) else Waveform(settings)


def settings_from_json(values: Mapping[str, Any]) -> FrontendSettings:
    """The settings of a `frontend.json`; without a kind they are those of a mel front end.

    Raises:
        TypeError: A setting is unknown.
    """
    named = {name: value for name, value in values.items() if name != "kind"}
    if values.get("kind", "mel") == "waveform":
        return WaveformSettings.from_json(named)
    return MelSettings.from_json(named)


def settings_to_json(settings: FrontendSettings) -> dict[str, int | float | str]:
    """What `settings_from_json` takes back."""
    kind = "mel" if isinstance(settings, MelSettings) else "waveform"
    return {"kind": kind, **settings.to_json()}
