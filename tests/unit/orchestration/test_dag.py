"""The shape of a DAG against the graph that it is made from."""

from datetime import timedelta
from pathlib import Path

from toys.snapshots import snapshot
from voxmill.orchestration.dag import build_dags


def toy(**changes):
    return build_dags(snapshot(**changes), Path())["toy"]


def edges(dag):
    return {(up, task.task_id) for task in dag.tasks for up in task.upstream_task_ids}


def test_edges_are_those_of_the_graph_between_open_and_release():
    """Rule: nothing starts before open, and the decision waits for every end of the graph."""
    assert edges(toy()) == {
        ("open", "ingest"),
        ("ingest", "verify"),
        ("ingest", "prepare"),
        ("prepare", "train"),
        ("verify", "decide"),
        ("train", "decide"),
        ("decide", "approve"),
        ("decide", "release"),
        ("approve", "release"),
    }


def test_nothing_starts_by_itself_unless_the_recipe_says_when():
    """Rule: schedule comes from the recipe; the past is never caught up; one run at a time."""
    assert toy().schedule is None
    dag = toy(schedule={"cron": "0 3 * * 1"})
    assert dag.schedule == "0 3 * * 1"
    assert dag.catchup is False
    assert dag.max_active_runs == 1


def test_airflow_s_timeout_is_longer_than_the_launcher_s():
    """Rule: the stage has its hours and its grace before Airflow steps in."""
    dag = toy()
    assert dag.task_dict["train"].execution_timeout > timedelta(hours=2, seconds=60)
    assert dag.task_dict["train"].execution_timeout < timedelta(hours=3, minutes=15)
    assert dag.task_dict["verify"].execution_timeout is None


def test_a_recipe_s_resources_stand_over_the_graph_s():
    """Rule: a recipe's own timeout counts; what it leaves open stays as it was."""
    dag = toy(resources={"timeout_hours": 9.0, "gpus": None})
    assert dag.task_dict["train"].execution_timeout > timedelta(hours=9)
    assert toy(resources={"timeout_hours": None}).task_dict["ingest"].execution_timeout < timedelta(
        hours=4
    )


def test_a_stage_goes_to_the_queue_that_its_meta_names():
    """Rule: which machines a stage may use stands in dvc.yaml; what is no stage goes anywhere."""
    tasks = toy().task_dict
    assert tasks["prepare"].queue == "large"
    assert tasks["train"].queue == "cpu"
    assert {tasks[name].queue for name in ("open", "decide", "approve", "release")} == {"default"}


def test_a_person_reads_in_the_dag_what_each_stage_does():
    """Rule: descriptions come from the recipe and from dvc.yaml."""
    dag = toy()
    assert "A toy" in dag.doc_md
    assert "| **verify** | After ('ingest',) | - |" in dag.doc_md
    verify = dag.task_dict["verify"]
    assert verify.doc_md == "After ('ingest',).\n\nReads the results of ingest."
    assert verify.task_display_name == "Verify"
    assert dag.tags == {"voxmill", "ctc"}


def test_a_person_reads_a_stage_s_gate_with_its_limits():
    """Rule: the limits of the recipe stand in the DAG's table and with the stage; open ones not."""

    def gate(name, limit, **more):
        return {
            "key": f"train.gates.{name}",
            "section": "train",
            "schema": {"default": limit} | more,
        }

    form = [gate("wer", 0.05, description="Largest error."), gate("cer", None)]
    dag = toy(form=form)
    assert "| **train** | After ('prepare',) | wer 0.05 |" in dag.doc_md
    assert "- `train.gates.wer` = 0.05: Largest error." in dag.task_dict["train"].doc_md
    assert "cer" not in dag.doc_md + dag.task_dict["train"].doc_md


def test_the_dag_says_how_to_start_waive_approve_and_go_back():
    """Rule: nobody needs the code to answer the DAG; its commands are those of the terminal."""
    doc = toy().doc_md
    for words in ("voxmill trigger toy --set", "voxmill waive RUN CHECK --why", "**Approve**"):
        assert words in doc
    assert "voxmill rollback toy VERSION" in doc


def test_the_owner_links_to_the_repository_where_it_can_be_looked_at(monkeypatch):
    """Rule: a link is there if it leads somewhere."""
    monkeypatch.delenv("VOXMILL_GIT", raising=False)
    assert (toy().owner, toy().owner_links) == ("voxmill", {})
    monkeypatch.setenv("VOXMILL_GIT", "git@github.com:team/voices.git")
    assert toy().owner_links == {"voxmill": "https://github.com/team/voices/tree/main"}


def test_each_recipe_has_its_dag():
    """Rule: a new recipe in pipeline.json is a new DAG."""
    two = snapshot()["recipes"] | {"other": snapshot()["recipes"]["toy"]}
    assert set(build_dags({"recipes": two}, Path())) == {"toy", "other"}
