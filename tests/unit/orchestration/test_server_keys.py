import json
import stat

import pytest
from cryptography.fernet import Fernet

from voxmill.errors import UsageError
from voxmill.orchestration.server_keys import keep_keys, keep_passwords


def test_keys_are_made_once(tmp_path):
    """Rule: a restart keeps browsers logged in and connections readable; homes differ."""
    first = keep_keys(tmp_path)
    assert keep_keys(tmp_path) == first
    other = tmp_path / "other"
    other.mkdir()
    assert keep_keys(other).token != first.token
    assert len({first.fernet, first.token, first.session}) == 3


def test_airflow_can_encrypt_with_the_key(tmp_path):
    """Rule: Fernet takes no other form than this one."""
    box = Fernet(keep_keys(tmp_path).fernet)
    assert box.decrypt(box.encrypt(b"x")) == b"x"


def test_passwords_stay_and_new_logins_get_one(tmp_path):
    """Rule: a login that is added later changes nobody else's password."""
    first = keep_passwords(tmp_path, ["admin"])
    second = keep_passwords(tmp_path, ["admin", "olga"])
    assert second["admin"] == first["admin"]
    assert len(second["olga"]) >= 16
    assert json.loads((tmp_path / "passwords.json").read_text()) == second


def test_a_password_that_a_person_wrote_holds(tmp_path):
    """Rule: the file is theirs to edit."""
    (tmp_path / "passwords.json").write_text('{"admin": "my own"}')
    assert keep_passwords(tmp_path, ["admin"]) == {"admin": "my own"}


def test_nobody_else_can_read_them(tmp_path):
    """Rule: 0600 from the first byte on."""
    keep_keys(tmp_path)
    keep_passwords(tmp_path, ["admin"])
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_broken_file_is_named(tmp_path):
    """Rule: no new password behind a person's back."""
    (tmp_path / "passwords.json").write_text("admin: x")
    with pytest.raises(UsageError, match=r"passwords\.json cannot be read as JSON"):
        keep_passwords(tmp_path, ["admin"])
