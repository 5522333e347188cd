"""`voxmill monitoring` from outside: three addresses that answer, and nothing left after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from toys.monitoring import CONFIGURATION, free_ports
from toys.programs import program
from toys.toy_project import make_project


@pytest.fixture
def toy(tmp_path):
    toy = make_project(tmp_path)
    (toy.root / "monitoring").symlink_to(CONFIGURATION)
    return toy


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "voxmill.cli.main", "monitoring", *more]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_all_three_and_ends_them(toy, number):
    """What it prints can be opened; afterwards nobody answers there."""
    program("prometheus")
    ports = dict(zip(("exporter", "alertmanager", "prometheus"), free_ports(3), strict=True))
    options = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
    options += ["--statsd-port", "0"]
    process = subprocess.Popen(
        command(*options), cwd=toy.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = []
    while not lines or "Ctrl-C" not in lines[-1]:
        line = process.stdout.readline()
        assert line, "".join(lines)
        lines.append(line)
    for name, page in {"exporter": "metrics", "alertmanager": "-/ready"}.items():
        assert f"http://127.0.0.1:{ports[name]}" in "".join(lines)
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[name]}/{page}", timeout=5) as answer:
            assert answer.status == 200
    process.send_signal(number)
    assert process.wait(30) == 0
    for port in ports.values():
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def test_without_the_programs_it_says_what_to_install(toy, tmp_path):
    """Exit code 69 and the packages' names."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(program_of_git())
    environ = {**os.environ, "PATH": str(tmp_path / "bin")}
    done = subprocess.run(
        command(), cwd=toy.root, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 69
    assert "prometheus-alertmanager" in done.stderr
    assert "Traceback" not in done.stderr


def program_of_git() -> str:
    import shutil

    path = shutil.which("git")
    assert path is not None
    return path
