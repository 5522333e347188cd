"""*Platform*: Airflow, exporter, hosts, GPUs: what the runs stand on."""

from __future__ import annotations

from voxmill.exporting.dashboards import alert_list, places
from voxmill.exporting.dashboards.frame import Band, Frame, Tile, choice
from voxmill.exporting.dashboards.panels import Look, Query, bars, figure, lines
from voxmill.exporting.dashboards.wording import BAD, BUSY, CARE, GOOD, IDLE, steps, words

_ON = 'instance=~"$instance"'
_LATE_SECONDS = 60


def frame() -> Frame:
    """The dashboard."""
    return Frame(
        uid="voxmill-platform",
        title="Platform",
        description="What the runs stand on: Airflow, the exporter, machines, GPUs.",
        variables=(
            choice(
                "instance",
                "Machines",
                "label_values(voxmill_host_memory_total_bytes, instance)",
                several=True,
            ),
        ),
        links=(places.airflow(),),
        bands=(
            Band("", _at_a_glance()),
            Band("", (Tile(alert_list.firing(), 12, 8), *_targets())),
            Band("Airflow", _airflow()),
            Band("Machines", _machines()),
            Band("GPUs", _gpus()),
            Band("Exporter and Prometheus", _monitoring()),
        ),
    )


def _at_a_glance() -> tuple[Tile, ...]:
    alive = words({0: ("NO", BAD), 1: ("yes", GOOD)})
    panels = (
        figure(
            "Exporter up?",
            "Whether Prometheus reaches voxmill's exporter; without it nothing here is true.",
            [Query('min(up{job="voxmill"})')],
            Look(unit="short", mappings=[alive], empty="unknown"),
        ),
        figure(
            "Scheduler alive?",
            "Whether Airflow's scheduler gave a heartbeat within five minutes.",
            [Query("sum(increase(airflow_scheduler_heartbeat_total[5m])) > bool 0")],
            Look(unit="short", mappings=[alive], empty="Airflow is silent"),
        ),
        figure(
            "Broken DAG files",
            "Files that Airflow cannot read.",
            [Query("max(airflow_dag_processing_import_errors)")],
            Look(
                unit="short",
                mappings=[words({0: ("none", GOOD)})],
                thresholds=steps(GOOD, (1, BAD)),
                empty="Airflow is silent",
            ),
        ),
        figure(
            "DAG runs failed",
            "Within the last day.",
            [Query("sum(increase(airflow_dagrun_failed_total[1d]))")],
            Look(unit="short", decimals=0, thresholds=steps(GOOD, (1, CARE), (5, BAD))),
        ),
        figure(
            "Memory left",
            "On the machine that has least.",
            [
                Query(
                    f"min(voxmill_host_memory_available_bytes{{{_ON}}} / "
                    f"voxmill_host_memory_total_bytes{{{_ON}}})"
                )
            ],
            Look(
                unit="percentunit",
                decimals=0,
                thresholds=steps(BAD, (0.1, CARE), (0.2, GOOD)),
            ),
        ),
        figure(
            "Disk left",
            "Of the fullest place.",
            [Query(f"min(voxmill_disk_free_bytes{{{_ON}}} / voxmill_disk_total_bytes{{{_ON}}})")],
            Look(
                unit="percentunit",
                decimals=0,
                thresholds=steps(BAD, (0.05, CARE), (0.15, GOOD)),
            ),
        ),
        figure(
            "GPUs missing",
            "Asked for by running stages, but not answering.",
            [
                Query(
                    f"clamp_min(sum(voxmill_gpu_expected{{{_ON}}}) - "
                    f"sum(voxmill_gpu_found{{{_ON}}}), 0)"
                )
            ],
            Look(
                unit="short",
                decimals=0,
                mappings=[words({0: ("none", GOOD)})],
                thresholds=steps(GOOD, (1, BAD)),
            ),
        ),
        figure(
            "GPU errors",
            "Critical errors (XID) since the exporter began.",
            [Query(f"sum(voxmill_gpu_xid_errors_total{{{_ON}}})")],
            Look(
                unit="short",
                decimals=0,
                mappings=[words({0: ("none", GOOD)})],
                thresholds=steps(GOOD, (1, BAD)),
                empty="no GPU",
            ),
        ),
    )
    return tuple(Tile(panel, 3, 4) for panel in panels)


def _targets() -> tuple[Tile, ...]:
    panel = bars(
        "Targets",
        "What Prometheus scrapes: 1 while it answers.",
        [Query("min by (job, instance) (up)", "{{job}} {{instance}}")],
        Look(
            unit="short",
            low=0,
            high=1,
            mappings=[words({0: ("DOWN", BAD), 1: ("up", GOOD)})],
            thresholds=steps(BAD, (1, GOOD)),
        ),
    )
    return (Tile(panel, 12, 8),)


