"""Takes secrets out of texts before anybody reads them.

Two things are taken out: the values of this process's secret environment variables, and what looks
like a secret wherever it comes from. Short and common values stay: a log in which every `true` or
every `password` is a row of stars helps nobody, and such a value keeps no secret.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import quote, urlsplit

STARS = "***"
SHORTEST = 8
"""Characters that a value has at least to be replaced wherever it stands."""

_SECRET_WORD = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|KEY|WEBHOOK)S?$")
_NO_VALUE = frozenset(
    ("FILE", "PATH", "DIR", "FOLDER", "CMD", "COMMAND", "HOST", "PORT", "USER", "NAME")
)
"""Last words of names that lead to a secret, or stand beside one: `PGPASSWORD_FILE`."""
_COMMON = frozenset(
    (
        *("password", "passwords", "changeme", "required", "disabled", "enabled", "anonymous"),
        *("localhost", "postgres", "username", "undefined", "optional", "credentials"),
    )
)

_NAMED = (
    r"pass(?:word|wd|phrase)|secret|client[_-]?secret|api[_-]?key|(?:secret[_-]?)?access[_-]?key"
    r"|(?:access|auth|api|refresh|id|session)[_-]?token|x-amz-(?:signature|credential"
    r"|security-token)|private[_-]?key"
)
_HEADER = (
    r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)"
    r"(?:(?:bearer|basic|token|digest)\s+)?[^\s\"',]+"
)
_WEBHOOK = (
    r"(?i)(https?://(?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks"
    r"|[\w.-]+\.webhook\.office\.com)/)[^\s\"']+"
)
_AS_IN_YAML = (  # password: …; with a digit in it, for prose has colons too
    rf"(?i)\b((?:\w{{1,40}}[_-])?(?:{_NAMED}):[ \t]+)"
    r"(?!\*\*\*)(?=[^\s\"',;]*\d)[^\s\"',;]{8,}"
)
_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", STARS),
    # user:password@ of a URL; and a token in the user's place
    (r"(?i)\b([a-z][a-z0-9+.-]{0,20}://[^\s/?#@:'\"]*):[^\s/?#@'\"]+@", rf"\1:{STARS}@"),
    (r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/?#@:'\"]{20,}@", rf"\1{STARS}@"),
    # an HTTP header, also as Python or JSON shows it
    (_HEADER, rf"\1{STARS}"),
    (r"(?i)\b(bearer\s+)(?=[^\s\"']*\d)[a-z0-9._~+/=-]{8,}", rf"\1{STARS}"),
    # keys that tell by their form whose they are: AWS, Hugging Face, GitHub, GitLab, Slack,
    # Grafana; signed web tokens
    (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", STARS),
    (r"\b(?:hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})", STARS),
    (r"\b(?:glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|gls[ac]_\w{30,})", STARS),
    (r"(?<![\w-])eyJ[\w-]{10,}+\.eyJ[\w-]{10,}+\.[\w-]*", STARS),
    # webhooks: whoever knows the path may post
    (_WEBHOOK, rf"\1{STARS}"),
    # password=…, ?access_token=…, "password": "…"
    (rf"(?i)((?:{_NAMED})\s*=\s*[\"']?)(?!\*\*\*)[^\s\"',;&)]{{4,}}", rf"\1{STARS}"),
    (_AS_IN_YAML, rf"\1{STARS}"),
    (rf"(?i)([\"'](?:\w*[_-])?(?:{_NAMED})[\"']\s*:\s*([\"']))(?!\*\*\*)[^\"']+", rf"\1{STARS}"),
)


class Redactor:
    """Takes the secrets of an environment, and what looks like one, out of texts.

    Args:
        environ: Names and values of variables; those of secret names are taken out.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        values = {form for value in secret_values(environ) for form in _forms(value)}
        known = "|".join(re.escape(value) for value in sorted(values, key=len, reverse=True))
        self._known = re.compile(known) if known else None
        self._patterns = [(re.compile(pattern), word) for pattern, word in _PATTERNS]

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(STARS, text)
        for pattern, word in self._patterns:
            text = pattern.sub(word, text)
        return text


class RedactingFilter(logging.Filter):
    """For handlers that are not ours: what they get has no secrets in message and arguments."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record; lets all of them pass."""
        said = record.getMessage()
        clean = redact(said)
        if clean != said:
            record.msg, record.args = clean, None
        return True


def redact(text: str) -> str:
    """The text without the secrets of this process's environment and what looks like one."""
    return _own_redactor()(text)


def secret_values(environ: Mapping[str, str]) -> set[str]:
    """The values that must not be shown.

    Args:
        environ: Names and values of variables.
    """
    values = {value for name, value in environ.items() if _is_secret(name)}
    return {value for value in {*values, *_passwords(environ)} if _is_telling(value)}


@cache
def _own_redactor() -> Redactor:
    return Redactor(os.environ)


def _is_secret(name: str) -> bool:
    words = [word for word in re.split(r"[^A-Z0-9]+", name.upper()) if word]
    if not words or words[-1] in _NO_VALUE:
        return False
    return any(_SECRET_WORD.search(word) for word in words)


def _is_telling(value: str) -> bool:
    plain = value.strip()
    if len(plain) < SHORTEST or plain.isdecimal() or plain.casefold() in _COMMON:
        return False
    return not (plain.startswith(("/", "~", "./")) and os.path.exists(os.path.expanduser(plain)))  # noqa: PTH110, PTH111 -- pathlib refuses what is no path


def _passwords(environ: Mapping[str, str]) -> Iterator[str]:
    """Passwords inside URLs, such as that of a database."""
    for value in environ.values():
        if "://" in value and "@" in value:
            try:
                password = urlsplit(value).password
            except ValueError:
                continue
            if password:
                yield password


def _forms(value: str) -> Iterator[str]:
    """A value as it may stand in a text: as it is, in a URL, inside quotes."""
    yield value
    yield value.strip()
    yield quote(value, safe="")
    yield repr(value)[1:-1]
