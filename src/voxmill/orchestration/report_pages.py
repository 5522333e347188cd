"""The pages of runs and their stages, read-only, as a small web app for Airflow's API server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHttpError

from voxmill.errors import VoxmillError
from voxmill.orchestration import report_pages_html as html
from voxmill.orchestration.report_pages_files import (
    INDEX_FILE,
    Place,
    file_of,
    has_report,
    is_done,
    is_here,
    report_of,
    stage_entries,
)
from voxmill.runs.run import Run, RunRecord, slug

Guard = Callable[..., Any]
LOGIN = "/api/v2/auth/login"
RUNBOOK = "monitoring/runbook.md"
_HEADERS = {
    # A page of ours lies on the same origin as Airflow. Sandboxed, its scripts cannot act for the
    # user whose login it is, should a transcript ever find a hole.
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-popups allow-top-navigation-by-user-activation; "
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src 'self' data:; media-src 'self' data:"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
_SHOWN_AS_TEXT = frozenset({".json", ".jsonl", ".md", ".txt", ".yaml", ".csv", ".log"})
_SHOWN_AS_THEY_ARE = frozenset({".flac", ".mp3", ".ogg", ".png", ".jpg", ".wav"})


def make_app(place: Place, *, guard: Guard, recipe_guard: Guard) -> FastAPI:
    """The app, to be mounted.

    Args:
        place: Where the project and its runs lie.
        guard: FastAPI dependency that raises where a request may see nothing at all.
        recipe_guard: The same for one recipe, whose name it takes as `recipe`.
    """
    # No list of calls for those who are not logged in.
    app = FastAPI(title="voxmill", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(AnyHttpError, _refusal)
    app.add_exception_handler(VoxmillError, _misfortune)
    app.middleware("http")(_with_headers)
    _add_run_pages(app, place, [Depends(recipe_guard)])
    _add_runbook(app, place, [Depends(guard)])
    return app


def _add_run_pages(app: FastAPI, place: Place, guards: list[Any]) -> None:
    @app.get("/runs/{recipe}/{run}/", dependencies=guards)
    def run_page(request: Request, recipe: str, run: str) -> Response:
        if slug(run) != run:  # Airflow's own id of the run
            return RedirectResponse(f"{request.scope['root_path']}/runs/{recipe}/{slug(run)}/")
        found = _run(place, recipe, run)
        return HTMLResponse(html.run_page(found, stage_entries(found)))

    @app.get("/runs/{recipe}/{run}/airflow", dependencies=guards)
    def airflow_run(request: Request, recipe: str, run: str) -> Response:
        found = _run(place, recipe, run)
        own = RunRecord.read(found.folder).airflow_run_id
        if own is None:
            raise HTTPException(404, f"Run {found.name} was started by hand, not by Airflow.")
        url = f"{_base(request)}/dags/{recipe}/runs/{quote(own, safe='')}"
        return RedirectResponse(url)

    @app.get("/runs/{recipe}/{run}/{stage}/", dependencies=guards)
    def stage_page(recipe: str, run: str, stage: str) -> Response:
        found = _stage(place, recipe, run, stage)
        own = file_of(found, stage, INDEX_FILE)
        if own is not None:
            return FileResponse(own, media_type="text/html")
        return HTMLResponse(html.stage_page(found, stage, report_of(found, stage)))

    @app.get("/runs/{recipe}/{run}/{stage}/{path:path}", dependencies=guards)
    def stage_file(recipe: str, run: str, stage: str, path: str) -> Response:
        found = _stage(place, recipe, run, stage)
        file = file_of(found, stage, path)
        if file is None:
            raise HTTPException(404, f"Stage {stage} of {found.name} made no file {path!r}.")
        if file.suffix in _SHOWN_AS_TEXT:
            return FileResponse(file, media_type="text/plain; charset=utf-8")
        way = "inline" if file.suffix in _SHOWN_AS_THEY_ARE else "attachment"
        return FileResponse(file, filename=file.name, content_disposition_type=way)


def _add_runbook(app: FastAPI, place: Place, guards: list[Any]) -> None:
    @app.get("/runbook", dependencies=guards)
    def runbook() -> Response:
        file = place.project / RUNBOOK
        if not file.is_file():
            raise HTTPException(404, f"This checkout has no {RUNBOOK}.")
        return HTMLResponse(html.document_page("Runbook", file.read_text("utf-8")))


def _run(place: Place, recipe: str, run: str) -> Run:
    try:
        found = place.run(recipe, run)
    except LookupError as error:
        raise HTTPException(404, "There is no such run.") from error
    if not is_here(found):
        raise HTTPException(
            404,
            f"Run {found.name} is not on this machine: it has not been opened yet, or another "
            f"machine has it. Bring it here:\n"
            f"git fetch && git worktree add {found.name} {found.branch}\n"
            f"cd {found.name} && dvc pull --allow-missing",
        )
    return found


def _stage(place: Place, recipe: str, run: str, stage: str) -> Run:
    found = _run(place, recipe, run)
    if stage not in found.stages:
        raise HTTPException(404, f"Recipe {recipe} has no stage of that name.")
    if has_report(found, stage):
        return found
    if is_done(found, stage):
        raise HTTPException(
            404,
            f"Stage {stage} of {found.name} is done, but its files are not on this machine. "
            f"Bring them here:\ncd {found.folder}\ndvc pull {stage}@{recipe}",
        )
    raise HTTPException(
        404, f"Stage {stage} of {found.name} has not finished yet, so it has no report."
    )


def _base(request: Request) -> str:
    """Where Airflow itself lies: one above these pages."""
    root = str(request.scope["root_path"])
    return root[: root.rfind("/")]


async def _refusal(request: Request, error: Exception) -> Response:
    """An error as a page; whoever is not logged in and reads pages is sent to the login."""
    assert isinstance(error, AnyHttpError)  # noqa: S101 -- registered for nothing else
    wants_page = "text/html" in request.headers.get("accept", "")
    if error.status_code == 401 and wants_page:
        return RedirectResponse(
            f"{_base(request)}{LOGIN}?{urlencode({'next': str(request.url)})}", 303
        )
    page = html.message_page(error.status_code, str(error.detail))
    return HTMLResponse(page, status_code=error.status_code, headers=error.headers)


async def _misfortune(_request: Request, error: Exception) -> Response:
    """A run whose files are not as they should be: what `voxmill` would say."""
    return HTMLResponse(html.message_page(500, str(error)), status_code=500)


async def _with_headers(
    request: Request, follow: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await follow(request)
    response.headers.update(_HEADERS)
    return response
