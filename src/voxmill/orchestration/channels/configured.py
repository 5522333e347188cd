"""Which channels there are, and passing a notice on to all of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from voxmill.orchestration.channels.channel import Channel, ChannelFailed
from voxmill.orchestration.channels.email import PREFIX, EmailChannel, SmtpSettings
from voxmill.orchestration.channels.log import LogChannel
from voxmill.orchestration.channels.webhook import URL_VARIABLE, WebhookChannel
from voxmill.orchestration.notice import Notice

logger = logging.getLogger(__name__)


def configured_channels(environ: Mapping[str, str]) -> Iterator[Channel]:
    """The log, and what the environment names besides; what is named wrongly is logged.

    Args:
        environ: `VOXMILL_WEBHOOK_URL` and `VOXMILL_SMTP_…` are read.
    """
    yield LogChannel()
    makers: dict[str, Callable[[], Channel]] = {
        URL_VARIABLE: lambda: WebhookChannel(environ[URL_VARIABLE]),
        f"{PREFIX}HOST": lambda: EmailChannel(SmtpSettings.read(environ)),
    }
    for variable, make in makers.items():
        if environ.get(variable):
            try:
                yield make()
            except ChannelFailed as error:
                logger.warning("Nobody is told by the channel of %s: %s", variable, error)


def announce(notice: Notice, channels: Sequence[Channel] | None = None) -> None:
    """Passes a notice on; a channel that fails is logged and stops nothing.

    Args:
        notice: What happened.
        channels: By default those that this process's environment names.
    """
    for channel in configured_channels(os.environ) if channels is None else channels:
        try:
            channel.send(notice)
        except ChannelFailed as error:
            logger.warning("Channel %s: %r not passed on: %s", channel.name, notice.subject, error)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the run goes on
            kind = type(error).__name__  # its words may hold what must not be logged
            logger.warning("Channel %s: %r not passed on: %s", channel.name, notice.subject, kind)
