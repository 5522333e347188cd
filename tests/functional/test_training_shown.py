"""What the dashboards ask of a journal, a real training of a real family says."""

from __future__ import annotations

import time

import pytest

from toys.dashboards import NAMES, questions
from toys.family import toy_recipe
from toys.promql import selectors
from toys.tone_speech import MODEL, write_prepared
from voxmill.families.ctc.family import CtcFamily
from voxmill.observability.catalogue import CATALOGUE
from voxmill.observability.journal import JournalRecorder, read_journal
from voxmill.stages.stage import StageContext
from voxmill.stages.train import TrainStage
from voxmill.training.config import TrainConfig

CONFIG = TrainConfig(
    epochs=2, batch_seconds=16.0, warmup_steps=2, buckets=2, threads=1, watch="loss"
)
OTHERS = {
    "voxmill_train_stopped",  # by the watchdog alone
    "voxmill_goal_reached",  # by evaluate
    # of a network with several branches
    *("voxmill_train_ctc_loss", "voxmill_train_attention_loss"),
    *("voxmill_ctc_loss", "voxmill_attention_loss"),
    *("voxmill_decoder_wer_ratio", "voxmill_decoder_cer_ratio"),
    "voxmill_decoder_token_accuracy_ratio",
}
"""Series that this training has no reason to write."""


VARIABLES = dict.fromkeys(
    ("recipe", "recipes", "run", "split", "artefact", "instance", "price"), "1"
)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the journal of a training that takes seconds."""
    folder = tmp_path_factory.mktemp("training")
    write_prepared(folder / "prepare")
    (folder / "out").mkdir()
    with JournalRecorder(folder / "journal", attempt=1) as recorder:
        TrainStage(lambda name: CtcFamily()).run(
            StageContext(
                recipe=toy_recipe(CONFIG).model_copy(update={"model": MODEL}),
                inputs={"prepare": folder / "prepare"},
                out=folder / "out",
                work=folder,
                recorder=recorder,
                stop_requested=lambda: False,
                clock=time.monotonic,
            )
        )
    return {name for line in read_journal(folder / "journal") for name in line.values}


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_waits_for_a_figure_that_no_training_tells(said: set[str], name: str) -> None:
    """Fixtures say whatever is catalogued, so only a training can tell what is missing."""
    asked = {
        one.metric
        for each in questions(name, VARIABLES)
        for one in selectors(each.expression)
        if one.metric in CATALOGUE and CATALOGUE[one.metric].scope == "journal"
    }
    assert asked - said - OTHERS == set()
    assert name != "training" or len(asked & said) > 20
