"""Makes `grafana-11.6.0.schema.json`: JSON schemas of Grafana's own published types.

Needs node and npm: `python tests/unit/exporting/dashboards/make_grafana_schema.py`. The types are
`@grafana/schema` (Apache-2.0, Grafana Labs); descriptions are left out to keep the file small.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

VERSION = "11.6.0"
GENERATOR = "ts-json-schema-generator@2.4.0"
KINDS = {
    "stat": ("Options",),
    "timeseries": ("Options", "FieldConfig"),
    "statetimeline": ("Options", "FieldConfig"),
    "bargauge": ("Options",),
    "barchart": ("Options", "FieldConfig"),
    "table": ("Options", "FieldConfig"),
}
OUT = Path(__file__).with_name(f"grafana-{VERSION}.schema.json")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        packages = [f"@grafana/schema@{VERSION}", GENERATOR]
        subprocess.run(["npm", "install", "--silent", *packages], cwd=place, check=True)
        raw = place / "node_modules/@grafana/schema/dist/esm/raw"
        found = {
            "dashboard": schema(place, next((raw / "dashboard/x").glob("*.d.ts")), "Dashboard")
        }
        for kind, types in KINDS.items():
            file = next((raw / f"composable/{kind}/panelcfg/x").glob("*.d.ts"))
            found |= {f"{kind}.{name}": schema(place, file, name) for name in types}
    OUT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def schema(place: Path, file: Path, name: str) -> dict[str, object]:
    command = ["npx", "ts-json-schema-generator", "--no-type-check", "--path", str(file)]
    done = subprocess.run(
        [*command, "--type", name], cwd=place, capture_output=True, text=True, check=True
    )
    return without_descriptions(json.loads(done.stdout))


def without_descriptions(value: object) -> object:
    if isinstance(value, list):
        return [without_descriptions(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_descriptions(each)
        for key, each in value.items()
        if not (key in {"description", "$comment"} and isinstance(each, str))
    }


if __name__ == "__main__":
    main()
