"""What may be asked of the Docker engine through voxmill's proxy, and nothing else.

Whoever may create containers freely is root on the host (`-v /:/h`), so a proxy that only looks at
paths protects nothing. Here a container's whole description is checked: every field that is not
known to be harmless must be empty, and what is passed on is written anew from what was checked, so
that no second reader can understand it otherwise (the engine takes `privileged` for `Privileged`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from voxmill.launchers.container import GPUS_LABEL, LABEL

NAME_PREFIX = "voxmill-"
RUN_LABEL = f"{LABEL}.run"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_VERSION = re.compile(r"^/v1\.\d+(?=/)")
_CONTAINER = re.compile(rf"^/containers/({_NAME})(?:/(json|logs|start|stop|kill))?$")
_IMAGE = re.compile(r"^/images/([A-Za-z0-9][A-Za-z0-9._/:%-]*)/json$")
_VERBS = {"json": "GET", "logs": "GET", "start": "POST", "stop": "POST", "kill": "POST"}

_PLAIN = {  # of a container: what it runs, under which names and limits
    *("Hostname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin"),
    *("StdinOnce", "Env", "Cmd", "Entrypoint", "Image", "WorkingDir", "Labels", "StopSignal"),
    *("StopTimeout", "NetworkDisabled", "HostConfig"),
}
_PLAIN_ON_HOST = {  # of its HostConfig: limits, and folders in memory
    *("Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "ShmSize"),
    *("PidsLimit", "Init", "Tmpfs", "CapDrop", "ReadonlyRootfs", "ConsoleSize"),
    *("Mounts", "DeviceRequests", "SecurityOpt", "NetworkMode"),
}
_OF_A_LIST = {"all", "limit", "size", "trunc_cmd"}
_SHARED = {  # namespaces: only the container's own
    "PidMode": {""},
    "IpcMode": {"", "none", "private"},
    "UTSMode": {""},
    "UsernsMode": {""},
    "CgroupnsMode": {"", "private"},
    "Isolation": {"", "default"},
}
_NETWORKS = ("none", "bridge")
_PRIVILEGES = ("no-new-privileges", "no-new-privileges:true")
_MOUNT_FIELDS = {"Type", "Source", "Target", "ReadOnly"}
_UNMASKED = ("MaskedPaths", "ReadonlyPaths")  # here an empty list is not the default, but "none"


class Refused(Exception):
    """The request is not passed on; its text says why."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What this site allows."""

    home: Path
    """`VOXMILL_HOME`: folders below it may be mounted."""
    readable: Sequence[Path] = ()
    """Folders that may be mounted read-only, themselves or below: recordings."""
    images: Sequence[str] = ("voxmill-stage",)
    """Images that containers may be made of; without a tag, any tag is allowed."""

    def request(self, method: str, target: str) -> Request:
        """What a request asks for.

        Args:
            method: `GET` and the like.
            target: Path with query, as it came.

        Raises:
            Refused: Nothing that voxmill's launcher needs.
        """
        parts = urlsplit(target)
        path = _VERSION.sub("", parts.path)
        if path == "/_ping" and method in {"GET", "HEAD"}:
            return Request("ping")
        if path == "/version" and method == "GET":
            return Request("version")
        if path == "/containers/create" and method == "POST":
            self._check_name(parts.query)
            return Request("create")
        if (image := _IMAGE.match(path)) and method == "GET":
            self.check_image(unquote(image[1]))
            return Request("image")
        if path == "/containers/json" and method == "GET":
            _check_listing(parts.query)
            return Request("list")
        found = _CONTAINER.match(path)
        if found and found[1] not in {"json", "create", "prune"}:
            verb = found[2]
            if method == ("DELETE" if verb is None else _VERBS[verb]):
                return Request(verb or "remove", container=found[1])
        raise Refused(f"{method} {parts.path} is nothing that voxmill's launcher needs")

    def creation(self, body: bytes) -> bytes:
        """The description of a container, checked and written anew.

        Raises:
            Refused: A field is unknown, or asks for more than a stage needs.
        """
        asked = _parsed(body)
        try:
            self._check_creation(asked)
        except (TypeError, AttributeError) as error:  # a list where an object belongs
            raise Refused(f"a field of the container is of a wrong type: {error}") from error
        return json.dumps(asked).encode()

    def _check_creation(self, asked: Mapping[str, Any]) -> None:
        _only(asked, _PLAIN, "the container")
        self.check_image(str(asked.get("Image")))
        labels = asked.get("Labels")
        if not isinstance(labels, dict) or not labels.get(RUN_LABEL):
            raise Refused(f"the container lacks the label {RUN_LABEL}: it belongs to no run")
        host = asked.get("HostConfig")
        if not isinstance(host, dict):
            raise Refused("the container has no HostConfig")
        self._check_host(host)

    def check_mounts(self, sources: Sequence[tuple[str, bool]]) -> None:
        """Looks where mounted folders really are; a link may have been put there since.

        Args:
            sources: Folder of the host, and whether it is read-only.

        Raises:
            Refused: One is not below the folders that may be mounted.
        """
        for source, read_only in sources:
            self._check_source(source, read_only=read_only)

    def check_container(self, description: Mapping[str, Any]) -> str:
        """The id of a container that is one of ours.

        Args:
            description: What the engine says of it.

        Raises:
            Refused: It is another project's.
        """
        name = str(description.get("Name", "")).removeprefix("/")
        labels = (description.get("Config") or {}).get("Labels") or {}
        if not name.startswith(NAME_PREFIX) or not labels.get(RUN_LABEL):
            raise Refused(f"container {name or '?'} is no stage's")
        return str(description["Id"])

    def check_image(self, image: str) -> None:
        """Refuses an image that is not on the list."""
        for allowed in self.images:
            if image == allowed or (":" not in _last(allowed) and _untagged(image) == allowed):
                return
        raise Refused(f"image {image!r} is not among {', '.join(self.images)}")

    def _check_name(self, query: str) -> None:
        asked = parse_qs(query)
        names = asked.pop("name", [])
        if asked:
            raise Refused(f"the query has {', '.join(sorted(asked))}")
        if len(names) != 1 or not re.fullmatch(f"{NAME_PREFIX}{_NAME}", names[0]):
            raise Refused(f"the container's name is not {NAME_PREFIX}…: {names}")

    def _check_host(self, host: Mapping[str, Any]) -> None:
        _check_settings(host)
        if host.get("NetworkMode") not in _NETWORKS:
            raise Refused(f"NetworkMode {host.get('NetworkMode')!r} is not {_NETWORKS}")
        if host.get("CapDrop") != ["ALL"]:
            raise Refused("capabilities are kept: CapDrop must be ['ALL']")
        privileges = host.get("SecurityOpt")
        if not privileges or any(each not in _PRIVILEGES for each in privileges):
            raise Refused(f"SecurityOpt {privileges!r} is not ['{_PRIVILEGES[0]}']")
        self._check_devices(host.get("DeviceRequests") or [])
        for mount in host.get("Mounts") or []:
            self._check_mount(mount)

    def _check_devices(self, requests: Sequence[Mapping[str, Any]]) -> None:
        for request in requests:
            gpu = request.get("Capabilities") == [["gpu"]]
            if not gpu or request.get("Driver") not in {None, "", "nvidia"}:
                raise Refused(f"devices other than GPUs: {dict(request)}")
            if request.get("Options"):
                raise Refused("a GPU request with options")

    def _check_mount(self, mount: Mapping[str, Any]) -> None:
        _only(mount, _MOUNT_FIELDS, "a mount")
        if mount.get("Type") != "bind":
            raise Refused(f"a mount of type {mount.get('Type')!r}: only folders of runs")
        self._check_source(str(mount.get("Source")), read_only=mount.get("ReadOnly") is True)

    def _check_source(self, source: str, *, read_only: bool) -> None:
        if not source.startswith("/"):
            raise Refused(f"mount source {source!r} is no absolute path")
        try:
            real = Path(source).resolve(strict=True)
        except OSError as error:
            raise Refused(f"mount source {source} cannot be looked at: {error.strerror}") from error
        below_home = self.home.resolve() in real.parents
        below_readable = any(real.is_relative_to(folder.resolve()) for folder in self.readable)
        if not below_home and not (read_only and below_readable):
            way = f", which is {real}," if str(real) != source else ""
            raise Refused(f"mount source {source}{way} is not below {self.home}")


