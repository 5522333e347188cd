"""Releases, the machine, and the exporter itself."""

from __future__ import annotations

from voxmill.observability.labels import ERROR_REASONS
from voxmill.observability.metric import Namer

_release = Namer("release").gauge
_host = Namer("host")
_exporter = Namer("exporter")

_FIGURE = ("role", "version", "split", "artefact")

RELEASES = (
    _release("release_wer_ratio", "ratio", "Word error rate as released.", *_FIGURE),
    _release("release_cer_ratio", "ratio", "Character error rate as released.", *_FIGURE),
    _release(
        "release_real_time_ratio",
        "ratio",
        "Seconds of computing for one second of speech.",
        *_FIGURE,
    ),
    _release(
        "release_artefact_bytes", "bytes", "Size of an artefact.", "role", "version", "artefact"
    ),
    _release(
        "release_timestamp_seconds", "seconds", "When a version was released.", "role", "version"
    ),
)

HOST = (
    _host.gauge("host_memory_available_bytes", "bytes", "Memory that a new process can have."),
    _host.gauge("host_memory_total_bytes", "bytes", "Memory of the machine."),
    _host.gauge("host_load_ratio", "ratio", "Load of the last minute for each core."),
    _host.gauge("disk_free_bytes", "bytes", "Free space where a place lies.", "place"),
    _host.gauge("disk_total_bytes", "bytes", "All space where a place lies.", "place"),
    _host.gauge("gpu_expected", "1", "GPUs that running stages asked for."),
    _host.gauge("gpu_found", "1", "GPUs that answer."),
    _host.gauge("gpu_up", "1", "1 while a GPU that was seen answers, else 0.", "gpu"),
    _host.gauge("gpu_utilisation_ratio", "ratio", "Share of time that it computed.", "gpu"),
    _host.gauge("gpu_memory_used_bytes", "bytes", "GPU memory in use.", "gpu"),
    _host.gauge("gpu_memory_total_bytes", "bytes", "GPU memory.", "gpu"),
    _host.gauge("gpu_temperature_celsius", "celsius", "Temperature of a GPU.", "gpu"),
    _host.gauge("gpu_power_watts", "watts", "Power that a GPU draws.", "gpu"),
    _host.counter("gpu_xid_errors_total", "1", "Critical errors (XID) of a GPU.", "gpu"),
)

EXPORTER = (
    _exporter.gauge("exporter_scrape_seconds", "seconds", "Time that the last answer took."),
    _exporter.gauge("exporter_refresh_seconds", "seconds", "Time that the last reading took."),
    _exporter.gauge("exporter_runs", "1", "Runs that are served."),
    _exporter.counter(
        "exporter_errors_total",
        "1",
        "What could not be read, by what it was.",
        reason=frozenset(ERROR_REASONS),
    ),
    _exporter.gauge("exporter_build_info", "1", "1; the version is a label.", "version"),
    _exporter.counter("exporter_statsd_lines_total", "1", "StatsD lines taken in."),
    _exporter.counter("exporter_statsd_ignored_total", "1", "StatsD lines that nobody asked for."),
    _exporter.gauge(
        "exporter_statsd_last_line_timestamp_seconds", "seconds", "When Airflow last said a thing."
    ),
)
