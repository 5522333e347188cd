"""Components are real processes here, only smaller than Airflow's."""

import signal
import sys
import textwrap
import time

import pytest

from toys.airflow_server import wait
from voxmill.launchers.processes import identify, session_members
from voxmill.orchestration import server_component
from voxmill.orchestration.server_component import Component, end_component

# A scheduler with a task that has a job: on SIGTERM the first waits for the second, as Airflow's
# does; the job has a session of its own.
FAMILY = """
import os, signal, subprocess, sys, time
job = subprocess.Popen(["sleep", "60"], start_new_session=True)
task = subprocess.Popen(["sleep", "60"])
def leave(*_):
    task.wait()
    print("left in peace", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
print("family", task.pid, job.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def component(tmp_path):
    made = []

    def make(code, name="scheduler"):
        command = (sys.executable, "-c", textwrap.dedent(code))
        made.append(Component(name, command, {"WHO": "me"}, tmp_path / "logs" / f"{name}.log"))
        return made[-1]

    yield make
    for one in made:
        if one.leader:
            end_component(one.name, one.leader, grace_seconds=0)
            one.reap()


def log_of(component, word):
    def found():
        text = component.log.read_text()
        return text if word in text else None

    return wait(found, 10, word, pause=0.02)


def test_a_component_has_its_own_session_environment_and_log(component):
    """Rule: Ctrl-C in the terminal reaches the keeper alone, and nothing else leaks in."""
    one = component("import os; print(os.getsid(0) == os.getpid(), os.environ['WHO'], flush=True)")
    one.start()
    assert "True me" in log_of(one, "me")


def test_an_ended_scheduler_leaves_its_jobs_alone(component):
    """Rule: tasks are killed, so that it need not wait for them; jobs go on."""
    one = component(FAMILY)
    one.start()
    task, job = (identify(int(pid)) for pid in log_of(one, "family").split()[1:3])
    began = time.monotonic()
    end_component(one.name, one.leader, grace_seconds=10)
    one.reap()
    assert time.monotonic() - began < 5
    assert "left in peace" in one.log.read_text()
    assert session_members(one.leader) == []
    assert not task.alive
    assert job.alive
    job.signal(signal.SIGKILL)


def test_whoever_does_not_leave_is_killed_with_all_it_started(component):
    """Rule: no orphans."""
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    start_other = "subprocess.Popen(['sleep', '60'])"
    one = component(f"import signal, subprocess, time; {start_other}; {deaf}; time.sleep(60)")
    one.start()
    log_of(one, "deaf")
    assert len(session_members(one.leader)) == 2
    end_component("triggerer", one.leader, grace_seconds=0.2)
    assert session_members(one.leader) == []


def test_whoever_dies_comes_back_after_longer_and_longer_pauses(component, monkeypatch):
    """Rule: one that cannot live must not keep the machine busy."""
    monkeypatch.setattr(server_component, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(server_component, "LONGEST_PAUSE_SECONDS", 0.2)
    one = component("pass", name="triggerer")
    one._pause_seconds = 0.05
    one.start()
    pauses = []
    while len(pauses) < 4:
        wait(one.ended, 10, "its end", pause=0.01)
        if (pause := one.start_again()) is not None:
            pauses.append(pause)
    assert pauses == [0.05, 0.1, 0.2, 0.2]
    assert one.starts == 4


def test_only_trouble_goes_to_the_terminal_and_only_once(component):
    """Rule: errors are seen without being looked for; the rest is in the file."""
    code = r"""
    print("2026-11-21T03:00:00Z [info     ] all well [airflow] loc=a.py:1")
    print("2026-11-21T03:00:00Z [error    ] no database [airflow] loc=a.py:1")
    print('{"event": "lost", "level": "critical"}')
    print('{"event": "an error of yours", "level": "info"}')
    print("ValueError: 3", flush=True)
    """
    one = component(code, name="api-server")
    one.start()
    log_of(one, "ValueError")
    said = []
    one.pass_trouble_on(said.append)
    one.pass_trouble_on(said.append)
    assert said == [
        "api-server: 2026-11-21T03:00:00Z [error    ] no database [airflow] loc=a.py:1",
        'api-server: {"event": "lost", "level": "critical"}',
        "api-server: ValueError: 3",
    ]


def test_a_large_log_is_turned_over_at_a_start(component, monkeypatch):
    """Rule: a server that runs for months does not fill the disk at each restart."""
    monkeypatch.setattr(server_component, "_LARGEST_LOG_BYTES", 100)
    one = component("print('new', flush=True)", name="triggerer")
    one.log.parent.mkdir()
    one.log.write_text("old\n" * 100)
    one.start()
    assert log_of(one, "new") == "new\n"
    assert one.log.with_name("triggerer.log.1").read_text().startswith("old")
