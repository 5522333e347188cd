"""What a toy stage says if it is told to speak, through the log of a real stage's process."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from voxmill.cli.stage import _name_in_log
from voxmill.observability.log_context import bind_log_context
from voxmill.observability.logs import log_mode, say_last, set_up_logging

logger = logging.getLogger("voxmill.toys")


def speak(stage: str, recipe: str, attempt: int, work: Path, words: str) -> None:
    """A line with a step, then the first line of the words, and the last past any logger."""
    logged, *_, raw = words.split("\n")
    set_up_logging(log_mode(os.environ), os.environ)
    _name_in_log(recipe, stage, attempt, work)
    bind_log_context(step=3)
    logger.info("step %d/%d loss %.1f", 3, 9, 0.5)
    bind_log_context(step=None)
    logger.warning("heard: %s", logged)
    sys.stderr.write(f"raw: {raw}\n")
    sys.stderr.flush()


def leave(words: str, exit_code: int) -> None:
    """As a failing command line does."""
    say_last("cannot go on: {}".format(words.split("\n", maxsplit=1)[0]), exit_code)
    sys.exit(exit_code)
