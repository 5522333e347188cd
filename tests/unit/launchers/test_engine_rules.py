"""What the proxy in front of the Docker engine lets through, decided without an engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voxmill.launchers.engine_rules import Refused, Rules


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    (tmp_path / "home" / "runs").mkdir(parents=True)
    (tmp_path / "home-of-others").mkdir()
    return Rules(home=tmp_path / "home", images=("voxmill-stage", "here.org:5000/voxmill:1"))


def created(rules: Rules, source: Path, **host: object) -> None:
    mount = {"Type": "bind", "Source": str(source), "Target": "/in", "ReadOnly": True}
    settings = {
        "NetworkMode": "none",
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Mounts": [mount],
    }
    asked = {
        "Image": "voxmill-stage",
        "Labels": {"org.voxmill.run": "a"},
        "HostConfig": settings | host,
    }
    rules.creation(json.dumps(asked).encode())


def test_the_home_itself_and_a_folder_that_only_begins_alike_are_refused(rules: Rules) -> None:
    """Below the home means below it: logins and caches lie beside the runs."""
    created(rules, rules.home / "runs")
    for source in (rules.home, rules.home.parent / "home-of-others", rules.home / ".."):
        with pytest.raises(Refused, match="is not below"):
            created(rules, source)


def test_a_new_field_of_the_engine_is_refused_until_somebody_has_looked_at_it(rules) -> None:
    """A list of what is forbidden would let it through."""
    created(rules, rules.home / "runs", NotYetInvented=None)
    with pytest.raises(Refused, match="NotYetInvented"):
        created(rules, rules.home / "runs", NotYetInvented="host")


def test_gpus_may_be_asked_for_by_number_or_by_name(rules) -> None:
    """And nothing else may call itself one."""
    gpu = {"Driver": "", "Count": 0, "DeviceIDs": ["1"], "Capabilities": [["gpu"]], "Options": {}}
    created(rules, rules.home / "runs", DeviceRequests=[gpu])
    created(rules, rules.home / "runs", DeviceRequests=[gpu | {"Count": 2, "DeviceIDs": None}])
    with pytest.raises(Refused, match="devices other than GPUs"):
        created(rules, rules.home / "runs", DeviceRequests=[gpu | {"Driver": "cdi"}])


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("voxmill-stage", True),
        ("voxmill-stage:2.0", True),
        ("here.org:5000/voxmill:1", True),
        ("here.org:5000/voxmill:2", False),
        ("evil.org/voxmill-stage", False),
        ("voxmill-stage-of-others", False),
        ("sha256:0123", False),
        ("None", False),
    ],
)
def test_an_image_without_a_tag_on_the_list_stands_for_all_its_tags(rules, image, allowed) -> None:
    if allowed:
        rules.check_image(image)
        return
    with pytest.raises(Refused, match="is not among"):
        rules.check_image(image)


def test_a_container_is_ours_by_name_and_label(rules: Rules) -> None:
    """Compose calls its own services `voxmill-postgres-1`."""
    label = {"Labels": {"org.voxmill.run": "a"}}
    assert rules.check_container({"Id": "1", "Name": "/voxmill-a", "Config": label}) == "1"
    for name, config in (("/voxmill-postgres-1", {"Labels": None}), ("/other", label)):
        with pytest.raises(Refused, match="no stage's"):
            rules.check_container({"Id": "1", "Name": name, "Config": config})
