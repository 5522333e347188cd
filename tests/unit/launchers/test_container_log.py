"""What is kept and passed on of a container's log."""

from __future__ import annotations

import json
from pathlib import Path

from voxmill.launchers.container_log import ContainerLog

EVENT = {"time": "2026-11-21T03:45:12.123Z", "level": "INFO", "logger": "voxmill.x", "message": "m"}


class PlayedContainer:
    """Has said two lines."""

    def logs(self, **_: object) -> bytes:
        lines = (json.dumps(EVENT), "raw")
        said = (f"2026-11-21T03:45:1{n}.000000000Z {line}\n" for n, line in enumerate(lines))
        return "".join(said).encode()


def test_a_try_s_log_is_text_and_what_is_passed_on_is_as_it_was_said(tmp_path: Path) -> None:
    """People read the file; who passes lines on decides about their form."""
    passed: list[str] = []
    log = tmp_path / "train.1.log"
    ContainerLog(PlayedContainer(), log, tmp_path / "place", passed.append).finish()  # type: ignore[arg-type]
    first, second = log.read_text().splitlines()
    assert first.endswith(",123 INFO m")
    assert second == "raw"
    assert passed == [json.dumps(EVENT), "raw"]
