"""Arrays are read as numbers or refused with a reason; no file makes the reader fail otherwise."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.signal.array_file import ArrayError, read_array


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


GOOD = npy(np.arange(12.0, dtype=np.float32).reshape(4, 3))


class Bomb:
    """Would be noticed if it were ever unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


def with_shape(shape: str) -> bytes:
    """The good file with another shape in its header, of the same length."""
    found = GOOD.replace(b"(4, 3), }" + b" " * 20, shape.encode().ljust(29), 1)
    assert len(found) == len(GOOD)
    assert found != GOOD
    return found


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2", "<i2", "u1"])
def test_numbers_of_every_kind_come_as_float32(kind: str) -> None:
    """Sensors write whole numbers, other machines other byte orders."""
    array = np.arange(12).reshape(4, 3).astype(kind)
    for laid in (array, np.asfortranarray(array)):
        found = read_array(npy(laid), name="a.npy", dimensions=3)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, array.astype(np.float32))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "unreadable_array"),
        (b"RIFF....WAVE", "unreadable_array"),
        (GOOD[:-1], "unreadable_array"),
        (GOOD + b"x", "unreadable_array"),
        (GOOD[:20], "unreadable_array"),
        (npy(np.array([["a", "b", "c"]])), "unreadable_array"),
        (npy(np.zeros((2, 3), complex)), "unreadable_array"),
        (npy(np.zeros(2, [("x", "f4"), ("y", "f4")])), "unreadable_array"),
        (npy(np.array([[Bomb(), 1, 2]], dtype=object), allow_pickle=True), "unreadable_array"),
        (pickle.dumps(Bomb()), "unreadable_array"),
        (with_shape("(10**12, 3), }"), "unreadable_array"),
        (with_shape("(1000000000000, 3), }"), "unreadable_array"),
        (with_shape("(-4, -3), }"), "unreadable_array"),
        (npy(np.zeros(3)), "wrong_shape"),
        (npy(np.float32(3)), "wrong_shape"),
        (npy(np.zeros((4, 3, 1))), "wrong_shape"),
        (npy(np.zeros((3, 4))), "wrong_shape"),
        (npy(np.zeros((0, 3))), "empty_array"),
        (npy(np.array([[0, np.nan, 0]])), "non_finite_array"),
        (npy(np.array([[0, -np.inf, 0]])), "non_finite_array"),
        (npy(np.array([[0, 1e300, 0]])), "non_finite_array"),
    ],
)
def test_what_is_no_array_of_that_shape_is_refused_by_name(content: bytes, fault: str) -> None:
    """Nothing is unpickled, and no room is made for what a header merely promises."""
    with pytest.raises(ArrayError) as error:
        read_array(content, name="sensors/a.npy", dimensions=3)
    assert error.value.fault == fault
    assert "sensors/a.npy" in str(error.value)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_to_a_file_makes_the_reader_fail_otherwise(data: st.DataObject) -> None:
    """Any byte of header or content may be another one."""
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_array(bytes(content), name="a.npy", dimensions=3)
    except ArrayError:
        return
    assert found.shape[1] == 3
    assert np.isfinite(found).all()
