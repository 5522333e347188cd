"""Passing a growing log on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.launchers import log_follower
from voxmill.launchers.log_follower import LogFollower


def test_only_whole_lines_are_passed_on_until_the_end(tmp_path: Path) -> None:
    """A line is shown when it is finished; the last one even without a line break."""
    log, seen = tmp_path / "log", []
    with LogFollower(log, tmp_path / "offset", seen.append) as follower:
        follower.pass_on()
        log.write_bytes(b"one\ntw")
        follower.pass_on()
        assert seen == ["one"]
        log.write_bytes(b"one\ntwo\nthree")
        follower.pass_on()
        assert seen == ["one", "two"]
        follower.finish()
        assert seen == ["one", "two", "three"]


@given(
    pieces=st.lists(st.binary(max_size=30), max_size=8),
    chunk=st.integers(min_value=1, max_value=40),
)
def test_every_byte_is_passed_on_once_through_however_many_readers(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], chunk: int
) -> None:
    """Each piece gets a reader of its own, as tries that attach have."""
    folder = tmp_path_factory.mktemp("log")
    log, seen = folder / "log", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_follower, "CHUNK_BYTES", chunk)
        for piece in pieces:
            with log.open("ab") as file:
                file.write(piece)
            with LogFollower(log, folder / "offset", seen.append) as follower:
                follower.pass_on()
        with LogFollower(log, folder / "offset", seen.append) as follower:
            follower.finish()
            written = b"".join(pieces)
            assert follower.passed_bytes == len(written)
    if max((len(line) for line in written.split(b"\n")), default=0) < chunk:
        lines = written.split(b"\n")[: None if written[-1:] not in (b"\n", b"") else -1]
        assert seen == [line.rstrip(b"\r").decode("utf-8", errors="replace") for line in lines]


def test_a_line_that_its_taker_choked_on_is_passed_on_again(tmp_path: Path) -> None:
    """Nothing counts as passed on before it has been."""
    log, seen = tmp_path / "log", []
    log.write_bytes(b"one\ntwo\n")

    def choke(line: str) -> None:
        if line == "two":
            raise KeyboardInterrupt
        seen.append(line)

    with (
        pytest.raises(KeyboardInterrupt),
        LogFollower(log, tmp_path / "offset", choke) as follower,
    ):
        follower.pass_on()
    with LogFollower(log, tmp_path / "offset", seen.append) as follower:
        follower.finish()
    assert seen == ["one", "two"]
