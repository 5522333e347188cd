"""A real sshd with its own host key, its own list of keys, and nobody else's files."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toys.monitoring import free_ports

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
START_SECONDS = 10.0
CONFIG = """\
ListenAddress {address}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""


class SshServer:
    """One sshd; whoever runs the test may log in with `user_key`.

    Args:
        folder: For keys, configuration and log.
        address: Where it listens.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.folder = folder
        self.address = address
        self.port = free_ports(1)[0]
        self.user_key = make_key(folder / "user_key")
        self.host_key = make_key(folder / "host_key")
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(self.line())
        shutil.copyfile(f"{self.user_key}.pub", folder / "authorized_keys")
        (folder / "sshd_config").write_text(
            CONFIG.format(address=address, port=self.port, folder=folder)
        )
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, folder: Path) -> str:
        """The remote that a folder of this machine is over SSH."""
        return f"ssh://{getpass.getuser()}@{self.address}:{self.port}{folder}"

    def line(self) -> str:
        """What belongs into known hosts for the present host key."""
        kind, key, *_ = Path(f"{self.host_key}.pub").read_text().split()
        return f"[{self.address}]:{self.port} {kind} {key}\n"

    def fingerprint(self) -> str:
        """The present host key's fingerprint, as OpenSSH shows it."""
        shown = ["ssh-keygen", "-l", "-f", f"{self.host_key}.pub"]
        return subprocess.run(shown, check=True, capture_output=True, text=True).stdout.split()[1]

    def start(self) -> None:
        """Starts sshd, and waits until it listens."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = self.folder / "sshd.log"
        command = [SSHD, "-D", "-f", str(self.folder / "sshd_config"), "-E", str(log)]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + START_SECONDS
        while not log.exists() or "Server listening" not in log.read_text():
            said = log.read_text() if log.exists() else ""
            assert self._process.poll() is None, f"sshd ended: {said}"
            assert time.monotonic() < deadline, f"sshd does not listen: {said}"
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends sshd; connections that stand go on."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None
            (self.folder / "sshd.log").unlink()

    def take_another_host_key(self, kind: str = "ed25519") -> None:
        """What a machine in between, or a new installation, looks like from here."""
        self.stop()
        for path in (self.host_key, Path(f"{self.host_key}.pub")):
            path.unlink()
        make_key(self.host_key, kind)
        self.start()


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """A key pair without a passphrase; gives the private half."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "toy", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


@contextmanager
def ssh_server(folder: Path, address: str = "127.0.0.1") -> Iterator[SshServer]:
    """An sshd that is there as long as the block runs."""
    assert Path(SSHD).exists(), "sshd not found: apt-get install openssh-server"
    folder.mkdir(parents=True, exist_ok=True)
    server = SshServer(folder, address)
    server.start()
    try:
        yield server
    finally:
        server.stop()
