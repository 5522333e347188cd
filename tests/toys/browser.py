"""A headless Chromium that works in Airflow as a person does, and keeps a picture of each step.

with running_browser(folder) as page:
    log_in(page, server.url, "admin", password)
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCREENSHOTS_VARIABLE = "VOXMILL_SCREENSHOTS"
"""Folder that the pictures go to; by default the test's own."""
WIDTH, HEIGHT = 1440, 1000
PATIENCE_MS = 30_000
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Album:
    """Pictures of a page, numbered in the order in which they were taken."""

    page: Page
    folder: Path
    taken: list[Path] = field(default_factory=list)

    def shoot(self, name: str, *, whole: bool = False) -> Path:
        """A picture of what is to be seen; of the whole page where `whole`."""
        path = self.folder / f"{len(self.taken) + 1:02d}-{name}.png"
        self.page.screenshot(path=path, full_page=whole, animations="disabled")
        self.taken.append(path)
        return path


def chromium() -> str:
    """The machine's Chromium; a missing one is a failure in CI and a skip elsewhere."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    message = "no Chromium on PATH: install the package chromium"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
    return ""


@contextmanager
def running_browser(folder: Path) -> Iterator[Album]:
    """A fresh browser without cookies, with one page, and an album for it.

    Args:
        folder: Where pictures go, unless `VOXMILL_SCREENSHOTS` names another place.
    """
    from playwright.sync_api import sync_playwright

    place = Path(os.environ.get(SCREENSHOTS_VARIABLE) or folder)
    place.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        try:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB")
            page.set_default_timeout(PATIENCE_MS)
            yield Album(page, place)
        finally:
            browser.close()


def log_in(page: Page, url: str, user: str, password: str) -> None:
    """Logs in where Airflow asks for it; the page is then the one that was asked for.

    Args:
        page: A page without cookies.
        url: Any page of the server.
        user: Name of the login.
        password: Its password.
    """
    page.goto(url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()
    page.wait_for_url(lambda now: "/auth/login" not in now)
