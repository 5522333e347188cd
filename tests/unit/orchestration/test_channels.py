"""Channels against real servers: what arrives, and what happens when nothing does."""

import json
import logging
import socket
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from voxmill.orchestration.channels import channel, configured
from voxmill.orchestration.channels.configured import announce, configured_channels
from voxmill.orchestration.notice import Event, Notice, advice_for, one_line

SECRET = "T0P/B1/hunter2"  # pragma: allowlist secret
NOTICE = Notice(
    event=Event.FAILED,
    recipe="digits",
    run="manual__2026-11-21T03:00:00+00:00",
    stage="train",
    reason="Loss <nan> at step 300 & later",
    advice="look at the curves",
    links=(("Log", "http://localhost:8080/dags/digits"),),
)


@contextmanager
def web_server(status=200, location=None):
    """A server that takes POSTs; gives its URL and what it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{SECRET}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Mailbox:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- aiosmtpd's name
        self.mails.append((envelope, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@contextmanager
def mail_server(**settings):
    """A mail server; gives the variables that name it, and its mailbox."""
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **settings)
    server.start()
    variables = {
        "VOXMILL_SMTP_HOST": "127.0.0.1",
        "VOXMILL_SMTP_PORT": str(server.port),
        "VOXMILL_SMTP_SECURITY": "none",
        "VOXMILL_SMTP_FROM": "voxmill@example.org",
        "VOXMILL_SMTP_TO": "ana@example.org, ben@example.org",
    }
    try:
        yield variables, mailbox
    finally:
        server.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tell(environ):
    announce(NOTICE, list(configured_channels(environ)))


def test_a_webhook_gets_one_post_that_slack_understands():
    """Rule: JSON with the field `text`; the three characters that Slack reads are escaped."""
    with web_server() as (url, got):
        tell({"VOXMILL_WEBHOOK_URL": url})
    [(path, kind, body)] = got
    assert path == f"/{SECRET}"
    assert kind == "application/json"
    assert set(body) == {"text"}
    assert body["text"].splitlines() == [
        "*digits: run failed at train*",
        "Loss &lt;nan&gt; at step 300 &amp; later",
        "Run: manual__2026-11-21T03:00:00+00:00",
        "What to do: look at the curves",
        "Log: http://localhost:8080/dags/digits",
    ]


def test_a_mail_reaches_everybody():
    """Rule: subject, sender and recipients as set up; the text as it is."""
    with mail_server() as (variables, mailbox):
        tell(variables)
    [(envelope, mail)] = mailbox.mails
    assert envelope.rcpt_tos == ["ana@example.org", "ben@example.org"]
    assert mail["Subject"] == "[voxmill] digits: run failed at train"
    assert mail["From"] == "voxmill@example.org"
    assert "Loss <nan> at step 300 & later" in mail.get_content()


def test_a_mail_server_may_ask_for_a_login():
    """Rule: user and password come from the environment."""
    logins = []

    def authenticate(server, session, envelope, mechanism, data):
        logins.append((data.login, data.password))
        return AuthResult(success=True)

    settings = {"authenticator": authenticate, "auth_require_tls": False, "auth_required": True}
    with mail_server(**settings) as (variables, mailbox):
        tell(variables | {"VOXMILL_SMTP_USER": "ana", "VOXMILL_SMTP_PASSWORD": SECRET})
    assert logins == [(b"ana", SECRET.encode())]
    assert len(mailbox.mails) == 1


def test_the_log_is_told_always(caplog):
    """Rule: without any configuration the task's own log has it, in one line."""
    with caplog.at_level(logging.INFO):
        tell({})
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("digits: run failed at train: Loss <nan>")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"VOXMILL_WEBHOOK_URL": "http://127.0.0.1:1/" + SECRET}, "cannot be reached"),
        ({"VOXMILL_WEBHOOK_URL": "file:///" + SECRET}, "no http or https URL"),
        ({"VOXMILL_WEBHOOK_URL": "http://[" + SECRET}, "no http or https URL"),
        ({"VOXMILL_WEBHOOK_URL": "http://x:port/" + SECRET}, "cannot be reached"),
        ({"VOXMILL_SMTP_HOST": "127.0.0.1"}, "VOXMILL_SMTP_TO names nobody"),
        (
            {"VOXMILL_SMTP_HOST": "127.0.0.1", "VOXMILL_SMTP_TO": "a@b", "VOXMILL_SMTP_PORT": "1"},
            "no mail was sent",
        ),
        (
            {"VOXMILL_SMTP_HOST": "h", "VOXMILL_SMTP_TO": "a@b", "VOXMILL_SMTP_PORT": SECRET},
            "VOXMILL_SMTP_PORT is no number",
        ),
        (
            {"VOXMILL_SMTP_HOST": "h", "VOXMILL_SMTP_TO": "a@b", "VOXMILL_SMTP_SECURITY": SECRET},
            "VOXMILL_SMTP_SECURITY: expected one of starttls, tls, none",
        ),
    ],
)
def test_a_channel_that_fails_is_logged_without_its_secret(environ, words, caplog):
    """Rule: nothing is raised, the log says which channel and why, and holds no secret."""
    with caplog.at_level(logging.DEBUG):
        tell({"VOXMILL_SMTP_PASSWORD": SECRET, **environ})
    assert words in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("status", [400, 403, 404, 410, 500])
