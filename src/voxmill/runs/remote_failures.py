"""What went wrong with the DVC remote, told from the exceptions of SSH and S3 libraries.

They are known by name: an exception can only be there when its library has been imported, and
importing both to compare classes would cost a second.
"""

from __future__ import annotations

from collections.abc import Iterator

from voxmill.errors import UsageError, VoxmillError


class RemoteRefused(UsageError):
    """The remote's address, its host key or the login is wrong: trying again will not help."""


class StorageFailed(VoxmillError):
    """DVC could not do what it was asked; trying again may help."""


_KEY = (
    "If you know why it changed, take the old line out of the known hosts and put in the new one "
    "(compare fingerprints with `ssh-keygen -l` on the server), or set VOXMILL_SSH_FINGERPRINT. "
    "If you do not know, somebody may be in between: nothing was sent."
)
_LOGIN = (
    "Check the user in VOXMILL_REMOTE and the key: VOXMILL_SSH_KEY, or `ssh-add -l`; the server "
    "must list its public half in authorized_keys."
)
_KEY_FILE = "VOXMILL_SSH_KEY must be a private key without a passphrase; else use ssh-agent."
_S3_KEYS = (
    "Check VOXMILL_S3_CREDENTIALS, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they "
    "may do with this bucket."
)
_S3_BUCKET = "Check the bucket in VOXMILL_REMOTE and VOXMILL_S3_ENDPOINT; voxmill makes no buckets."

_CLOCK = (
    "Set this machine's clock (`timedatectl set-ntp true`): an S3 server takes no signature that "
    "is more than 15 minutes old or ahead."
)

_REFUSED = {
    "asyncssh.HostKeyNotVerifiable": ("its host key is not the known one", _KEY),
    "asyncssh.KeyExchangeFailed": ("it offers no host key of a known kind", _KEY),
    "asyncssh.PermissionDenied": ("it does not let us in", _LOGIN),
    "asyncssh.KeyImportError": ("the private key cannot be used", _KEY_FILE),
    "asyncssh.KeyEncryptionError": ("the private key cannot be used", _KEY_FILE),
    "asyncssh.SFTPPermissionDenied": (
        "that user may not write there",
        "Check who owns the folder in VOXMILL_REMOTE.",
    ),
    "botocore.NoCredentialsError": ("no keys were found for it", _S3_KEYS),
    "botocore.PartialCredentialsError": ("only half a key was found for it", _S3_KEYS),
    "botocore.ProfileNotFound": ("the AWS profile is not there", _S3_KEYS),
}
_S3_CODES = {
    "NoSuchBucket": ("there is no such bucket", _S3_BUCKET),
    "InvalidBucketName": ("no bucket can have that name", _S3_BUCKET),
    "InvalidAccessKeyId": ("it does not know the access key", _S3_KEYS),
    "AuthFailure": ("it does not take the keys", _S3_KEYS),
    "SignatureDoesNotMatch": ("the secret key is wrong", _S3_KEYS),
    "RequestTimeTooSkewed": ("this machine's clock and the server's differ", _CLOCK),
    "AccessDenied": ("these keys may not do that", _S3_KEYS),
    "403": ("these keys may not do that", _S3_KEYS),
}
_UNREACHABLE = (
    *("asyncssh.Error", "asyncssh.DisconnectError", "botocore.BotoCoreError"),
    *("botocore.ClientError", "builtins.ConnectionError", "builtins.TimeoutError"),
    "socket.gaierror",
)


def told(error: BaseException, remote: str) -> VoxmillError | None:
    """The error of voxmill that a failed transfer stands for; None where no remote is behind it.

    Args:
        error: What was raised; its causes are looked at too.
        remote: URL of the remote, for the message.
    """
    chain = list(_causes(error))
    for cause in chain:
        reason = _S3_CODES.get(_s3_code(cause)) or _first(_REFUSED, _names(cause))
        if reason is not None:
            return RemoteRefused(
                f"The DVC remote {remote} cannot be used: {reason[0]} ({cause}). {reason[1]} "
                f"What is committed is safe; start again then."
            )
    for cause in chain:
        if any(name in _UNREACHABLE for name in _names(cause)):
            return StorageFailed(
                f"The DVC remote {remote} does not answer: {cause or type(cause).__name__}. What "
                f"is committed is safe; start again when it does."
            )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _names(error: BaseException) -> list[str]:
    """`library.Class` of the exception and of what it inherits from."""
    return [f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in type(error).__mro__]


def _first(reasons: dict[str, tuple[str, str]], names: list[str]) -> tuple[str, str] | None:
    return next((reasons[name] for name in names if name in reasons), None)


def _s3_code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    details = response.get("Error", {}) if isinstance(response, dict) else {}
    return str(details.get("Code", ""))
