"""The three processes: all of them, or a clear word on what is missing, and none left behind."""

from __future__ import annotations

import sys

import pytest

from toys.monitoring import CONFIGURATION, free_ports
from toys.programs import program
from voxmill.errors import EngineMissing
from voxmill.exporting.monitor_setup import MonitorOptions, Ports
from voxmill.exporting.monitors import Monitors, find_programs

FAILS = [sys.executable, "-c", "import sys; print('no project here'); sys.exit(3)"]
ANSWERS = """
import http.server, sys
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""


def options(folder, command, ports=None):
    exporter, prometheus, alertmanager = ports or free_ports(3)
    return MonitorOptions(
        configuration=CONFIGURATION,
        state=folder / "state",
        exporter_command=command,
        exporter_folder=folder,
        ports=Ports(exporter=exporter, prometheus=prometheus, alertmanager=alertmanager),
    )


def test_missing_programs_are_named_with_their_packages(monkeypatch):
    """Both at once, and how Debian calls them."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineMissing) as told:
        find_programs()
    assert "alertmanager, prometheus" in str(told.value)
    assert "apt-get install prometheus prometheus-alertmanager" in str(told.value)


def test_one_that_ends_at_its_start_ends_the_others_and_is_quoted(tmp_path):
    """The last lines of its log are in the message."""
    program("prometheus")
    monitors = Monitors(options(tmp_path, FAILS))
    with pytest.raises(EngineMissing, match=r"exporter has ended with 3(.|\n)*no project here"):
        monitors.__enter__()
    for name in ("prometheus", "alertmanager"):
        assert monitors.process(name).poll() is not None


def test_all_of_them_answer_within_and_none_lives_after(tmp_path):
    """One that ends in between is told by name."""
    program("prometheus")
    (tmp_path / "metrics").write_text("")
    ports = free_ports(3)
    command = [sys.executable, "-c", ANSWERS, str(ports[0])]
    with Monitors(options(tmp_path, command, ports)) as monitors:
        monitors.require_alive()
        monitors.process("alertmanager").terminate()
        monitors.process("alertmanager").wait(10)
        with pytest.raises(EngineMissing, match="alertmanager has ended with"):
            monitors.keep()
    for name in ("exporter", "prometheus", "alertmanager"):
        assert monitors.process(name).poll() is not None


def test_a_taken_port_is_told(tmp_path):
    """Another program that answers there is not taken for ours."""
    program("prometheus")
    ports = free_ports(3)
    (tmp_path / "metrics").write_text("")
    command = [sys.executable, "-c", ANSWERS, str(ports[0])]
    with Monitors(options(tmp_path, command, ports)):
        others = free_ports(3)
        second = [sys.executable, "-c", ANSWERS, str(others[0])]
        taken = (others[0], ports[1], others[2])
        late = Monitors(options(tmp_path / "late", second, taken))
        (tmp_path / "late").mkdir()
        (tmp_path / "late" / "metrics").write_text("")
        with pytest.raises(
            EngineMissing, match=r"prometheus has ended(.|\n)*address already in use"
        ):
            late.__enter__()
