"""The page: one file, every text escaped, every figure in its place."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from toys.evaluation_inputs import RATE_HZ, ToyUtterance, tone, toy_recipe, write_inputs
from voxmill.recipe.sections import EvaluateConfig, EvaluateGates
from voxmill.stages.evaluation.curves import Series
from voxmill.stages.evaluation.examples import worst_examples
from voxmill.stages.evaluation.gates import gate_checks
from voxmill.stages.evaluation.lineage import read_origins
from voxmill.stages.evaluation.page import ReportPage, render

from .builders import measurement, results, transcript

EVIL = "<script>alert('x')</script>"
EVIL_QUOTES = "\"onmouseover='alert(1)'"
NEVER_CLOSED = {"meta", "link", "input", "br", "img"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in NEVER_CLOSED:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page(
    *measurements,
    gates: EvaluateGates | None = None,
    origins: tuple = (),
    audible: bool = True,
    **more,
) -> str:
    """A rendered page about those measurements."""
    found = results(*measurements)
    examples = worst_examples(
        found.main,
        count=30,
        samples=(lambda utterance: tone(utterance.samples)) if audible else None,
        sample_rate_hz=RATE_HZ,
        budget_bytes=10**6,
    )
    recipe = toy_recipe(EvaluateConfig(gates=gates or EvaluateGates()), **more)
    checks = gate_checks(recipe.evaluate.gates, found)
    series = (
        Series("voxmill_train_loss", "training", ((1, 3.0), (2, 2.0))),
        Series("voxmill_wer_ratio", "validation", ((1, 1.0), (2, 0.5))),
    )
    return render(
        ReportPage(
            recipe=recipe,
            results=found,
            checks=checks,
            series=series,
            examples=examples,
            origins=origins,
        )
    )


WRONG = transcript("five one two", "nine one", id="u7", speaker="bob")
RIGHT = transcript("one two", "one two")


def test_only_what_can_be_heard_has_a_player():
    """Of features neither a player nor a word on one that is missing."""
    assert "audio" in Reader(page(measurement(WRONG))).tags
    silent = Reader(page(measurement(WRONG), audible=False))
    assert "audio" not in silent.tags
    assert "too long to lie inside" not in silent.text


def test_transcripts_and_names_cannot_become_markup():
    """Wherever a text of the data stands, it stays text."""
    evil = transcript(
        f"one {EVIL} {EVIL_QUOTES}", f"{EVIL_QUOTES} {EVIL}x", id=EVIL, speaker=EVIL_QUOTES
    )
    reader = Reader(page(measurement(evil), title=f"Digits {EVIL}"))
    assert reader.tags.count("script") == 1
    assert EVIL in reader.text
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]


def test_the_policy_lets_only_our_script_run_and_nothing_be_fetched():
    """Should escaping ever fail, the browser still refuses."""
    html = page(measurement(WRONG))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert policy is not None
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest.replace('+', '&#43;')}'" in policy[1].replace("+", "&#43;")
    assert policy[1].startswith("default-src 'none'")


def test_nothing_points_outside_the_file():
    """Every address in the page is a data URI."""
    html = page(measurement(WRONG))
    reader = Reader(html)
    addresses = [v for _, name, v in reader.attributes if name in {"src", "href", "data", "action"}]
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    assert "@import" not in html
    assert "url(" not in html


def test_differences_are_told_by_sign_and_not_by_colour_alone():
    """Five heard as nine, two missed: both can be read in black and white."""
    text = " ".join(Reader(page(measurement(WRONG))).text.split())
    assert "said five≠ , heard nine" in text
    assert "missed two\N{MINUS SIGN}" in text


def test_the_verdict_and_the_remedy_stand_on_the_page():
    """A failed gate is seen first, and says what to do."""
    failed = Reader(page(measurement(WRONG), gates=EvaluateGates(wer=0.1, cer=2.0))).text
    assert "Failed: 1 of 2 gates not passed" in failed
    assert "Listen to the worst utterances" in failed
    passed = Reader(page(measurement(RIGHT), gates=EvaluateGates(wer=0.1))).text
    assert "Passed its one gate" in passed
    assert "sets no gates" in Reader(page(measurement(RIGHT))).text


def test_a_perfect_model_has_a_page_too():
    """No errors: no examples, no division by zero, a friendly sentence."""
    text = " ".join(Reader(page(measurement(RIGHT))).text.split())
    assert "heard all 2 words of test rightly" in text
    assert "made no error" in text


def test_every_table_names_its_columns():
    """Headers carry a scope, so that a screen reader can say them."""
    reader = Reader(page(measurement(WRONG), gates=EvaluateGates(wer=0.1)))
    headers = reader.tags.count("th")
    scoped = sum(1 for tag, name, _ in reader.attributes if tag == "th" and name == "scope")
    assert headers == scoped > 10
    assert reader.tags.count("caption") == reader.tags.count("table")


def test_all_test_sets_and_artefacts_are_in_the_summary():
    """Two by two: four rows."""
    html = page(
        measurement(WRONG),
        measurement(WRONG, artefact="hf", size=14_200_000),
        measurement(RIGHT, test_set="noisy"),
        measurement(RIGHT, artefact="hf", test_set="noisy", size=14_200_000),
    )
    table = html.partition('<table id="artefacts">')[2].partition("</table>")[0]
    assert table.count("<tr") == 1 + 4
    assert "14.2\N{NARROW NO-BREAK SPACE}MB" in table


def test_lineage_names_hash_and_commit(tmp_path):
    """Whoever reads the page can find what it is about."""
    inputs = write_inputs(tmp_path, [ToyUtterance(id="a", text="a", samples=8)])
    origins = read_origins(inputs)
    text = Reader(page(measurement(WRONG), origins=origins)).text
    assert all(origin.sha256 in text for origin in origins)
    assert "c0ffeec0ff" in text
    assert "2026-11-21 03:04 UTC" in text


@pytest.mark.parametrize("count", [0, 2])
def test_empty_references_are_mentioned_where_there_are_some(count: int):
    """Nothing is hidden: silent utterances count, and the page says so."""
    silent = [transcript("", "ghost", id=f"s{i}") for i in range(count)]
    text = " ".join(Reader(page(measurement(WRONG, *silent))).text.split())
    assert ("2 utterances have an empty reference" in text) == (count == 2)
