"""Others' metrics that dashboards and alerts use: Airflow's, Prometheus', Alertmanager's.

Airflow's own names (metrics_template.yaml of 3.3) have dots, which become underscores; counters
end in `_total`, timers are summaries in seconds. What is not in this table is not passed on.
"""

from __future__ import annotations

from voxmill.observability.labels import TASK_STATES
from voxmill.observability.metric import Metric, Namer

_airflow = Namer("foreign", prefix="airflow_")
_own = Namer("foreign", prefix="")
_STATE = frozenset(TASK_STATES)
_TASK = ("dag_id", "task_id")

AIRFLOW_COUNTERS: tuple[Metric, ...] = (
    _airflow.counter("ti_start_total", "1", "Tasks started.", *_TASK),
    _airflow.counter("ti_finish_total", "1", "Tasks ended, by state.", *_TASK, state=_STATE),
    _airflow.counter("ti_failures_total", "1", "Tasks failed.", "dag_id", "task_id"),
    _airflow.counter("ti_successes_total", "1", "Tasks succeeded.", "dag_id", "task_id"),
    _airflow.counter("scheduler_heartbeat_total", "1", "Heartbeats of the scheduler."),
    _airflow.counter("dag_processor_heartbeat_total", "1", "Heartbeats of the DAG processor."),
    _airflow.counter("triggerer_heartbeat_total", "1", "Heartbeats of the triggerer."),
    _airflow.counter(
        "task_instances_without_heartbeats_killed_total", "1", "Tasks killed as silent.", *_TASK
    ),
    _airflow.counter("scheduler_tasks_killed_externally_total", "1", "Tasks killed from outside."),
    _airflow.counter("scheduler_orphaned_tasks_cleared_total", "1", "Orphaned tasks cleared."),
    _airflow.counter("scheduler_orphaned_tasks_adopted_total", "1", "Orphaned tasks adopted."),
    _airflow.counter("dag_processing_processor_timeouts_total", "1", "DAG files too slow to read."),
    _airflow.counter("dag_callback_exceptions_total", "1", "DAG callbacks that failed.", "dag_id"),
)

AIRFLOW_DERIVED: tuple[Metric, ...] = (
    _airflow.counter(
        "dagrun_failed_total", "1", "DAG runs failed; 0 from the start for each recipe.", "dag_id"
    ),
)

AIRFLOW_GAUGES: tuple[Metric, ...] = (
    _airflow.gauge("dagbag_size", "1", "DAGs found."),
    _airflow.gauge("dag_processing_import_errors", "1", "DAG files that cannot be read."),
    _airflow.gauge("dag_processing_total_parse_time_seconds", "seconds", "Reading all DAG files."),
    _airflow.gauge("dag_processing_file_path_queue_size", "1", "DAG files waiting to be read."),
    _airflow.gauge("scheduler_tasks_starving", "1", "Tasks that find no slot in their pool."),
    _airflow.gauge("scheduler_tasks_executable", "1", "Tasks ready for the executor."),
    _airflow.gauge("scheduler_dagruns_running", "1", "DAG runs going on."),
    _airflow.gauge("executor_open_slots", "1", "Free slots of the executor."),
    _airflow.gauge("executor_queued_tasks", "1", "Tasks waiting in the executor."),
    _airflow.gauge("executor_running_tasks", "1", "Tasks running in the executor."),
    _airflow.gauge("pool_open_slots", "1", "Free slots of a pool.", "pool"),
    _airflow.gauge("pool_queued_slots", "1", "Slots of a pool taken by queued tasks.", "pool"),
    _airflow.gauge("pool_running_slots", "1", "Slots of a pool taken by running tasks.", "pool"),
    _airflow.gauge("pool_deferred_slots", "1", "Slots of a pool taken by deferred tasks.", "pool"),
    _airflow.gauge("pool_scheduled_slots", "1", "Slots of a pool for scheduled tasks.", "pool"),
    _airflow.gauge("pool_starving_tasks", "1", "Tasks of a pool that find no slot.", "pool"),
    _airflow.gauge("ti_scheduled", "1", "Scheduled tasks.", "dag_id", "task_id", "queue"),
    _airflow.gauge("ti_queued", "1", "Queued tasks.", "dag_id", "task_id", "queue"),
    _airflow.gauge("ti_running", "1", "Running tasks.", "dag_id", "task_id", "queue"),
    _airflow.gauge("ti_deferred", "1", "Deferred tasks.", "dag_id", "task_id", "queue"),
    _airflow.gauge("triggers_running", "1", "Triggers that a triggerer waits for."),
)

AIRFLOW_TIMERS: tuple[Metric, ...] = (
    _airflow.summary(
        "dagrun_duration_seconds", "seconds", "Time of DAG runs, by end.", "dag_id", state=_STATE
    ),
    _airflow.summary(
        "dagrun_schedule_delay_seconds", "seconds", "How late DAG runs start.", "dag_id"
    ),
    _airflow.summary(
        "dagrun_first_task_scheduling_delay_seconds",
        "seconds",
        "From a DAG run's due start to that of its first task.",
        "dag_id",
    ),
    _airflow.summary("task_duration_seconds", "seconds", "Time of tasks.", *_TASK),
    _airflow.summary("task_queued_duration_seconds", "seconds", "Time of tasks in queues.", *_TASK),
    _airflow.summary(
        "task_scheduled_duration_seconds", "seconds", "Time from scheduled to queued.", *_TASK
    ),
    _airflow.summary(
        "scheduler_scheduler_loop_duration_seconds", "seconds", "One round of the scheduler."
    ),
    _airflow.summary(
        "scheduler_critical_section_duration_seconds", "seconds", "The scheduler's locked part."
    ),
)

MONITORS: tuple[Metric, ...] = (
    _own.gauge("up", "1", "1 while Prometheus reaches a target.", "job", "instance"),
    _own.gauge("ALERTS", "1", "Alerts pending or firing.", "alertname", "alertstate", "severity"),
    _own.gauge("scrape_duration_seconds", "seconds", "Time of the last scrape.", "job", "instance"),
    _own.gauge("scrape_samples_scraped", "1", "Samples of the last scrape.", "job", "instance"),
    _own.gauge("process_resident_memory_bytes", "bytes", "Memory of the exporter."),
    _own.gauge("process_virtual_memory_bytes", "bytes", "Address space of the exporter."),
    _own.counter("process_cpu_seconds_total", "seconds", "Processor time of the exporter."),
    _own.gauge("process_start_time_seconds", "seconds", "When the exporter was started."),
    _own.gauge("process_open_fds", "1", "Files that the exporter has open."),
    _own.gauge("process_max_fds", "1", "Files that the exporter may have open."),
    _own.gauge(
        "prometheus_tsdb_storage_blocks_bytes", "bytes", "Size of Prometheus' blocks.", "instance"
    ),
    _own.gauge("prometheus_tsdb_head_series", "1", "Series in memory.", "instance"),
    _own.counter(
        "prometheus_rule_evaluation_failures_total", "1", "Rules that failed.", "instance"
    ),
    _own.counter(
        "prometheus_notifications_dropped_total", "1", "Alerts not handed on.", "instance"
    ),
    _own.counter(
        "alertmanager_notifications_failed_total", "1", "Notices that failed.", "integration"
    ),
    _own.counter("alertmanager_notifications_total", "1", "Notices sent.", "integration"),
)

FOREIGN = (
    *AIRFLOW_COUNTERS,
    *AIRFLOW_DERIVED,
    *AIRFLOW_GAUGES,
    *AIRFLOW_TIMERS,
    *MONITORS,
)
