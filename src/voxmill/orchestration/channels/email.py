"""E-mail by SMTP, set up by `VOXMILL_SMTP_…` variables."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import make_msgid

from voxmill.orchestration.channels.channel import TIMEOUT_SECONDS, ChannelFailed
from voxmill.orchestration.notice import Notice

PREFIX = "VOXMILL_SMTP_"
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, kw_only=True)
class SmtpSettings:
    """A mail server, and who writes to whom."""

    host: str
    port: int
    security: str
    """`starttls`, `tls` or `none`."""
    sender: str
    recipients: tuple[str, ...]
    user: str = ""
    """Empty: no login."""
    password: str = field(default="", repr=False)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> SmtpSettings:
        """The settings that the environment has.

        Raises:
            ChannelFailed: A variable is missing or wrong; it is named, its value is not.
        """
        given = {
            key.removeprefix(PREFIX): value
            for key, value in environ.items()
            if key.startswith(PREFIX)
        }
        security = given.get("SECURITY") or "starttls"
        if security not in _PORTS:
            raise ChannelFailed(f"{PREFIX}SECURITY: expected one of {', '.join(_PORTS)}")
        port = given.get("PORT") or str(_PORTS[security])
        recipients = tuple(part.strip() for part in given.get("TO", "").split(",") if part.strip())
        if not recipients or not port.isdigit():
            wrong = "PORT is no number" if recipients else "TO names nobody"
            raise ChannelFailed(f"{PREFIX}{wrong}")
        return cls(
            host=given["HOST"],
            port=int(port),
            security=security,
            sender=given.get("FROM") or recipients[0],
            recipients=recipients,
            user=given.get("USER", ""),
            password=given.get("PASSWORD", ""),
        )


class EmailChannel:
    """Sends notices as plain text.

    Args:
        settings: The mail server.
    """

    name = "email"

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings

    def send(self, notice: Notice) -> None:
        """Sends the notice; see the port."""
        try:
            with self._connected() as server:
                if self._settings.user:
                    server.login(self._settings.user, self._settings.password)
                server.send_message(self._message(notice))
        except smtplib.SMTPResponseException as error:
            raise ChannelFailed(f"the mail server answered {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise ChannelFailed(f"no mail was sent ({type(error).__name__})") from None

    def _connected(self) -> smtplib.SMTP:
        settings, context = self._settings, ssl.create_default_context()
        where = (settings.host, settings.port)
        if settings.security == "tls":
            return smtplib.SMTP_SSL(*where, timeout=TIMEOUT_SECONDS, context=context)
        server = smtplib.SMTP(*where, timeout=TIMEOUT_SECONDS)
        if settings.security == "starttls":
            try:
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = f"[voxmill] {notice.subject}"
        message["From"] = self._settings.sender
        message["To"] = ", ".join(self._settings.recipients)
        # The default asks for this machine's full name, which takes seconds where there is no DNS.
        message["Message-ID"] = make_msgid(domain="voxmill.invalid")
        message.set_content(f"{notice.body}\n")
        return message
