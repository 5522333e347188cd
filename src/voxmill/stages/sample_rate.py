"""How many values of time a model hears in a second, be they samples or steps of features."""

from __future__ import annotations

from pydantic import BaseModel

from voxmill.errors import UsageError


def sample_rate_of(model: BaseModel) -> int | float:
    """The sample rate that a model hears, in Hz; of features, how many steps a second has.

    A family states it as `sample_rate_hz` of its `model` section: as a setting, or as a property
    where the model knows one rate only. One that hears features states the length of a step as
    `input.frame_seconds`.

    Raises:
        UsageError: The section has none.
    """
    step = getattr(getattr(model, "input", None), "frame_seconds", None)
    if isinstance(step, float):
        return 1 / step
    rate = getattr(model, "sample_rate_hz", None)
    if not isinstance(rate, int):
        raise UsageError(
            f"Model section {type(model).__name__} has no sample_rate_hz; expected a setting or a "
            "property of that name, in Hz. Add it to the family's config.py."
        )
    return rate
