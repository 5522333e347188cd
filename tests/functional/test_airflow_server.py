"""`voxmill airflow` and `voxmill trigger` from outside: one real Airflow, toy stages."""

import json
import signal
import stat
import time

import pytest
import yaml

from toys.airflow_server import free_port, running_server, toy_project_with_dags, wait
from voxmill.errors import UsageError
from voxmill.launchers.processes import identify
from voxmill.orchestration.airflow_api import AirflowRefused
from voxmill.orchestration.server_record import RECORD_FILE
from voxmill.orchestration.triggering import Follower, start_run

ANSWER_AFTER_SECONDS = 4.0
ASKING = """# An Airflow DAG that asks a person, beside those of the recipes.
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

with DAG(dag_id="asking", schedule=None):
    ApprovalOperator(task_id="approve", subject="Is it good?")
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A project of toy recipes, and a DAG that only asks."""
    toy = toy_project_with_dags(tmp_path_factory.mktemp("server"))
    (toy.root / "dags" / "asking.py").write_text(ASKING)
    toy.git("add", "dags")
    toy.git("commit", "--quiet", "--message=Ask")
    return toy


@pytest.fixture(scope="module")
def server(toy, tmp_path_factory):
    """The server that all tests of this module share; the last of them ends it."""
    home = tmp_path_factory.mktemp("home")
    logins = ("--user", "olga:user", "--user", "vera:viewer")
    environ = {"VOXMILL_LOG": "json"}
    with running_server(toy.root, home, arguments=logins, environ=environ) as running:
        yield running


def test_a_started_server_says_where_it_is_and_how_to_log_in(server):
    """Rule: whoever started it needs nothing but what it prints."""
    said = server.output.read_text()
    assert f"Airflow is ready at {server.url}" in said
    for user, role in (("admin", "admin"), ("olga", "user"), ("vera", "viewer")):
        assert f"log in as {user} with password {server.passwords[user]} (role {role})" in said
    assert "voxmill trigger digits" in said
    assert "Traceback" not in said


def test_everything_is_ready_to_trigger(server):
    """Rule: no DAG is paused or broken, each component is there, and so is the pool of GPUs."""
    api = server.api()
    assert set(api.health().values()) == {"healthy"}
    dags = api.dags()
    assert {"digits"} <= set(dags)
    assert [name for name, dag in dags.items() if dag["is_paused"]] == []
    assert api.import_errors() == {}
    assert api.pools()["gpu"] >= 1


def test_secrets_are_their_owner_s_alone(server):
    """Rule: nobody else on the machine reads passwords and keys."""
    assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
    for name in ("passwords.json", "keys.json"):
        assert stat.S_IMODE((server.home / name).stat().st_mode) == 0o600


def test_a_wrong_password_is_refused(server):
    """Rule: 401, and what to do about it."""
    with pytest.raises(AirflowRefused, match="login of 'admin' is not right") as refusal:
        server.api(password="no").dags()
    assert refusal.value.status == 401


def test_a_viewer_looks_and_touches_nothing(server):
    """Rule: a role holds in the API, too."""
    api = server.api("vera")
    assert "digits" in api.dags()
    with pytest.raises(AirflowRefused, match="'vera' may not do this") as refusal:
        api.trigger("digits", {})
    assert refusal.value.status == 403


def test_a_value_against_the_form_is_refused_with_the_reason(server):
    """Rule: the form's limits hold whoever asks, and Airflow says which one was crossed."""
    with pytest.raises(AirflowRefused, match="0 is less than the minimum of 1") as refusal:
        start_run(server.api("olga"), "digits", {"train.epochs": 0})
    assert refusal.value.status == 400
    assert server.api().dag_runs("digits") == []


def test_the_command_refuses_in_the_words_of_voxmill_run(server):
    """Rule: every mistake at once, by field, before anything is started."""
    done = server.command("trigger", "digits", "--set", "train.epochs=0", "--set", "train.epoch=3")
    assert done.returncode == 64
    assert "2 mistakes" in done.stderr
    assert "train.epoch: found an unknown key (--set)" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (("nonsense",), {}, "Recipe 'nonsense': no file"),
        (("later", "--allow-dirty"), {}, "`make graph`"),
        (("digits", "--url", "http://127.0.0.1:9"), {}, "No password for user 'admin'"),
        (
            ("digits", "--url", "http://127.0.0.1:9"),
            {"VOXMILL_AIRFLOW_PASSWORD": "x"},
            "No Airflow answers at http://127.0.0.1:9",
        ),
        (("digits",), {"VOXMILL_AIRFLOW_USER": "vera"}, "'vera' may not do this"),
        (("digits",), {"VOXMILL_AIRFLOW_PASSWORD": "x"}, "login of 'admin' is not right"),
    ],
)
def test_what_cannot_be_triggered_says_what_to_do(server, toy, arguments, environ, said):
    """Rule: a missing recipe, DAG, server, right or password is named, with the next step."""
    (toy.root / "recipes" / "later.yaml").write_bytes(
        (toy.root / "recipes" / "digits.yaml").read_bytes()
    )
    done = server.command("trigger", *arguments, **environ)
    (toy.root / "recipes" / "later.yaml").unlink()
    assert done.returncode in {64, 69}
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_paused_dag_is_not_left_waiting(server):
    """Rule: a run that would not start is refused, unless it is asked to switch the DAG on."""
    api = server.api()
    api.pause("asking")
    with pytest.raises(UsageError, match="DAG 'asking' is paused"):
        start_run(api, "asking", {})
    start_run(api, "asking", {}, run_id="switched-on", unpause=True)
    assert api.dags()["asking"]["is_paused"] is False
    with pytest.raises(AirflowRefused, match="has a run 'switched-on' already") as refusal:
        start_run(api, "asking", {}, run_id="switched-on")
    assert refusal.value.status == 409


