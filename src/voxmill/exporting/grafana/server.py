"""A Grafana server, through grafana-client; every failure becomes an error of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast

from voxmill.exporting.grafana.errors import (
    GrafanaBroken,
    GrafanaNotFound,
    GrafanaSilent,
    class_for,
)
from voxmill.exporting.grafana.settings import GrafanaSettings

Json = dict[str, Any]
_T = TypeVar("_T", dict[str, Any], list[Any])
_PAGE = 1000  # dashboards to a page of a search; the API's own default
_LONGEST_REMARK = 300


class Server:
    """Asks and tells; knows nothing of what voxmill wants there."""

    def __init__(self, settings: GrafanaSettings, *, timeout_seconds: float = 10.0) -> None:
        """Connects to nothing yet.

        Args:
            settings: Address and token.
            timeout_seconds: How long to wait for each answer.
        """
        from grafana_client.api import GrafanaApi

        self.url = settings.url
        # Without the slash a path such as /grafana would melt into the API's: /grafanaapi.
        self._api = GrafanaApi.from_url(
            f"{settings.url}/", credential=settings.token, timeout=timeout_seconds
        )

    def version(self) -> str:
        """Of the server: `11.6.0`."""
        answer = self._ask("its health", lambda: self._api.client.GET("/health"), dict)
        return str(answer.get("version", "unknown"))

    def folder(self, uid: str) -> Json | None:
        """A folder, or None."""
        return self._find(f"folder {uid}", lambda: self._api.folder.get_folder(uid))

    def folders(self) -> list[Json]:
        """All folders at the top."""
        return self._ask("its folders", self._api.folder.get_all_folders, list)

    def make_folder(self, uid: str, title: str) -> None:
        """Makes a folder."""
        self._ask(
            f"making folder {title}", lambda: self._api.folder.create_folder(title, uid), dict
        )

    def dashboard(self, uid: str) -> Json | None:
        """A dashboard with its `meta`, or None."""
        return self._find(f"dashboard {uid}", lambda: self._api.dashboard.get_dashboard(uid))

    def last_message(self, uid: str) -> str:
        """What was said when a dashboard was last saved."""
        answer = self._ask_any(
            f"versions of dashboard {uid}",
            lambda: self._api.dashboard_versions.get_dashboard_versions(dashboard_uid=uid),
        )
        found = answer.get("versions") if isinstance(answer, dict) else answer
        if not isinstance(found, list) or not found:
            return ""
        newest = max(found, key=lambda version: int(version.get("version", 0)))
        return str(newest.get("message") or "")

    def save_dashboard(self, model: Json, *, folder: str, message: str, overwrite: bool) -> None:
        """Saves a dashboard.

        Args:
            model: As Grafana has it; its `version` is the one that it replaces.
            folder: Uid of the folder.
            message: For the list of versions.
            overwrite: Whether a version that came in between may go.
        """
        order = {"dashboard": model, "folderUid": folder, "message": message}
        self._ask(
            f"saving dashboard {model['title']}",
            lambda: self._api.dashboard.update_dashboard({**order, "overwrite": overwrite}),
            dict,
        )

    def dashboards(self) -> list[Json]:
        """What a search tells of every dashboard: uid, title, folder."""
        found: list[Json] = []
        for page in count(1):
            batch = self._ask("its dashboards", partial(self._search, page), list)
            found += batch
            if len(batch) < _PAGE:
                break
        return found

    def _search(self, page: int) -> Any:
        return self._api.search.search_dashboards(type_="dash-db", limit=_PAGE, page=page)

    def datasource(self, uid: str) -> Json | None:
        """A datasource, or None."""
        return self._find(
            f"datasource {uid}", lambda: self._api.datasource.get_datasource_by_uid(uid)
        )

    def datasources(self) -> list[Json]:
        """All datasources, without their secrets."""
        return self._ask("its datasources", self._api.datasource.list_datasources, list)

    def make_datasource(self, wanted: Mapping[str, Any]) -> None:
        """Makes a datasource."""
        self._ask(
            f"making datasource {wanted['name']}",
            lambda: self._api.datasource.create_datasource(dict(wanted)),
            dict,
        )

    def change_datasource(self, wanted: Mapping[str, Any]) -> None:
        """Changes a datasource."""
        self._ask(
            f"changing datasource {wanted['name']}",
            lambda: self._api.datasource.update_datasource_by_uid(wanted["uid"], dict(wanted)),
            dict,
        )

    def contact_points(self) -> list[Json]:
        """All contact points of its alerting, secrets redacted."""
        points = self._api.alertingprovisioning
        return self._ask("its contact points", points.get_contactpoints, list)

    def make_contact_point(self, wanted: Mapping[str, Any]) -> None:
        """Makes a contact point that people can still edit in Grafana."""
        points = self._api.alertingprovisioning
        self._ask(
            f"making contact point {wanted['name']}",
            lambda: points.create_contactpoint(dict(wanted), disable_provenance=True),
            dict,
        )

    def change_contact_point(self, wanted: Mapping[str, Any]) -> None:
        """Changes a contact point."""
        points = self._api.alertingprovisioning
        self._ask(
            f"changing contact point {wanted['name']}",
            lambda: points.update_contactpoint(
                wanted["uid"], dict(wanted), disable_provenance=True
            ),
            dict,
        )

    def _find(self, request: str, call: Callable[[], object]) -> Json | None:
        try:
            return self._ask(request, call, dict)
        except GrafanaNotFound as error:
            if error.answered:
                return None
            raise

    def _ask(self, request: str, call: Callable[[], object], kind: type[_T]) -> _T:
        answer = self._ask_any(request, call)
        if not isinstance(answer, kind):
            said = f"expected a JSON {kind.__name__}, found {type(answer).__name__}"
            raise GrafanaBroken(server=self.url, request=request, said=said)
        return answer

    def _ask_any(self, request: str, call: Callable[[], object]) -> Any:
        from grafana_client.client import GrafanaException
        from niquests.exceptions import JSONDecodeError, RequestException

        try:
            return call()
        except GrafanaException as error:
            if not error.status_code:
                raise self._silent(request, error) from error
            raise class_for(int(error.status_code))(
                server=self.url,
                request=request,
                said=_said(error.status_code, error.response),
                answered=isinstance(error.response, dict),
            ) from error
        except JSONDecodeError as error:
            raise GrafanaBroken(
                server=self.url, request=request, said="the answer is no JSON"
            ) from error
        except RequestException as error:
            raise self._silent(request, error) from error

    def _silent(self, request: str, error: Exception) -> GrafanaSilent:
        said = " ".join(str(error).split())[:_LONGEST_REMARK] or type(error).__name__
        return GrafanaSilent(server=self.url, request=request, said=said)


def _said(status: int, response: object) -> str:
    if isinstance(response, dict) and "message" in response:
        text = str(cast("dict[str, object]", response)["message"])
    else:
        text = str(response)
    return f"{status}: {' '.join(text.split())[:_LONGEST_REMARK]}"
