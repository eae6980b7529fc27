"""A page in the real Chromium, and what it did that no page of ours may do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.visualize.conftest import MERMAID, missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Scheme = Literal["light", "dark"]
WIDE, NARROW = (1440, 900), (400, 800)


@contextmanager
def chromium() -> Generator[Browser]:
    """Start the browser of this machine."""
    program = shutil.which("chromium")
    if program is None:
        missing("the program chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the package playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield browser
        browser.close()


def axe_script() -> str:
    """Return the source of axe-core."""
    file = MERMAID / "node_modules" / "axe-core" / "axe.min.js"
    if not file.is_file():
        missing("the npm package axe-core (npm install --prefix tests/visualize/mermaid)")
    return file.read_text(encoding="utf-8")


class Opened:
    """A page that is open. said: on the console, and errors. asked: what it tried to load. dialogs: that it opened.

    work: of its scripts, if that is counted.
    """

    def __init__(self, page: Page, *, counted: bool = False) -> None:
        self.page = page
        self.work = Work(page) if counted else None
        self.said: list[str] = []
        self.asked: list[str] = []
        self.dialogs: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", self._request)
        page.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)

    def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def text(self, selector: str) -> str:
        """Return the text of the first element that fits."""
        return self.page.locator(selector).first.text_content() or ""

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def faults(self) -> list[str]:
        """Return what axe-core finds wrong, each with the elements."""
        self.page.evaluate(axe_script())
        rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found: list[dict[str, Any]] = self.page.evaluate(
            "async (rules) => (await axe.run(document, { runOnly: rules })).violations", rules
        )
        return [f"{one['id']}: {json.dumps([node['html'][:200] for node in one['nodes'][:3]])}" for one in found]

    def assert_quiet(self) -> None:
        """It has loaded nothing, complained of nothing, and carried out nothing that it was not to."""
        assert self.said == []
        assert self.dialogs == []
        assert [url for url in self.asked if not url.startswith("file:")] == []
        assert len(self.asked) == 1


class Work:
    """What the scripts of a page do, counted by the browser: unlike seconds, the same beside any other work."""

    def __init__(self, page: Page) -> None:
        """Begin to count: from now on, so that what a page does while it opens counts if it is not open yet."""
        self._session: Any = page.context.new_cdp_session(page)  # its messages are of no type
        self._session.send("Profiler.enable")
        self._session.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": True})

    def done(self) -> int:
        """Return how often the parts of the scripts were gone through since the last time, loops once a round."""
        found: dict[str, Any] = self._session.send("Profiler.takePreciseCoverage")
        scripts = [script for script in found["result"] if script["url"].startswith("file:")]
        functions = [function for script in scripts for function in script["functions"]]
        return sum(part["count"] for function in functions for part in function["ranges"])


class Chromium:
    """The browser, and a folder for pages."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.folder = folder
        self.count = 0

    @contextmanager
    def open(
        self,
        text: str,
        anchor: str = "",
        *,
        scheme: Scheme = "light",
        size: tuple[int, int] = WIDE,
        counted: bool = False,
    ) -> Generator[Opened]:
        """Open a page from its file, as a reader would. counted: count the work of its scripts, which slows them."""
        self.count += 1
        file = self.folder / f"page_{self.count}.html"
        file.write_text(text, encoding="utf-8")
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
        )
        try:
            opened = Opened(context.new_page(), counted=counted)
            opened.page.goto(f"{file.as_uri()}{anchor}")
            yield opened
            opened.assert_quiet()
        finally:
            context.close()
            file.unlink()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """For one module: as long as it is there this thread has a loop of its own, in which no other can be run."""
    with chromium() as started:
        yield Chromium(started, tmp_path_factory.mktemp("pages"))
