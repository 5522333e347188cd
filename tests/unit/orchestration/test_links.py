"""Links of tasks: where they lead, and that they lead nowhere rather than astray."""

from types import SimpleNamespace

import pytest

from voxmill.orchestration import links

BRANCH = "run/digits/manual-2026"


@pytest.mark.parametrize(
    ("origin", "page"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b/tree/run/digits/manual-2026"),
        ("git@github.com:a/b.git", "https://github.com/a/b/tree/run/digits/manual-2026"),
        ("ssh://git@github.com:22/a/b", "https://github.com/a/b/tree/run/digits/manual-2026"),
        (
            "https://oauth2:secret@gitlab.example.org/g/s/b.git",  # pragma: allowlist secret
            "https://gitlab.example.org/g/s/b/-/tree/run/digits/manual-2026",
        ),
        ("git@bitbucket.org:a/b.git", "https://bitbucket.org/a/b/branch/run/digits/manual-2026"),
        ("https://codeberg.org/a/b", "https://codeberg.org/a/b/src/branch/run/digits/manual-2026"),
    ],
)
def test_a_branch_has_a_page_at_a_known_forge(origin, page):
    """Rule: https, ssh and scp's way lead to the same page, without the origin's password."""
    assert links.branch_page(origin, BRANCH) == page


@pytest.mark.parametrize(
    "origin",
    ["", "/srv/git/b.git", "../b", "file:///srv/b.git", "git@server:a/b.git", "https://host/a/b",
     "./github:com/a", "javascript://github.com/%0aalert(1)", "https://notgithub.example/a/b"],
)  # fmt: skip
def test_other_origins_have_no_page(origin):
    """Rule: a folder or an unknown host gives no link."""
    assert links.branch_page(origin, BRANCH) == ""


def test_the_dashboard_opens_on_the_run():
    """Rule: recipe and run are the dashboard's variables; without Grafana there is no link."""
    assert links.dashboard_page("", "digits", "r1") == ""
    assert links.dashboard_page("http://g:3000/", "digits", "r1") == (
        "http://g:3000/d/voxmill-training?var-recipe=digits&var-run=r1"
    )


@pytest.fixture
def offered(monkeypatch):
    """Links by name, as a task with that stage offers them, and what it left as XComs."""

    def offer(stage: str | None, base_url: str = "", **environ: str) -> dict[str, str]:
        for name in (links.ORIGIN_VARIABLE, links.GRAFANA_VARIABLE):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        left: dict[str, str] = {}
        ti = SimpleNamespace(
            run_id="manual__2026-11-21T03:00:00+00:00",
            xcom_push=lambda *, key, value: left.update({key: value}),
        )
        operator = SimpleNamespace(recipe="digits", **({"stage": stage} if stage else {}))
        links.offer_links(operator, ti)
        return {link.name: left[link.xcom_key] for link in links.LINKS}

    return offer


RUN = "manual-2026-11-21t03-00-00-00-00"


def test_a_task_links_to_its_stage_of_its_run(offered):
    """Rule: Airflow's id becomes the run's; the path holds behind any name of the server."""
    found = offered("train", "http://somewhere:8080")
    assert found == {
        "Report": f"/voxmill/runs/digits/{RUN}/train/", "Run branch": "", "Metrics": "",
    }  # fmt: skip
    assert offered(None)["Report"] == f"/voxmill/runs/digits/{RUN}/"
    assert offered("audit", "https://host/airflow/")["Report"] == (
        f"/airflow/voxmill/runs/digits/{RUN}/audit/"
    )


def test_origin_and_grafana_come_from_the_environment(offered):
    """Rule: whoever runs a forge and Grafana sets two variables and gets two links."""
    found = offered(
        "train", VOXMILL_GIT="git@github.com:a/b.git", VOXMILL_GRAFANA_URL="https://grafana.x"
    )
    assert found["Run branch"] == f"https://github.com/a/b/tree/run/digits/{RUN}"
    assert found["Metrics"].endswith(f"?var-recipe=digits&var-run={RUN}")