@dataclass(frozen=True)
class Request:
    """What is asked for: `ping`, `version`, `create`, `image`, `list`, or a container's verb."""

    verb: str
    container: str = ""


def _check_listing(query: str) -> None:
    """Lets nobody list but who asks which GPUs stages have."""
    asked = parse_qs(query)
    filtered = asked.pop("filters", []) == [json.dumps({"label": [GPUS_LABEL]})]
    if not filtered or not set(asked) <= _OF_A_LIST or ";" in query:
        raise Refused(f"a list of containers that is not filtered by the label {GPUS_LABEL}")


def _check_settings(host: Mapping[str, Any]) -> None:
    """Refuses what is unknown, shared with the host, or left to the engine."""
    for field in _UNMASKED:
        if host.get(field) is not None:
            raise Refused(f"{field} is set")
    for field, allowed in _SHARED.items():
        if (host.get(field) or "") not in allowed:
            raise Refused(f"{field} {host[field]!r}: only namespaces of its own")
    policy = host.get("RestartPolicy") or {}
    if policy.get("Name") not in {None, "", "no"}:
        raise Refused("RestartPolicy is set: Airflow decides what is tried again")
    logs = host.get("LogConfig") or {}
    if logs.get("Type") not in {None, ""} or logs.get("Config"):
        raise Refused("LogConfig is set")
    checked = {*_SHARED, *_UNMASKED, "RestartPolicy", "LogConfig"}
    _only(host, _PLAIN_ON_HOST | checked, "HostConfig")


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body, object_pairs_hook=_no_twins)
    except ValueError as error:
        raise Refused(f"the container's description is no JSON: {error}") from error
    if not isinstance(asked, dict):
        raise Refused("the container's description is no object")
    return asked


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Refused(f"a field stands twice: {sorted(name for name, _ in pairs)}")
    return values


def _only(asked: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuses what is not known, unless it is empty and spelt as the engine spells it."""
    for field, value in asked.items():
        spelt = re.fullmatch(r"[A-Z][A-Za-z0-9]*", field) is not None
        twin = any(field != each and field.lower() == each.lower() for each in known)
        if field not in known and (value or twin or not spelt):
            raise Refused(f"{where} has {field}={json.dumps(value)[:200]}")


def _last(image: str) -> str:
    return image.rpartition("/")[2]


def _untagged(image: str) -> str:
    head, slash, last = image.rpartition("/")
    return head + slash + last.partition(":")[0]
