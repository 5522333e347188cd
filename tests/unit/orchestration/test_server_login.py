import os

import pytest

from voxmill.errors import EngineMissing, UsageError
from voxmill.launchers.processes import identify
from voxmill.orchestration.server_keys import keep_passwords
from voxmill.orchestration.server_login import connect
from voxmill.orchestration.server_record import write_record

OWN = "http://127.0.0.1:8123"


@pytest.fixture
def home(tmp_path):
    """A home whose server has been started."""
    keep_passwords(tmp_path, ["admin", "vera"])
    write_record(tmp_path, OWN, {"triggerer": identify(os.getpid())})
    return tmp_path


def test_this_machine_s_server_needs_no_options(home):
    """Rule: whoever may read the home's passwords is asked for nothing."""
    login = connect(home, environ={})
    assert (login.url, login.user, login.own) == (OWN, "admin", True)
    assert login.password == keep_passwords(home, ["admin"])["admin"]
    assert login.password not in repr(login)


def test_the_environment_names_another_user_and_server(home):
    """Rule: option before environment before this machine."""
    assert connect(home, environ={"VOXMILL_AIRFLOW_USER": "vera"}).user == "vera"
    other = {"VOXMILL_AIRFLOW_URL": "https://a/", "VOXMILL_AIRFLOW_PASSWORD": "x"}
    assert connect(home, environ=other).url == "https://a"
    login = connect(home, url="http://b", environ=other)
    assert (login.url, login.password, login.own) == ("http://b", "x", False)


def test_our_password_is_not_sent_to_another_server(home):
    """Rule: a URL that somebody handed us gets no secret of this machine."""
    with pytest.raises(UsageError, match="VOXMILL_AIRFLOW_PASSWORD"):
        connect(home, url="http://elsewhere", environ={})


def test_nobody_there_and_nobody_named_says_what_to_start(tmp_path):
    """Rule: exit code 69 and the next step."""
    with pytest.raises(EngineMissing, match="`make airflow`"):
        connect(tmp_path, environ={})


def test_an_address_that_is_no_url_is_refused(home):
    """Rule: said before anything is asked of it."""
    with pytest.raises(UsageError, match="expected a URL such as"):
        connect(home, url="localhost:8080", environ={"VOXMILL_AIRFLOW_PASSWORD": "x"})
