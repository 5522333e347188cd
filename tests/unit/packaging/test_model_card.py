"""The card tells data, figures, licence and lineage, and the hub can read its head."""

from __future__ import annotations

import yaml
from huggingface_hub import ModelCard as HubCard

from voxmill.packaging.model_card import Lineage, ModelCard, SplitSummary, render


def card(**values) -> ModelCard:
    told = {
        "title": "Connected digits: spoken",
        "language": "en",
        "licence": "apache-2.0",
        "task": "automatic-speech-recognition",
        "architecture": "A Fast Conformer with a CTC head.",
        "source": "Synthetic speech.",
        "splits": (SplitSummary(name="train", utterances=1200, hours=0.756, speakers=60),),
        "figures": {"word error rate": 0.031},
        "figures_decoder": "ctc-greedy",
        "lineage": Lineage(recipe="digits", git_commit="abc123", reports={"train": "f00d"}),
    }
    return ModelCard(**{**told, **values})


def test_the_hub_reads_the_front_matter() -> None:
    """huggingface_hub parses it and finds licence, language, task and library."""
    data = HubCard(render(card())).data
    assert data.license == "apache-2.0"
    assert data.language == ["en"]
    assert data.pipeline_tag == "automatic-speech-recognition"
    assert data.library_name == "transformers"
    assert data.tags == ["voxmill", "digits"]


def test_the_front_matter_is_yaml_whatever_the_values() -> None:
    """`no` is Norwegian, not false."""
    head = render(card(language="no", licence="other")).split("---")[1]
    assert yaml.safe_load(head)["language"] == ["no"]


def test_data_figures_licence_and_lineage_stand_in_the_text() -> None:
    """Each of the things that a stranger must know."""
    text = render(card())
    for fact in (
        "# Connected digits: spoken",
        "| train | 1200 | 0.76 | 60 |",
        "| word error rate | 0.031 |",
        "`ctc-greedy`",
        "recipe: `digits`",
        "commit: `abc123`",
        "report of train: sha256 `f00d`",
        "licence: `apache-2.0`",
        "pipeline(",
    ):
        assert fact in text, fact


def test_without_figures_the_card_says_where_they_will_stand() -> None:
    """Never an empty table, never an invented number."""
    text = render(card(figures={}, lineage=Lineage(recipe="digits", git_commit="")))
    assert "see the report of the release" in text
    assert "| figure |" not in text
    assert "commit: `unknown`" in text
