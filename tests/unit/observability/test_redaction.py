"""No secret gets through, and nothing else is lost."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from voxmill.observability.redaction import RedactingFilter, Redactor, secret_values

HIDDEN = "s3cr3t-" + "Value/1+2=="


@pytest.mark.parametrize(
    "name",
    [
        *("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "VOXMILL_SMTP_PASSWORD"),
        *("PGPASSWORD", "GITHUB_TOKENS", "my_secret", "GOOGLE_CREDENTIAL", "DVC-TOKEN"),
        *("AIRFLOW__CORE__FERNET_KEY", "VOXMILL_WEBHOOK_URL"),
    ],
)
@pytest.mark.parametrize("form", ["{}", "at {}.", "'{}'", "https://host/?x={}&y=1"])
def test_the_value_of_a_secret_variable_is_nowhere(name: str, form: str) -> None:
    """Whatever stands around it."""
    said = Redactor({name: HIDDEN})(form.format(HIDDEN))
    assert HIDDEN not in said
    assert said == form.format("***")


def test_a_secret_is_found_as_it_stands_in_a_url_or_in_quotes() -> None:
    """Libraries quote what they show."""
    redact = Redactor({"A_TOKEN": "two words\\and'more"})
    for shown in ("two%20words%5Cand%27more", "two words\\\\and'more"):
        assert redact(f"<{shown}>") == "<***>"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("ssh://me:hunter2@host/x", "ssh://me:***@host/x"),  # pragma: allowlist secret
        (
            "postgresql+psycopg://u:p@db:5432/x failed",
            "postgresql+psycopg://u:***@db:5432/x failed",
        ),
        (f"https://{'t0k3n' * 5}@git.example/x", "https://***@git.example/x"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        (
            "{'Authorization': 'Basic dXNlcjpw', 'Accept': '*'}",
            "{'Authorization': '***', 'Accept': '*'}",
        ),
        ('"authorization": "token abc"', '"authorization": "***"'),
        ("curl -H bearer 1234abcd", "curl -H bearer ***"),
        ("key AKIA" + "ABCDEFGHIJKLMNOP gone", "key *** gone"),
        ("hf_" + "a" * 34, "***"),
        ("ghp_" + "a1" * 18 + ": refused", "***: refused"),
        (
            "POST https://hooks.slack.com/services/T0/B0/xyz: 404",  # pragma: allowlist secret
            "POST https://hooks.slack.com/*** 404",
        ),
        ("password=hunter2 host=db", "password=*** host=db"),
        ("GET /x?access_token=abcdef&page=2", "GET /x?access_token=***&page=2"),
        (
            '{"password": "hunter2", "user": "me"}',  # pragma: allowlist secret
            '{"password": "***", "user": "me"}',
        ),
        ("aws_secret_access_key = abcd/efgh", "aws_secret_access_key = ***"),
        ("user: me, smtp_password: hunter2222", "user: me, smtp_password: ***"),
        ("token glsa_" + "a1" * 16 + "_0123abcd refused", "token *** refused"),
        (f"eyJ{'hbGciOiJI' * 2}.eyJ{'zdWIiOiIx' * 2}.c2lnbmF0dXJl", "***"),
        (
            "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\nend",
            "***\nend",
        ),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_wherever_it_comes_from(
    text: str, clean: str
) -> None:
    """It need not stand in this process's environment."""
    assert Redactor({})(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "step 10/100 epoch 0.50 loss 1.2345 lr 0.0003 55 s/s eta 0:01:02",
        "Unknown token: 'abcdefgh' at place 7; tokens=31 keys: 12",
        "git clone ssh://git@github.com/me/voxmill.git",
        "https://example.org:8080/a/b?page=2#top and me@example.org",
        "the bearer of bad news, bearer certificates",
        "The password is missing: set VOXMILL_SMTP_PASSWORD.",
        "No password: unchanged. Secret: VOXMILL_SMTP_PASSWORD, not set",
        "onnx-fp32 on test: 3 errors in 100 words, /data/recordings/a@b:c.wav",
        "md5:89aab1e8b1ee61a3d7f1b0a5f3d0c8f7 sha256 of 12 files",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    """A log that is eaten away helps nobody."""
    assert Redactor({})(text) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("A_TOKEN", value) for value in ("", "short", "password", "Required", "123456789012")),
        *((name, "a long value 1") for name in ("TOKENIZERS_PARALLELISM", "KEYBOARD", "HOME")),
        *((name, "/run/secrets/x") for name in ("PGPASSWORD_FILE", "SECRET_PATH", "TOKEN_NAME")),
    ],
)
def test_short_and_common_values_and_other_names_are_no_secrets(name: str, value: str) -> None:
    """They would take half of each line along."""
    assert not secret_values({name: value})


def test_the_place_of_a_key_is_no_key(tmp_path: Path) -> None:
    """Messages name files."""
    assert not secret_values({"SSH_KEY": str(tmp_path)})
    assert secret_values({"SSH_KEY": "/no/such/file"})


def test_passwords_in_urls_of_any_variable_are_secrets() -> None:
    """A driver names the password without its URL."""
    environ = {
        "VOXMILL_AIRFLOW_DB": "postgresql://u:long-password-1@db/x",  # pragma: allowlist secret
        "BAD": "http://[@",
    }
    assert secret_values(environ) == {"long-password-1"}


def test_a_filter_cleans_what_foreign_handlers_get() -> None:
    """Message and arguments; the rest of the record stays."""
    record = logging.makeLogRecord(
        {"msg": "at %s: %d", "args": ("ftp://a:bcd@h", 3)}
    )  # pragma: allowlist secret
    assert RedactingFilter().filter(record)
    assert record.getMessage() == "at ftp://a:***@h: 3"
    plain = logging.makeLogRecord({"msg": "%d", "args": (3,)})
    RedactingFilter().filter(plain)
    assert plain.args == (3,)


@pytest.mark.parametrize(
    "piece",
    ["a.", "a-b+", "'", "password", "password: ", "-eyJ", "-----BEGIN ", "x://", "bearer "],
)
def test_a_long_line_costs_no_more_than_its_length(piece: str) -> None:
    """Whatever somebody logs, the run goes on."""
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    Redactor({"A_TOKEN": HIDDEN})(text)
    assert time.process_time() - began < 2.0