def _airflow() -> tuple[Tile, ...]:
    link = [places.airflow()]
    panels = (
        lines(
            "Tasks ended",
            "By state, in one minute.",
            [
                Query(
                    "sum by (state) (rate(airflow_ti_finish_total[$__rate_interval])) * 60",
                    "{{state}}",
                )
            ],
            Look(unit="suffix: /min", low=0, links=link, empty="Airflow is silent"),
        ),
        lines(
            "Pools",
            "Queued tasks by pool. A queue that never empties needs another worker.",
            [
                Query("max by (pool) (airflow_pool_queued_slots)", "{{pool}}: queued"),
                Query("max by (pool) (airflow_pool_running_slots)", "{{pool}}: running"),
                Query("max by (pool) (airflow_pool_open_slots)", "{{pool}}: free"),
            ],
            Look(unit="short", low=0, decimals=0, links=link, empty="Airflow is silent"),
        ),
        lines(
            "Time of DAG runs",
            "Mean over an hour, by DAG and end.",
            [
                Query(
                    "sum by (dag_id, state) (rate(airflow_dagrun_duration_seconds_sum[1h])) / "
                    "sum by (dag_id, state) (rate(airflow_dagrun_duration_seconds_count[1h]))",
                    "{{dag_id}} {{state}}",
                )
            ],
            Look(unit="s", low=0, links=link, empty="no DAG run ended"),
        ),
        lines(
            "Reading the DAG files",
            "All of them once. Above a minute new runs start late.",
            [Query("max by (job) (airflow_dag_processing_total_parse_time_seconds)", "{{job}}")],
            Look(
                unit="s",
                low=0,
                thresholds=steps(GOOD, (_LATE_SECONDS, CARE)),
                links=link,
                empty="Airflow is silent",
            ),
        ),
    )
    return tuple(Tile(panel, 6, 8) for panel in panels)


def _machines() -> tuple[Tile, ...]:
    used = (
        f"1 - voxmill_host_memory_available_bytes{{{_ON}}} / "
        f"voxmill_host_memory_total_bytes{{{_ON}}}"
    )
    panels = (
        lines(
            "Load",
            "Processes that want a core, for each core. Above 1 they wait for each other.",
            [Query(f"voxmill_host_load_ratio{{{_ON}}}", "{{instance}}")],
            Look(unit="short", low=0, decimals=2, thresholds=steps(GOOD, (1.5, CARE))),
        ),
        lines(
            "Memory in use",
            "Share of the machine's memory that a new process cannot have.",
            [Query(used, "{{instance}}")],
            Look(unit="percentunit", low=0, high=1, thresholds=steps(GOOD, (0.9, BAD))),
        ),
        lines(
            "Space by place",
            "Free bytes, by place: runs, DVC's cache, the remote.",
            [Query(f"voxmill_disk_free_bytes{{{_ON}}}", "{{place}} on {{instance}}")],
            Look(unit="bytes", low=0),
        ),
    )
    return tuple(Tile(panel, 8, 8) for panel in panels)


def _gpus() -> tuple[Tile, ...]:
    legend = "GPU {{gpu}} on {{instance}}"
    panels = (
        lines(
            "Use of each GPU",
            "Share of time that it computed.",
            [Query(f"voxmill_gpu_utilisation_ratio{{{_ON}}}", legend)],
            Look(unit="percentunit", low=0, high=1, thresholds=steps(BAD, (0.3, GOOD))),
        ),
        lines(
            "GPU memory",
            "In use now, of each GPU.",
            [Query(f"voxmill_gpu_memory_used_bytes{{{_ON}}}", legend)],
            Look(unit="bytes", low=0),
        ),
        lines(
            "Temperature",
            "Above about 85 °C a GPU slows itself down.",
            [Query(f"voxmill_gpu_temperature_celsius{{{_ON}}}", legend)],
            Look(unit="celsius", thresholds=steps(GOOD, (85, BAD))),
        ),
        lines(
            "Power",
            "Power that each GPU draws now.",
            [Query(f"voxmill_gpu_power_watts{{{_ON}}}", legend)],
            Look(unit="watt", low=0),
        ),
    )
    return tuple(Tile(panel, 6, 8) for panel in panels)


def _monitoring() -> tuple[Tile, ...]:
    panels = (
        lines(
            "Answering and reading",
            "Time of the exporter's last answer, and of its last round over the runs' files.",
            [
                Query("voxmill_exporter_scrape_seconds", "{{instance}}: answer"),
                Query("voxmill_exporter_refresh_seconds", "{{instance}}: reading"),
            ],
            Look(unit="s", low=0, thresholds=steps(GOOD, (0.1, CARE))),
        ),
        lines(
            "Runs served",
            "Active ones, and ended ones within the retention.",
            [Query("voxmill_exporter_runs", "{{instance}}")],
            Look(unit="short", low=0, decimals=0),
        ),
        lines(
            "What could not be read",
            "By what it was. The exporter goes on; its log says more.",
            [Query("sum by (reason) (voxmill_exporter_errors_total)", "{{reason}}")],
            Look(unit="short", low=0, decimals=0, thresholds=steps(GOOD, (1, CARE))),
        ),
        lines(
            "Memory of the monitors",
            "Of the exporter and of Prometheus.",
            [Query("process_resident_memory_bytes", "{{job}} {{instance}}")],
            Look(unit="bytes", low=0),
        ),
    )
    version = figure(
        "Exporter's version",
        "Of voxmill, by machine.",
        [Query("max by (version) (voxmill_exporter_build_info)", "{{version}}")],
        Look(unit="short", mappings=[words({1: ("in use", BUSY)})], thresholds=steps(IDLE)),
    )
    return (*(Tile(panel, 5, 8) for panel in panels), Tile(version, 4, 8))
