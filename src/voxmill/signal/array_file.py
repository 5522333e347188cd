"""Arrays from `.npy` files: features that somebody else computed or a sensor wrote.

Legend: T steps, D dimensions.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from voxmill.errors import DataError

Steps = npt.NDArray[np.float32]
ArrayFault = Literal["unreadable_array", "wrong_shape", "empty_array", "non_finite_array"]

_HEADERS: Mapping[Any, Callable[..., Any]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}
"""Version 3 differs for names of fields alone, which no array of numbers has."""
_NUMBERS = "fiu"
"""Kinds of dtype that are taken: floats, and whole numbers as sensors write them."""


class ArrayError(DataError):
    """An array that cannot be used.

    Attributes:
        name: The file, as messages call it.
        fault: Why, as manifests name it.
        detail: What was found.
    """

    def __init__(self, name: str, *, fault: ArrayFault, detail: str) -> None:
        self.name = name
        self.fault = fault
        self.detail = detail
        super().__init__(f"Array {name}: {detail}. Replace the file or take it out.")


def read_array(content: bytes, *, name: str, dimensions: int) -> Steps:
    """The array of a file; nothing in it is unpickled, and no more is read than the file holds.

    Args:
        content: The file's bytes.
        name: What messages call it.
        dimensions: D that is expected.

    Returns:
        (T, D) float32.

    Raises:
        ArrayError: The content is no array of numbers, has another shape, holds no steps, or holds
            NaN or infinity (also after rounding to float32).
    """
    _refuse_header(content, name)
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # as below
        raise _unreadable(name, content, str(error)) from error
    if found.ndim != 2 or found.shape[1] != dimensions:
        detail = f"shape {found.shape}, expected (T, {dimensions})"
        raise ArrayError(name, fault="wrong_shape", detail=detail)
    if not len(found):
        raise ArrayError(name, fault="empty_array", detail="the array holds no steps")
    with np.errstate(over="ignore"):
        steps = np.ascontiguousarray(found, dtype=np.float32)  # (T, D)
    if not np.isfinite(steps).all():
        detail = "values are NaN, infinite or too large for float32"
        raise ArrayError(name, fault="non_finite_array", detail=detail)
    return steps


def _refuse_header(content: bytes, name: str) -> None:
    """Before numpy makes room for what the header promises, the promise is looked at."""
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"unknown version {version}")  # noqa: TRY301
        shape, _, dtype = _HEADERS[version](stream)
    except Exception as error:
        # numpy promises ValueError, but a damaged header is read as a literal of Python, which
        # fails in many ways; whatever they are, the file is no array
        raise _unreadable(name, content, str(error)) from error
    if dtype.kind not in _NUMBERS:
        detail = f"dtype {dtype}, expected float32, float64 or another number"
        raise ArrayError(name, fault="unreadable_array", detail=detail)
    promised, there = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if promised != there:
        raise _unreadable(name, content, f"{promised} bytes of values promised, {there} there")


def _unreadable(name: str, content: bytes, why: str) -> ArrayError:
    told = " ".join(why.split())[:160].rstrip(".")
    detail = f"{len(content)} bytes that are no array of numpy ({told})"
    return ArrayError(name, fault="unreadable_array", detail=detail)