def test_a_question_is_told_and_answered(server):
    """Rule: whoever follows a run learns that a person is asked, and where; a viewer is not."""
    api, said = server.api("olga"), []
    run = api.dag_run("asking", "switched-on")
    question = server.wait_for_action(run)
    assert question.options == ("Approve", "Reject")
    with pytest.raises(AirflowRefused) as refusal:
        server.api("vera").answer(question, ["Approve"])
    assert refusal.value.status == 403

    def hear(line):
        said.append(line)
        if "asks you: Is it good?" in line:
            # Airflow's scheduler may lose an answer that is quicker than its own heartbeat; a
            # person is not.
            time.sleep(ANSWER_AFTER_SECONDS)
            api.answer(question, ["Approve"])

    end = Follower(api, run, hear, pause_seconds=0.2).follow()
    assert (end.state, end.exit_code) == ("success", 0)
    assert any(f"{server.url}/dags/asking/runs/switched-on" in line for line in said)
    assert "approve: answered by olga: Approve" in said
    with pytest.raises(AirflowRefused) as refusal:
        api.answer(question, ["Reject"])
    assert refusal.value.status == 409


def test_a_triggered_run_ends_as_its_stage_ends(server, toy):
    """Rule: --wait says each step in a line and gives the exit code of what went wrong."""
    order = toy.order("ingest.exit", 65)
    done = server.command(
        "trigger", "digits", "--set", "train.epochs=3", "--run-id", "first", "--wait"
    )
    order.unlink()
    assert done.returncode == 65, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "Started digits, DAG run first",
        f"{server.url}/dags/digits/runs/first",
    ]
    assert any(line.startswith("open: success in ") for line in lines)
    assert any(line.startswith("ingest: failed in ") for line in lines)
    assert "digits: ingest failed." in done.stderr
    run = server.voxmill_home / "runs" / "digits" / "first"
    recipe = yaml.safe_load((run / "recipes" / "digits.yaml").read_text())
    assert recipe["train"]["epochs"] == 3


def test_log_lines_say_which_run_and_task_they_are_of(server):
    """Rule: one grep finds all that happened in a run, as JSON where that is asked for."""
    log = (server.home / "logs" / "components" / "scheduler.log").read_text()
    entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    of_run = [entry for entry in entries if entry.get("run_id") == "first"]
    assert {"open", "ingest"} <= {entry.get("task_id") for entry in of_run}
    assert {"timestamp", "level", "event"} <= set(of_run[0])


def test_one_home_has_one_server(server):
    """Rule: a second start says who is there and what to do, and touches nothing."""
    done = server.command("airflow", "--port", str(free_port()))
    assert done.returncode == 64
    assert f"process {server.process.pid}, {server.url}" in done.stderr
    assert set(server.api().health().values()) == {"healthy"}


def test_a_taken_port_is_named_with_who_has_it(server, tmp_path):
    """Rule: nothing is started where the port is not to be had."""
    port = server.url.rpartition(":")[2]
    done = server.command("airflow", "--port", port, VOXMILL_HOME=str(tmp_path))
    assert done.returncode == 64
    assert f"Port {port} of 127.0.0.1 cannot be had" in done.stderr
    assert f"by process {server.components['api-server'].pid}" in done.stderr
    assert f"--port {int(port) + 1}" in done.stderr
    assert not (tmp_path / "airflow-server" / RECORD_FILE).exists()


def test_a_component_that_dies_comes_back(server):
    """Rule: nobody has to watch the server."""
    before = server.components["triggerer"]
    before.signal(signal.SIGKILL)

    def new():
        now = server.components["triggerer"]
        return now if now != before and now.alive else None

    wait(new, 20, "a new triggerer")
    assert "triggerer ended with exit code -9; it comes back" in server.output.read_text()


def test_ctrl_c_ends_everything_but_the_job(server, toy):
    """Rule: no process of Airflow is left; a stage that runs goes on, to be found again."""
    order = toy.order("ingest.sleep", 120)
    run = server.api().trigger("digits", {"train.epochs": 4})
    launched = wait(lambda: _job(server, run), 60, "the stage to start")
    assert server.stop(signal.SIGINT) == 0
    assert server.left == {}
    assert "Jobs that ran go on" in server.output.read_text()
    assert launched.alive
    order.unlink()
    launched.signal(signal.SIGTERM)


def _job(server, run):
    """The toy stage's process, once it is there."""
    for file in server.voxmill_home.glob("runs/digits/*/work/**/jobs/ingest.json"):
        record = json.loads(file.read_text())
        if (process := identify(record["child_pid"])) and process.alive:
            return process
    return None
