import pytest

from voxmill.errors import UsageError
from voxmill.orchestration.server_keys import Keys
from voxmill.orchestration.server_settings import environment, read_options

JWT = "AIRFLOW__API_AUTH__JWT_SECRET"
LOGIN = "me:secret"
KEYS = Keys(fernet="f", token="t", session="s")


def options(tmp_path, users="", **environ):
    home, project = tmp_path / "home", tmp_path / "project"
    return read_options(home, project, port=8123, users=users, environ=environ)


def test_a_server_is_tied_to_its_home_port_and_checkout_whatever_the_environment_says(tmp_path):
    """Rule: another Airflow's settings, exported in a shell, do not leak into this one."""
    outer = {
        "AIRFLOW_HOME": "/elsewhere",
        "AIRFLOW_CONFIG": "/elsewhere/airflow.cfg",
        "AIRFLOW__CORE__DAGS_FOLDER": "/elsewhere/dags",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////elsewhere/airflow.db",
        "AIRFLOW__API__PORT": "1",
        "AIRFLOW__API__HOST": "0.0.0.0",
        JWT: "known",
    }
    made = environment(options(tmp_path), KEYS, outer)
    assert made["AIRFLOW_HOME"] == str(tmp_path / "home")
    assert made["AIRFLOW__CORE__DAGS_FOLDER"] == str(tmp_path / "project" / "dags")
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith(f"sqlite:///{tmp_path}")
    assert (made["AIRFLOW__API__HOST"], made["AIRFLOW__API__PORT"]) == ("127.0.0.1", "8123")
    assert made[JWT] == "t"
    assert "AIRFLOW_CONFIG" not in made


def test_any_other_setting_of_airflow_is_the_user_s(tmp_path):
    """Rule: what is only sensible gives way."""
    sensible = environment(options(tmp_path), KEYS, {})
    assert int(sensible["AIRFLOW__CORE__PARALLELISM"]) >= 4
    assert sensible["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "False"
    chosen = environment(options(tmp_path), KEYS, {"AIRFLOW__CORE__PARALLELISM": "1", "X": "y"})
    assert (chosen["AIRFLOW__CORE__PARALLELISM"], chosen["X"]) == ("1", "y")


def test_a_proxy_does_not_come_between_a_task_and_its_server(tmp_path):
    """Rule: loopback is reached directly; what else is exempt stays so."""
    outer = {"HTTPS_PROXY": "http://proxy", "NO_PROXY": "intranet"}
    made = environment(options(tmp_path), KEYS, outer)
    assert made["NO_PROXY"] == made["no_proxy"] == "intranet,127.0.0.1,localhost"


def test_logins_have_roles(tmp_path):
    """Rule: the administrator is always there; others as they are named, the last one wins."""
    found = options(tmp_path, users="olga:op,vera:viewer,,olga:user")
    assert found.users == {"admin": "admin", "olga": "user", "vera": "viewer"}
    made = environment(found, KEYS, {})
    assert made["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == ("admin:admin,olga:user,vera:viewer")


@pytest.mark.parametrize("users", ["olga", "olga:boss", ":op", "admin:viewer"])
def test_a_login_without_a_role_of_airflow_s_is_refused(tmp_path, users):
    """Rule: a typing error must not lock anybody out, or in."""
    with pytest.raises(UsageError, match="expected NAME:ROLE with a role of viewer, user, op"):
        options(tmp_path, users=users)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_postgresql_is_one_variable_whatever_driver_it_names(tmp_path, scheme):
    """Rule: the driver is the one that is installed, for both of Airflow's connections."""
    found = options(tmp_path, VOXMILL_AIRFLOW_DB=f"{scheme}://{LOGIN}@db:5432/airflow")
    made = environment(found, KEYS, {})
    url = f"postgresql+psycopg://{LOGIN}@db:5432/airflow"
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == url
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] == url


@pytest.mark.parametrize("url", [f"mysql://{LOGIN}@db/airflow", "/var/lib/airflow.db"])
def test_another_database_is_refused_without_showing_its_password(tmp_path, url):
    """Rule: messages end up in logs; passwords do not."""
    with pytest.raises(UsageError, match="only PostgreSQL") as refusal:
        options(tmp_path, VOXMILL_AIRFLOW_DB=url)
    assert "secret" not in str(refusal.value)


def test_metrics_go_where_the_variable_says_and_nowhere_else(tmp_path):
    """Rule: StatsD is off until somebody names its address."""
    silent = environment(options(tmp_path), KEYS, {})
    assert not [name for name in silent if "STATSD" in name]
    made = environment(options(tmp_path, VOXMILL_STATSD="metrics:9125"), KEYS, {})
    assert made["AIRFLOW__METRICS__STATSD_ON"] == "True"
    assert made["AIRFLOW__METRICS__STATSD_HOST"] == "metrics"
    assert made["AIRFLOW__METRICS__STATSD_PORT"] == "9125"


@pytest.mark.parametrize(
    "environ",
    [{"VOXMILL_STATSD": "metrics"}, {"VOXMILL_STATSD": ":9125"}, {"VOXMILL_LOG": "xml"}],
)
def test_a_variable_that_means_nothing_is_refused(tmp_path, environ):
    """Rule: metrics or logs that silently stay away are found too late."""
    with pytest.raises(UsageError, match="expected"):
        options(tmp_path, **environ)


def test_logs_are_json_on_request(tmp_path):
    """Rule: text for people, JSON for machines."""
    json_logs = "AIRFLOW__LOGGING__JSON_LOGS"
    assert environment(options(tmp_path), KEYS, {})[json_logs] == "False"
    assert environment(options(tmp_path, VOXMILL_LOG="json"), KEYS, {})[json_logs] == "True"
