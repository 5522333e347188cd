"""Airflow for one checkout: its four components, kept alive until somebody ends them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from voxmill.errors import EngineMissing, UsageError
from voxmill.launchers.gpus import gpus_here
from voxmill.launchers.processes import ProcessId
from voxmill.orchestration import airflow_home
from voxmill.orchestration.airflow_api import AirflowApi
from voxmill.orchestration.server_component import (
    COMMANDS,
    GRACE_SECONDS,
    SCHEDULER,
    Component,
    end_component,
)
from voxmill.orchestration.server_keys import keep_keys, keep_passwords
from voxmill.orchestration.server_record import (
    read_record,
    sole_keeper,
    write_record,
)
from voxmill.orchestration.server_settings import ADMIN, DATABASE_VARIABLE, HOST, ServerOptions
from voxmill.orchestration.server_settings import environment as server_environment

GPU_POOL = "gpu"
"""Pool of tasks that need a GPU; as many slots as there are GPUs, at least one."""
READY_SECONDS = 120.0
TICK_SECONDS = 0.5
_HEALTHY = "healthy"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last where a terminal is closed
_LAST_LINES = 15
_MIGRATE = "import sys, pathlib; from voxmill.orchestration import airflow_home as home; "
_MIGRATE += "home.migrate(pathlib.Path(sys.argv[1]))"


class Server:
    """Starts the components, says when they are ready, starts again who dies, ends all.

    Args:
        options: What is wanted of it.
        environ: The environment that the components get beside their own settings.
        say: Takes a line for the terminal.
    """

    def __init__(
        self, options: ServerOptions, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._outer = environ
        self._say = say
        self._components: dict[str, Component] = {}
        self._asked_to_end = False

    def keep(self, on_ready: Callable[[dict[str, str]], None]) -> None:
        """Runs until SIGINT or SIGTERM; nothing of it is left then, but jobs that run.

        Args:
            on_ready: Called once, with the passwords by login, when everything can be triggered.

        Raises:
            UsageError: Another command keeps this home's server, or the port is taken.
            EngineMissing: The database cannot be reached, or a component does not come up.
        """
        home = self._options.home
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
        with sole_keeper(home), self._signals_heard():
            self._end_leftovers()
            require_port(self._options.port)
            passwords = keep_passwords(home, self._options.users)
            environ = server_environment(self._options, keep_keys(home), self._outer)
            try:
                self._migrate(environ)
                # The scheduler comes last: a task that waits for it would start at once, find no
                # API server, and use up one of its retries.
                self._start(environ, *(name for name in COMMANDS if name != SCHEDULER))
                api = AirflowApi(self._options.url, ADMIN, passwords[ADMIN])
                if self._wait_until(lambda: "" if _answers(api) else "api-server"):
                    self._start(environ, SCHEDULER)
                wanted = recipes_of(self._options.project)
                if self._wait_until(lambda: _missing(api, wanted)):
                    _make_gpu_pool(api)
                    on_ready(passwords)
                    self._say_import_errors(api)
                self._watch()
            finally:
                self._end()

    def _end_leftovers(self) -> None:
        record = read_record(self._options.home)
        if record is not None and record.living:
            self._say(f"Ending what an earlier server left: {', '.join(record.living)}")
            end_components(record.components)

    def _migrate(self, environ: Mapping[str, str]) -> None:
        if not self._options.database and airflow_home.is_migrated(self._options.home):
            return
        self._say("Preparing the database")
        done = subprocess.run(
            [sys.executable, "-c", _MIGRATE, str(self._options.home)],
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and not self._asked_to_end:
            end = "\n".join((done.stdout + done.stderr).splitlines()[-_LAST_LINES:])
            raise EngineMissing(
                f"Airflow's database cannot be prepared. Look at {DATABASE_VARIABLE}, or unset it "
                f"for SQLite in {self._options.home}. Airflow said:\n{end}"
            )

    def _start(self, environ: Mapping[str, str], *names: str) -> None:
        logs = self._options.home / "logs" / "components"
        for name in names:
            if not self._asked_to_end:
                component = Component(name, COMMANDS[name], environ, logs / f"{name}.log")
                component.start()
                self._components[name] = component
                self._record()

    def _record(self) -> None:
        leaders = {name: one.leader for name, one in self._components.items()}
        known = {name: leader for name, leader in leaders.items() if leader is not None}
        write_record(self._options.home, self._options.url, known)

    def _wait_until(self, missing: Callable[[], str]) -> bool:
        """True once nothing is missing; False when asked to end."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._asked_to_end:
            self._refuse_dead()
            what = missing()
            if not what:
                return True
            if time.monotonic() > deadline:
                raise EngineMissing(
                    f"Airflow is not ready after {READY_SECONDS:.0f} s: {what} is missing. "
                    f"Look at the logs in {self._options.home / 'logs' / 'components'}."
                )
            time.sleep(TICK_SECONDS)
        return False

    def _say_import_errors(self, api: AirflowApi) -> None:
        for file, trace in api.import_errors().items():
            self._say(f"{file} cannot be read by Airflow, so its DAGs are missing:\n{trace}")

    def _refuse_dead(self) -> None:
        for name, component in self._components.items():
            if component.ended() is not None:
                raise EngineMissing(
                    f"Airflow's {name} ended at once with exit code {component.ended()}. The end "
                    f"of {component.log}:\n{component.last_lines(_LAST_LINES)}"
                )

    def _watch(self) -> None:
        while not self._asked_to_end:
            for name, component in self._components.items():
                component.pass_trouble_on(self._say)
                if component.ended() is not None:
                    self._bring_back(name, component)
            time.sleep(TICK_SECONDS)

    def _bring_back(self, name: str, component: Component) -> None:
        starts, code = component.starts, component.ended()
        pause_seconds = component.start_again()
        if pause_seconds is not None:
            self._say(f"{name} ended with exit code {code}; it comes back in {pause_seconds:.0f} s")
        elif component.starts > starts:
            self._record()

    def _end(self) -> None:
        leaders = {name: one.leader for name, one in self._components.items()}
        end_components({name: leader for name, leader in leaders.items() if leader is not None})
        for component in self._components.values():
            component.reap()

    @contextmanager
    def _signals_heard(self) -> Iterator[None]:
        def hear(_number: int, _frame: FrameType | None) -> None:
            self._asked_to_end = True

        before = {each: signal.signal(each, hear) for each in _ENDING}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def stop(home: Path) -> bool:
    """Ends the home's server, whoever keeps it; says whether there was one.

    Args:
        home: Folder of the server.
    """
    record = read_record(home)
    if record is None or not (record.keeper.alive or record.living):
        return False
    record.keeper.signal(signal.SIGTERM)
    deadline = time.monotonic() + 2 * GRACE_SECONDS
    while record.keeper.alive and time.monotonic() < deadline:
        time.sleep(TICK_SECONDS)
    record.keeper.signal(signal.SIGKILL)
    end_components((read_record(home) or record).components)
    return True


