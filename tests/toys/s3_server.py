"""An S3 server on loopback that checks signatures: moto, with one user and one bucket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from toys.monitoring import free_ports

START_SECONDS = 60.0
BUCKET = "voxmill-data"
USER = "voxmill"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


class S3Server:
    """The server's address, and whom it knows.

    Args:
        endpoint_url: Where it listens.
        folder: For files of credentials.
    """

    def __init__(self, endpoint_url: str, folder: Path) -> None:
        self.endpoint_url = endpoint_url
        self.folder = folder
        self._client("s3", "nobody", "nothing").create_bucket(Bucket=BUCKET)
        iam = self._client("iam", "nobody", "nothing")
        iam.create_user(UserName=USER)
        iam.put_user_policy(UserName=USER, PolicyName="all", PolicyDocument=json.dumps(POLICY))
        made = iam.create_access_key(UserName=USER)["AccessKey"]
        self._key, self._secret = made["AccessKeyId"], made["SecretAccessKey"]
        # From here on every request must be signed by somebody whom it knows.
        plain = {"Content-Type": "text/plain"}
        urlopen(Request(f"{endpoint_url}/moto-api/reset-auth", data=b"0", headers=plain)).close()

    def credentials(self, *, key: str = "", secret: str = "") -> Path:
        """A file as in `~/.aws/credentials`; the right one, or with another key or secret."""
        path = self.folder / f"credentials-{key}-{secret}"
        path.write_text(
            f"[default]\naws_access_key_id = {key or self._key}\n"
            f"aws_secret_access_key = {secret or self._secret}\n"
        )
        return path

    def objects(self) -> list[str]:
        """Names of all objects."""
        listed = self._client("s3", self._key, self._secret).list_objects_v2(Bucket=BUCKET)
        return [each["Key"] for each in listed.get("Contents", ())]

    def _client(self, service: str, key: str, secret: str) -> Any:
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name="us-east-1",
        )


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server that is there as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(port, process)
        yield S3Server(f"http://127.0.0.1:{port}", folder)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "moto ended"
            assert time.monotonic() < deadline, "moto does not listen"
            time.sleep(0.05)
        else:
            return
