"""Airflow's pages as a person uses them: the trigger form, a run, a question.

Names of fields and buttons are those of Airflow 3.3; only this file knows them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from voxmill.orchestration.airflow_answers import RequiredAction

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SETTLE_MS = 1000
"""For what moves in: folds, tables, messages."""


class AirflowPage:
    """Somebody in front of Airflow.

    Args:
        page: The browser's page, logged in.
        url: Of the server.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    @property
    def form(self) -> Locator:
        """The trigger form, open."""
        return self.page.locator("[role=dialog][data-state=open][data-scope=dialog]")

    def settle(self) -> None:
        """Waits for what moves."""
        self.page.wait_for_timeout(SETTLE_MS)

    def wait_until_drawn(self, text: str) -> None:
        """Waits until the page shows a text."""
        self.page.get_by_text(text, exact=True).first.wait_for()
        self.settle()

    def read_docs(self) -> str:
        """What a DAG's page says about the DAG."""
        self.page.get_by_role("button", name="Dag Docs").click()
        docs = self.page.locator("[role=dialog][data-state=open]").filter(has_text="Documentation")
        docs.get_by_role("table").first.wait_for()
        self.settle()
        return docs.inner_text()

    def open_form(self) -> None:
        """Clicks Trigger on a DAG's page."""
        self.page.get_by_role("button", name="Trigger").first.click()
        self.form.get_by_role("button", name="Trigger").wait_for()
        self.settle()

    def sections(self) -> list[str]:
        """The form's groups from the top."""
        found = self.form.locator("[data-scope=accordion][data-part=item-trigger]")
        return [text.strip() for text in found.all_inner_texts()]

    def unfold(self, section: str) -> None:
        """Opens a group of the form, which closes the others; leaves an open one open."""
        button = self.form.get_by_role("button", name=section, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
            self.settle()

    def field(self, key: str) -> Locator:
        """The field of a key such as `train.epochs`."""
        return self.form.locator(f'[name="element_{key}"]')

    def fill(self, values: Mapping[str, object]) -> None:
        """Fills fields in, group by group."""
        for section in dict.fromkeys(key.split(".")[0] for key in values):
            self.unfold(section)
            for key, value in values.items():
                if key.startswith(f"{section}."):
                    self.field(key).fill(str(value))
                    self.field(key).blur()

    def press_trigger(self) -> None:
        """Sends the form."""
        self.form.get_by_role("button", name="Trigger").click()

    def refusal(self) -> str:
        """Why the form was refused, scrolled into sight."""
        reason = self.form.get_by_text(re.compile("Invalid input")).first
        reason.wait_for()
        reason.scroll_into_view_if_needed()
        self.settle()
        return reason.inner_text()

    def submit(self) -> str:
        """Sends the form; gives the id of the run whose page opens."""
        self.press_trigger()
        self.page.wait_for_url(re.compile("/runs/"))
        self.settle()
        return unquote(self.page.url.split("/runs/")[1].split("/")[0].split("?")[0])

    def open_run(self, dag: str, run: str) -> None:
        """A run's page, with the grid beside it."""
        self.page.goto(f"{self.url}/dags/{dag}/runs/{quote(run, safe='')}")
        self.wait_until_drawn("Release")

    def open_graph(self) -> None:
        """Draws the tasks and what they wait for instead of the grid; Airflow remembers that."""
        self.page.get_by_role("button", name=re.compile("graph", re.IGNORECASE)).first.click()
        self.page.locator(".react-flow__node").first.wait_for()
        self.settle()

    def open_grid(self) -> None:
        """Draws the grid of runs and tasks again."""
        self.page.get_by_role("button", name=re.compile("grid", re.IGNORECASE)).first.click()
        self.wait_until_drawn("Release")

    def open_details(self, dag: str, run: str, task: str) -> None:
        """A task's details, with its links."""
        place = f"{self.url}/dags/{dag}/runs/{quote(run, safe='')}/tasks/{task}/details"
        self.page.goto(place)
        self.page.get_by_role("link", name="Report").wait_for()
        self.settle()

    def open_question(self, question: RequiredAction) -> None:
        """The page where a task's question is answered."""
        run = quote(question.run, safe="")
        place = f"{self.url}/dags/{question.dag}/runs/{run}/tasks/{question.task}/required_actions"
        self.page.goto(place)
        self.page.get_by_role("button", name=question.options[0]).wait_for()
        self.settle()

    def option(self, name: str) -> Locator:
        """The button of one answer."""
        return self.page.get_by_role("button", name=name, exact=True)

    def give_reason(self, reason: str) -> None:
        """Fills in the question's form."""
        self.page.locator("[name=element_reason]").fill(reason)
        self.page.locator("[name=element_reason]").blur()
        self.settle()
