"""The report page in a real browser: it works by itself, asks nobody, and shows everything.

The page is made by the stage, from toy recordings. Requests are counted by a proxy that the browser
is told to use for every address; a page that does fetch something proves that the proxy sees it.
Chromium itself asks its maker for updates and the time, which no option prevents: those hosts are
left out of the count, those that serve fonts and scripts to pages are not.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fakes.recogniser import FakeFamily
from toys.evaluation_inputs import ToyUtterance, toy_recipe, write_inputs
from voxmill.recipe.sections import EvaluateConfig, EvaluateGates
from voxmill.stages.evaluate import EvaluateStage
from voxmill.stages.stage import StageContext

EVIL = "<script>document.title='broken'</script>"
TOYS = [
    ToyUtterance(
        id=f"u{i:02d}",
        text=f"five {i} {EVIL}" if i == 3 else "five one two",
        samples=4000 + i,
        speaker="ann" if i % 2 else "bob",
        split="noisy" if i > 20 else "test",
    )
    for i in range(24)
]
SAID = {toy.samples: toy.text for toy in TOYS}
CURVES = [
    {"step": step, "values": {"voxmill_train_loss": 3.0 / step}, "labels": {}}
    for step in range(1, 400)
] + [
    {
        "step": step,
        "values": {"voxmill_loss": 4.0 / step, "voxmill_wer_ratio": 1.0 / step},
        "labels": {"split": "validation"},
    }
    for step in range(50, 400, 50)
]


@pytest.fixture(scope="module")
def browser() -> str:
    """Chromium; without it nothing is proved, which CI does not accept."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
    if found is None:
        message = "no chromium on PATH: install it (`apt-get install chromium`) to test the page"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """index.html as the stage writes it: int8 mishears, and every `two` is lost."""

    def hear(artefact: str, samples: np.ndarray) -> str:
        text = SAID[len(samples)].replace(" two", "")
        return text.replace("five", "nine") if artefact == "onnx-int8" else text

    folder = tmp_path_factory.mktemp("report")
    family = FakeFamily(hear)
    (folder / "out").mkdir()
    EvaluateStage(lambda _: family).run(
        StageContext(
            recipe=toy_recipe(EvaluateConfig(gates=EvaluateGates(wer=0.1, cer=0.9))),
            inputs=write_inputs(folder / "in", TOYS, curves=CURVES),
            out=folder / "out",
            work=folder / "work",
            clock=family.clock,
        )
    )
    return folder / "out" / "index.html"


BROWSERS_OWN = re.compile(
    r"(^|\.)(google|gvt1|googleusercontent)\.com$|^(?!fonts\.|ajax\.)[\w-]+\.googleapis\.com$"
)
NO_PROXY_THERE = 9
"""Nobody listens at this port: what the browser asks for by itself goes nowhere."""


class Proxy:
    """Counts what a browser asks for, and answers nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.asked: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def hosts_asked_for(self) -> set[str]:
        """Hosts that a page asked for."""
        lines = [re.split(r"[ /:]+", line) for line in self.asked if line]
        hosts = {words[1] if words[0] == "CONNECT" else words[2] for words in lines}
        return {host for host in hosts if not BROWSERS_OWN.search(host)}

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                self.asked.append(connection.recv(2000).decode(errors="replace").split("\r")[0])


@contextmanager
def proxy() -> Iterator[Proxy]:
    """A proxy for the time of one test."""
    found = Proxy()
    try:
        yield found
    finally:
        found.close()


def dump(browser: str, path: Path, folder: Path, *more: str, port: int = NO_PROXY_THERE) -> str:
    """The document as it stands after its scripts ran."""
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            f"--proxy-server=127.0.0.1:{port}",
            "--proxy-bypass-list=<-loopback>",
            "--virtual-time-budget=4000",
            *more,
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


class Counter(HTMLParser):
    """Counts tags, and keeps the attributes of each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, list[dict[str, str]]] = {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.setdefault(tag, []).append({name: value or "" for name, value in attrs})


@pytest.fixture(scope="module")
def document(browser: str, page: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page after its scripts ran."""
    return dump(browser, page, tmp_path_factory.mktemp("browser"))


def test_the_page_asks_nobody_for_anything(browser: str, page: Path, tmp_path: Path):
    """It can be mailed, archived and opened in ten years; a counter-example shows the measure."""
    with proxy() as quiet:
        dump(browser, page, tmp_path, port=quiet.port)
        assert quiet.hosts_asked_for() == set()
    with proxy() as loud:
        other = tmp_path / "other.html"
        other.write_text(
            '<img src="http://pictures.example/a.png">'
            '<link rel="stylesheet" href="https://fonts.googleapis.com/css">'
        )
        dump(browser, other, tmp_path, port=loud.port)
        assert loud.hosts_asked_for() == {"pictures.example", "fonts.googleapis.com"}


def test_every_worst_utterance_has_a_player_with_its_recording(document: str):
    """Whoever reads an error can hear it."""
    players = Counter(document).found["audio"]
    assert len(players) == 24 - 1  # the one with the evil text loses no word
    assert all(player["src"].startswith("data:audio/flac;base64,") for player in players)
    assert all("controls" in player for player in players)


def test_tables_are_filled(document: str):
    """Two test sets by three artefacts, two gates for each set, two speakers, three stages."""
    assert document.partition('id="artefacts"')[2].partition("</table>")[0].count("<tr") == 1 + 6
    assert document.partition('id="gates"')[2].partition("</table>")[0].count("<tr") == 1 + 4
    assert document.partition('id="origins"')[2].partition("</table>")[0].count("<tr") == 1 + 3
    assert "✗ failed" in document
    assert "✓ passed" in document


def test_our_script_runs_and_a_transcript_does_not(document: str):
    """Filters appear, tables can be sorted; the text that looks like a script stays text."""
    assert "23 of 23" in document
    assert "<title>toy: evaluation</title>" in document
    assert 'th scope="col"><button' in document.replace(' aria-sort="none"', "")
    (form,) = Counter(document).found["form"]
    assert "hidden" not in form


def test_learning_curves_are_drawn_with_their_axes(document: str):
    """Loss of training and validation, error rate of validation; ticks on both axes."""
    found = Counter(document).found
    assert len(found["polyline"]) == 3
    assert all(len(line["points"].split()) >= 7 for line in found["polyline"])
    assert document.count('<figure class="chart"') == 2


def test_the_page_stays_small_enough_to_send(page: Path):
    """5 MB, with all recordings inside."""
    assert page.stat().st_size < 5_000_000


def narrow_width(browser: str, page: Path, folder: Path) -> tuple[int, int]:
    """Width of the content and of the window on a phone."""
    probe = folder / "probe.html"
    frame = page.read_text(encoding="utf-8")
    probe.write_text(
        re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", frame).replace(
            "</body>",
            "<script>document.title = document.documentElement.scrollWidth"
            " + ' of ' + window.innerWidth</script></body>",
        ),
        encoding="utf-8",
    )
    shown = dump(browser, probe, folder, "--window-size=500,900")
    widths = re.search(r"<title>(\d+) of (\d+)</title>", shown)
    assert widths is not None
    return int(widths[1]), int(widths[2])


def test_nothing_sticks_out_of_a_narrow_window(browser: str, page: Path, tmp_path: Path):
    """Wide tables scroll by themselves; the page as a whole never scrolls sideways."""
    content, window = narrow_width(browser, page, tmp_path)
    assert window <= 500
    assert content <= window
