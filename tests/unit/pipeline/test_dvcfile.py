"""dvc.yaml as DVC resolves it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from voxmill.errors import UsageError
from voxmill.pipeline.dvcfile import missing_params, narrow, read_graphs

DVC_YAML = """\
# Head comment.
stages:
  ingest:
    matrix:
      recipe:
        - one
        - two  # the second
    desc: Mirror ${item.recipe}
    cmd: voxmill launch ingest ${item.recipe}
    deps:
      - memory/${item.recipe}/source.json
    params:
      - recipes/${item.recipe}.yaml:
          - source
    outs:
      - artifacts/${item.recipe}/ingest
    meta:
      grace_seconds: 30  # between SIGTERM and SIGKILL
      network: true

  audit:
    matrix:
      recipe:
        - one
        - two
    cmd: voxmill launch audit ${item.recipe}
    deps:
      - artifacts/${item.recipe}/ingest
    params:
      - recipes/${item.recipe}.yaml:
          - audit
          - verify
    outs:
      - artifacts/${item.recipe}/audit

metrics:  # one line for each recipe
  - artifacts/one/audit/metrics.json
  - artifacts/two/audit/metrics.json
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "one.yaml").write_text("source: {}\naudit: {a: 1}\n")
    (tmp_path / "recipes" / "two.yaml").write_text("source: {}\naudit: {}\nverify: {}\n")
    return tmp_path


def test_each_recipe_has_its_graph_with_every_name_filled_in(project: Path) -> None:
    """What DVC would run is what the office sees."""
    graphs = read_graphs(project)
    assert list(graphs) == ["one", "two"]
    ingest, audit = graphs["two"].nodes
    assert (ingest.name, ingest.address, ingest.desc) == ("ingest", "ingest@two", "Mirror two")
    assert ingest.cmd == "voxmill launch ingest two"
    assert ingest.inputs == {"memory": "memory/two"}
    assert ingest.meta == {"grace_seconds": 30, "network": True}
    assert (audit.upstream, audit.deps) == (("ingest",), ("artifacts/two/ingest",))
    assert audit.inputs == {"ingest": "artifacts/two/ingest"}
    assert audit.outs == ("artifacts/two/audit",)


def test_a_section_that_a_recipe_leaves_out_is_found_before_dvc_trips_over_it(
    project: Path,
) -> None:
    """DVC has no defaults; an empty section is enough."""
    assert missing_params(project, "one") == {"recipes/one.yaml": ("verify",)}
    assert missing_params(project, "two") == {}


def test_narrowing_leaves_one_recipe_and_every_other_letter(project: Path) -> None:
    """The change in a run's branch is as small as it can be."""
    narrow(project / "dvc.yaml", "two")
    gone = {"        - one", "  - artifacts/one/audit/metrics.json"}
    left = [line for line in DVC_YAML.splitlines() if line not in gone]
    assert (project / "dvc.yaml").read_text().splitlines() == left
    assert list(read_graphs(project)) == ["two"]


def test_narrowing_to_a_recipe_whose_metrics_nobody_listed_leaves_a_file_that_dvc_reads(
    project: Path,
) -> None:
    """Forgetting that line of dvc.yaml must not cost the whole pipeline."""
    commented = DVC_YAML.replace("metrics:", "metrics:  # one line for each recipe")
    commented = commented.replace("  - artifacts/two/audit/metrics.json\n", "")
    (project / "dvc.yaml").write_text(commented)
    narrow(project / "dvc.yaml", "two")
    assert list(read_graphs(project)) == ["two"]


def test_narrowing_to_an_unknown_recipe_changes_nothing(project: Path) -> None:
    """An empty matrix would be a pipeline that does nothing, silently."""
    with pytest.raises(UsageError, match="has no recipe 'three'; it lists: one, two"):
        narrow(project / "dvc.yaml", "three")
    assert (project / "dvc.yaml").read_text() == DVC_YAML


def test_a_stage_outside_the_matrix_is_refused(project: Path) -> None:
    """Nobody would know which recipe it belongs to."""
    extra = "  loose:\n    cmd: echo\n    outs:\n      - loose\nmetrics:"
    (project / "dvc.yaml").write_text(DVC_YAML.replace("metrics:", extra))
    with pytest.raises(UsageError, match=r"'loose' .* outside the matrix"):
        read_graphs(project)


@pytest.mark.parametrize("content", ["stages: [", "stages: {a: {cmd: x, ots: [y]}}", None])
def test_a_dvc_yaml_that_dvc_cannot_read_is_a_usage_error(
    project: Path, content: str | None
) -> None:
    """DVC's own exceptions do not leak."""
    (project / "dvc.yaml").unlink()
    if content is not None:
        (project / "dvc.yaml").write_text(content)
    with pytest.raises(UsageError):
        read_graphs(project)
