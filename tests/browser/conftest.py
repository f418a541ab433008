"""The app as a person has it: a server of its own, the bundled model, a real Chromium."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as NotInTime

from core.diffusion.settings import GenerationSettings
from core.runs.queue.queue import Job, Queue
from core.runs.store.store import Store
from tests.serving import served, wait_until

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "artefacts"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 150_000  # milliseconds: a busy machine is slow, not wrong
expect.set_options(timeout=PATIENCE)


@dataclasses.dataclass(eq=False)
class Server:
    """A running app; `store` and `queue` read its folder from this process."""

    url: str
    store: Store
    queue: Queue
    log: Path

    def newest_job(self) -> Job:
        return self.queue.jobs(limit=1)[0]

    def newest_id(self) -> str:
        """The id of the job that was submitted last; "" where there is none."""
        return next((job.id for job in self.queue.jobs(limit=1)), "")

    def asked(self) -> list[GenerationSettings]:
        return [cell.settings for cell in self.queue.cells(self.newest_job().id)]


@contextmanager
def serve(folder: Path, log: Path) -> Iterator[Server]:
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    with served(
        [*command, "--server.headless", "true"],
        port_option="--server.port",
        cwd=ROOT,
        log=log,
        LIGHTBOX_DATA=str(folder),
        LIGHTBOX_MODELS=str(folder / "models"),  # where a test may put what it needs
        OMP_NUM_THREADS="1",  # the browser draws on the other core
    ) as url:
        store = Store(folder)
        yield Server(url=url, store=store, queue=Queue(store), log=log)


def wait_for_value(read: Callable[[], object], expected: object, seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while (found := read()) != expected:
        assert time.monotonic() < deadline, f"still {found!r}, not {expected!r}"
        time.sleep(0.05)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if found is None:
        message = "no Chromium on this machine: apt install chromium, or use Google Chrome"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Server]:
    ARTEFACTS.mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("lightbox")
    with serve(folder / "data", folder / "server.log") as running:
        yield running
        shutil.copy(running.log, ARTEFACTS / "server.log")
        assert "Traceback" not in running.log.read_text()


@dataclasses.dataclass(eq=False)
class Visitor:
    """One person with one browser. Everything the console complained of is kept."""

    chromium: Browser
    url: str
    complaints: list[str] = dataclasses.field(default_factory=list)
    _contexts: list[Any] = dataclasses.field(default_factory=list)

    def open(self, path: str = "/", *, width: int = 1360, height: int = 900, **look: Any) -> Page:
        context = self.chromium.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **look
        )
        context.set_default_timeout(PATIENCE)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", self._see)
        page.goto(self.url + path)
        page.locator("h1").first.wait_for()  # before its script begins, nothing runs either
        settle(page)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        address = str(message.location.get("url", ""))
        # Streamlit's own page looks for its server under a deep link's path before the root.
        is_probe = address.count("/") > 4 and address.endswith(
            ("/_stcore/health", "/_stcore/host-config")
        )
        if message.type in ("error", "warning") and not is_probe:
            self.complaints.append(f"{message.type}: {message.text} ({address})")

    def _see(self, request: Request) -> None:
        own = (self.url, self.url.replace("http", "ws"), "data:", "blob:")
        if not request.url.startswith(own):
            self.complaints.append(f"a request to another host: {request.url}")


@pytest.fixture
def visitor(chromium: Browser, server: Server) -> Iterator[Visitor]:
    one = Visitor(chromium, server.url)
    yield one
    one.close()
    assert not one.complaints


def settle(page: Page) -> None:
    """Until the script has run, nothing is a placeholder, and every picture is there."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function(
        "!document.querySelector('[data-testid=stSkeleton]')"
        " && [...document.images].every(image => image.complete)"
    )


def choose(page: Page, label: str, option: str) -> None:
    """Take one option of the first list of this label, which draws only the options in its view;
    a list that a rerun shut is opened again.
    """
    listed = page.get_by_role("option", name=option, exact=True)

    def opens() -> bool:
        settle(page)
        page.get_by_label(label).first.click()
        page.keyboard.type(option)
        with suppress(NotInTime):
            listed.click(timeout=3000)
            return True
        return False

    wait_until(opens, f"the option {option}")


def generate(page: Page) -> None:
    page.get_by_role("button", name="Generate").click()


def prompt_box(page: Page) -> Any:
    return page.get_by_label("Prompt", exact=True)