def test_a_refused_webhook_says_how_it_was_refused(status, caplog):
    """Rule: the status is named, the URL is not."""
    with web_server(status) as (url, got):
        tell({"VOXMILL_WEBHOOK_URL": url})
    assert len(got) == 1
    assert f"the server answered {status}" in caplog.text
    assert SECRET not in caplog.text


def test_a_mail_server_without_tls_gets_no_password(caplog):
    """Rule: the connection is encrypted unless the environment says otherwise."""
    with mail_server() as (variables, mailbox):
        login = {"VOXMILL_SMTP_USER": "ana", "VOXMILL_SMTP_PASSWORD": SECRET}
        tell({**variables, **login, "VOXMILL_SMTP_SECURITY": ""})
    assert mailbox.mails == []
    assert "no mail was sent (SMTPNotSupportedError)" in caplog.text
    assert SECRET not in caplog.text


def test_one_failing_channel_does_not_keep_another_from_telling(caplog):
    """Rule: every channel is tried, whatever the others do."""

    class Broken:
        name = "broken"

        def send(self, notice):
            raise RuntimeError(SECRET)

    with web_server() as (url, got):
        announce(NOTICE, [Broken(), *configured_channels({"VOXMILL_WEBHOOK_URL": url})])
    assert len(got) == 1
    assert "broken" in caplog.text
    assert SECRET not in caplog.text


def test_a_silent_server_keeps_a_task_only_so_long(monkeypatch, caplog):
    """Rule: a server that takes the connection and says nothing is given up on."""
    monkeypatch.setattr("voxmill.orchestration.channels.webhook.TIMEOUT_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        tell({"VOXMILL_WEBHOOK_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/{SECRET}"})
    assert "cannot be reached (TimeoutError)" in caplog.text
    assert channel.TIMEOUT_SECONDS <= 10
    assert configured.LogChannel.name == "log"


def test_a_reason_is_one_line():
    """Rule: the first line that says something, shortened where it is endless."""
    assert one_line("\n  Recording r17: 0 samples.\n(exit code 65)") == "Recording r17: 0 samples."
    assert len(one_line("x" * 1000)) == 300
    assert one_line("") == ""


def test_each_exit_code_has_its_advice():
    """Rule: what needs a person says what the person does; the rest is cleared and goes on."""
    assert len({advice_for(code) for code in (64, 65, 66, 69, 70)}) == 5
    assert advice_for(1) == advice_for(137)
