import json
import subprocess
import sys

import pytest

from toys.airflow_server import wait
from voxmill.errors import UsageError
from voxmill.launchers.processes import identify, session_members
from voxmill.orchestration.server import stop
from voxmill.orchestration.server_record import read_record, sole_keeper, write_record

KEEPER = """
import sys, time
from pathlib import Path
from voxmill.launchers.processes import identify
from voxmill.orchestration.server_record import sole_keeper, write_record
home = Path(sys.argv[1])
with sole_keeper(home):
    write_record(home, "http://127.0.0.1:8080", {"triggerer": identify(int(sys.argv[2]))})
    print("kept", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def component():
    """A session as a component has it."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield identify(process.pid)
    process.kill()
    process.wait()


@pytest.fixture
def keeper(tmp_path, component):
    """A command that keeps the component, in a process of its own."""
    command = [sys.executable, "-c", KEEPER, tmp_path, str(component.pid)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "kept\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_home_without_a_server_has_no_record(tmp_path):
    """Rule: the first start finds nothing to end."""
    assert read_record(tmp_path) is None
    assert stop(tmp_path) is False


def test_who_runs_is_known_by_pid_and_start(tmp_path, component):
    """Rule: a later process with the same pid is never taken for ours."""
    write_record(tmp_path, "http://127.0.0.1:8080", {"triggerer": component})
    assert read_record(tmp_path).living == {"triggerer": component}
    record = json.loads((tmp_path / "server.json").read_text())
    record["components"]["triggerer"][1] += 1
    (tmp_path / "server.json").write_text(json.dumps(record))
    assert read_record(tmp_path).living == {}


def test_a_second_keeper_is_refused_and_told_who_is_there(tmp_path, keeper):
    """Rule: two schedulers on one SQLite database ruin each other's day."""
    with pytest.raises(UsageError, match="runs already") as refusal, sole_keeper(tmp_path):
        pass
    assert f"process {keeper.pid}, http://127.0.0.1:8080" in str(refusal.value)
    assert "voxmill airflow --stop" in str(refusal.value)


def test_a_killed_keeper_leaves_the_lock_and_what_it_kept_to_the_next(tmp_path, keeper, component):
    """Rule: nothing has to be cleaned up by hand after a SIGKILL."""
    keeper.kill()
    keeper.wait()
    with sole_keeper(tmp_path):
        assert read_record(tmp_path).living == {"triggerer": component}


@pytest.mark.parametrize("killed_before", [False, True])
def test_stop_ends_keeper_and_components(tmp_path, keeper, component, killed_before):
    """Rule: one command ends it all, whether or not anybody still watches over it."""
    if killed_before:
        keeper.kill()
        keeper.wait()
    assert stop(tmp_path) is True
    wait(keeper.poll, 5, "the keeper's end", pause=0.05)
    assert session_members(component) == []