def end_components(leaders: Mapping[str, ProcessId]) -> None:
    """Ends components side by side, each with all that it started."""
    with ThreadPoolExecutor(max_workers=len(COMMANDS)) as pool:
        for name, leader in leaders.items():
            pool.submit(end_component, name, leader, grace_seconds=GRACE_SECONDS)


def require_port(port: int) -> None:
    """Lets a server start only where it can listen.

    Raises:
        UsageError: Somebody else does, or the port is not ours to take.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} of {HOST} cannot be had: {error.strerror}{_listener(port)}. End "
                f"whoever has it, or take another port: voxmill airflow --port {port + 1} "
                f"(make airflow PORT={port + 1})."
            ) from error


def recipes_of(project: Path) -> frozenset[str]:
    """The DAGs that a checkout should have: its recipes in pipeline.json.

    Raises:
        UsageError: There is no pipeline.json.
    """
    try:
        found = json.loads((project / "pipeline.json").read_bytes())
        return frozenset(found["recipes"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"{project / 'pipeline.json'} cannot be read ({error!r}), so there are no DAGs. Write "
            f"it with `make graph`."
        ) from error


def _answers(api: AirflowApi) -> bool:
    try:
        api.health()
    except EngineMissing:
        return False
    return True


def _missing(api: AirflowApi, wanted: frozenset[str]) -> str:
    """What is not there yet; empty where everything can be triggered, or never will."""
    ill = [name for name, status in api.health().items() if status != _HEALTHY]
    if ill:
        return ", ".join(ill)
    absent = wanted - set(api.dags())
    return f"DAG {', '.join(sorted(absent))}" if absent and not api.import_errors() else ""


def _make_gpu_pool(api: AirflowApi) -> None:
    there = "Tasks that need a GPU; one slot for each."
    api.make_pool(GPU_POOL, max(1, gpus_here()), there)


def _listener(port: int) -> str:
    """Who listens there, as far as this user may see; empty otherwise."""
    import psutil

    try:
        for one in psutil.net_connections(kind="tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid:
                name = psutil.Process(one.pid).name()
                return f", by process {one.pid} ({name})"
    except (psutil.Error, OSError):
        pass
    return ""
