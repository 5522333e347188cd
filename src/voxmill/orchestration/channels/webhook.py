"""A Slack-compatible webhook: one JSON POST with the field `text`.

The URL is the secret. `urllib` is used because it logs nothing; the loggers of richer clients write
the whole URL of each request.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

from voxmill.orchestration.channels.channel import TIMEOUT_SECONDS, ChannelFailed
from voxmill.orchestration.notice import Notice

URL_VARIABLE = "VOXMILL_WEBHOOK_URL"


class WebhookChannel:
    """Posts notices to an incoming webhook of Slack, Mattermost, Rocket.Chat and the like.

    Args:
        url: Of the webhook, http or https; a secret.
    """

    name = "webhook"

    def __init__(self, url: str) -> None:
        if not _is_web_address(url):
            raise ChannelFailed(f"{URL_VARIABLE} is no http or https URL")
        self._url = url

    def send(self, notice: Notice) -> None:
        """Posts the notice; see the port."""
        text = f"*{_escaped(notice.subject)}*\n{_escaped(notice.body)}"
        request = urllib.request.Request(  # noqa: S310 -- the scheme was looked at
            self._url,
            data=json.dumps({"text": text}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 -- as above
                pass
        except urllib.error.HTTPError as error:
            raise ChannelFailed(f"the server answered {error.code}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise ChannelFailed(f"the server cannot be reached ({_kind(error)})") from None


def _is_web_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False


def _kind(error: Exception) -> str:
    """The kind of a failure alone: its words may name the URL."""
    reason = getattr(error, "reason", error)
    return type(reason if isinstance(reason, Exception) else error).__name__


def _escaped(text: str) -> str:
    """The three characters that mean something in Slack's text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
