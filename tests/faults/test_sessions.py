"""Many sessions over real websockets, each with its own click: every picture is the right one."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from core.diffusion.models.load import describe
from core.diffusion.settings import GenerationSettings
from tests.browser.conftest import Server, serve
from tests.faults.campaign import counted, tries

SESSIONS = tries(4, 64)
CLICKS = tries(2, 5)
PATIENCE = 600
QUICK = {"num_inference_steps": 2, "width": 64, "height": 64, "scheduler": "DDIM"}

pytestmark = pytest.mark.timeout(3600)


RERUNS = tries(40, 1000)
PAGES = ("", "Generate", "Sweep", "Gallery", "Latents")
MOST_GROWTH = 48 * 2**20
"""Bytes that a server may gain over its reruns: caches with bounds of their own fill up."""


async def button_of(session: ClientConnection, key: str) -> str:
    """The id of a button, from what the script sends until it ends."""
    found = ""
    while True:
        message = ForwardMsg()
        message.ParseFromString(await session.recv())  # type: ignore[arg-type]
        element = message.delta.new_element
        if element.WhichOneof("type") == "button" and key in element.button.id:
            found = element.button.id
        if message.WhichOneof("type") == "script_finished" and found:
            return found


def dialled(server: Server) -> connect:
    """A session's websocket, as a browser on this machine opens it."""
    return connect(
        server.url.replace("http://", "ws://") + "/_stcore/stream",
        subprotocols=[Subprotocol("streamlit")],
        max_size=None,
        origin=server.url,  # type: ignore[arg-type]
    )


async def rerun(session: ClientConnection, page: str) -> None:
    """Have the page's script run once, and read all that it sends."""
    asked = BackMsg()
    asked.rerun_script.query_string = ""
    asked.rerun_script.page_name = page
    await session.send(asked.SerializeToString())
    message = ForwardMsg()
    while message.WhichOneof("type") != "script_finished":
        message.ParseFromString(await session.recv())  # type: ignore[arg-type]


async def rerun_all(server: Server, count: int) -> None:
    async with dialled(server) as session:
        for number in range(count):
            page = PAGES[number % len(PAGES)]
            await asyncio.wait_for(rerun(session, page), PATIENCE)


def memory_of(server: Server) -> int:
    """Bytes of the server's process that are in memory."""
    port = server.url.rsplit(":", 1)[1]
    (process,) = (one for one in psutil.Process().children() if port in one.cmdline())
    return process.memory_info().rss


async def click(server: Server, seed: int) -> None:
    """Open Generate with these settings, click Generate, and go away before it is done."""
    query = urlencode({f"generate_{name}": value for name, value in QUICK.items()})
    query += f"&generate_prompt=a+red+apple&generate_seed={seed}"
    async with dialled(server) as session:
        opened = BackMsg()
        opened.rerun_script.query_string = query
        opened.rerun_script.page_name = "Generate"
        await session.send(opened.SerializeToString())
        button = await asyncio.wait_for(button_of(session, "generate:go"), PATIENCE)
        clicked = BackMsg()
        clicked.rerun_script.query_string = query
        clicked.rerun_script.page_name = "Generate"
        state = clicked.rerun_script.widget_states.widgets.add()
        state.id, state.trigger_value = button, True
        await session.send(clicked.SerializeToString())
        await asyncio.wait_for(button_of(session, "generate:go"), PATIENCE)


async def click_all(server: Server) -> None:
    async def clicks(first: int) -> None:
        for number in range(CLICKS):
            await click(server, first + number)

    await asyncio.gather(*(clicks(1000 * session) for session in range(SESSIONS)))


@pytest.mark.skipif(os.name == "nt", reason="the server is ended by a signal")
def test_every_session_gets_its_own_pictures(tmp_path: Path) -> None:
    seeds = [1000 * session + number for session in range(SESSIONS) for number in range(CLICKS)]
    with (
        counted("clicks of concurrent sessions") as count,
        serve(tmp_path / "data", tmp_path / "server.log") as server,
        count.one(len(seeds)),
    ):
        with ThreadPoolExecutor(1) as thread:  # a browser's tests have a loop in this one
            thread.submit(lambda: asyncio.run(click_all(server))).result()
        jobs = server.queue.jobs(limit=1000)
        assert len(jobs) == len(seeds), "a job a click"
        for job in jobs:
            for now in server.queue.follow(job.id):
                assert now.state != "failed", now.error
        info = describe("bundled")
        base = GenerationSettings.from_dict(
            QUICK | {"prompt": "a red apple", "guidance_scale": info.default_guidance_scale}
        )
        for seed in seeds:
            one = replace(base, seed=seed)
            image = server.store.get(one.digest(info.fingerprint))
            assert image is not None, seed
            assert image.settings == one
        assert server.store.count() == len(seeds), "nothing else"
        assert "Traceback" not in server.log.read_text()


@pytest.mark.skipif(os.name == "nt", reason="the server is ended by a signal")
def test_reruns_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A class leaves its pages open all day. What the first rounds load is not counted."""
    with (
        counted("reruns with flat memory") as count,
        serve(tmp_path / "data", tmp_path / "server.log") as server,
        count.one(RERUNS),
        ThreadPoolExecutor(1) as thread,
    ):
        wanted = [GenerationSettings(**QUICK, prompt="a red apple", seed=seed) for seed in range(4)]
        thread.submit(lambda: asyncio.run(rerun_all(server, 2 * len(PAGES)))).result()
        job_id = server.queue.submit(wanted, owner="test", token="memory")
        assert [now.state for now in server.queue.follow(job_id)][-1] == "done"
        thread.submit(lambda: asyncio.run(rerun_all(server, 4 * len(PAGES)))).result()
        before = memory_of(server)
        thread.submit(lambda: asyncio.run(rerun_all(server, RERUNS))).result()
        grown = memory_of(server) - before
        assert grown < MOST_GROWTH, f"{grown / 2**20:.0f} MB over {RERUNS} reruns"
        assert "Traceback" not in server.log.read_text()
