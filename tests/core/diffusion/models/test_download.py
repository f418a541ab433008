"""Downloading from a hub made here: what is asked for, progress, Stop, and what goes wrong."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.diffusion.models import download
from core.diffusion.models.download import DownloadProgress, DownloadStoppedError, fetch
from core.diffusion.models.load import BUNDLED_FOLDER, ModelError, describe, list_models, load_model

COMMIT = "0123456789" * 4


class Hub:
    """A hub with one model, somebody/toy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.is_down = False

    def files(self) -> dict[str, Path]:
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in found}

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

            def answer(self, *, with_body: bool) -> None:
                if match := re.match(r"/api/models/somebody/toy(/revision/\w+)?(\?|$)", self.path):
                    siblings = [
                        {"rfilename": name, "size": path.stat().st_size}
                        for name, path in hub.files().items()
                    ]
                    content = {"id": "somebody/toy", "sha": COMMIT, "siblings": siblings}
                    return self.send(json.dumps(content).encode(), with_body)
                match = re.match(rf"/somebody/toy/resolve/{COMMIT}/(.+)", self.path)
                if match and match[1] in hub.files():
                    if with_body:
                        hub.asked.append(match[1])
                    return self.send(hub.files()[match[1]].read_bytes(), with_body)
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def send(self, data: bytes, with_body: bool) -> None:
                start = 0
                if asked := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")):
                    start = int(asked[1])
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if with_body:
                    self.wfile.write(data[start:])

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    found = Hub(shutil.copytree(BUNDLED_FOLDER, tmp_path / "toy"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), found.handler())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("LIGHTBOX_MODELS", raising=False)
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_hub_id_is_downloaded_and_loads(hub: Hub) -> None:
    (hub.folder / "unet" / "diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"x" * 999)
    (hub.folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (hub.folder / "pipeline.py").write_text("raise SystemExit")
    told: list[DownloadProgress] = []
    model = load_model("somebody/toy", device="cpu", report=told.append)
    assert model.info.fingerprint == describe("bundled").fingerprint
    assert model.info.revision == COMMIT
    assert list_models() == ["bundled", "somebody/toy", f"somebody/toy@{COMMIT[:12]}"]
    assert not {name for name in hub.asked if name.endswith((".py", ".bin", ".png"))}
    assert not {name for name in hub.asked if "non_ema" in name or name.startswith("clip/")}
    amounts = [progress.done for progress in told]
    assert amounts == sorted(amounts)
    assert amounts[-1] == told[-1].total > 1e6
    assert re.fullmatch(r"Downloading somebody/toy: 0\.\d\d of 0\.\d\d GB \(100%\)", str(told[-1]))


def test_stopped_it_goes_on_where_it_was(hub: Hub) -> None:
    def stop(progress: DownloadProgress) -> None:
        if progress.done > progress.total / 2:
            raise DownloadStoppedError("Stopped.")

    with pytest.raises(DownloadStoppedError):
        fetch("somebody/toy", stop)
    before = list(hub.asked)
    with pytest.raises(ModelError, match="incomplete"):
        describe("somebody/toy")
    fetch("somebody/toy")
    assert describe("somebody/toy").revision == COMMIT
    again = hub.asked[len(before) :]
    assert set(again) <= set(hub.files()) - set(before[:-1]), "what had come came again"


@pytest.mark.parametrize("variant", ["bf16", "fp32", "non_ema"])
def test_the_only_variant_there_is_comes(hub: Hub, variant: str) -> None:
    plain = hub.folder / "vae" / "diffusion_pytorch_model.safetensors"
    plain.rename(plain.with_name(f"diffusion_pytorch_model.{variant}.safetensors"))
    fetch("somebody/toy")
    assert describe("somebody/toy").revision == COMMIT


def test_a_revision_is_kept_to(hub: Hub) -> None:
    fetch(f"somebody/toy@{COMMIT}")
    assert describe(f"somebody/toy@{COMMIT}").revision == COMMIT


def test_a_branch_is_found_again_by_its_name(hub: Hub) -> None:
    fetch("somebody/toy@fp16")
    assert describe("somebody/toy@fp16").revision == COMMIT


def test_no_connection_says_what_is_missing_and_where(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="the hub cannot be reached") as caught:
        load_model("somebody/toy")
    assert "somebody/toy is not on this machine" in str(caught.value)
    assert str(tmp_path / "hub") in str(caught.value)


def test_a_name_that_the_hub_does_not_know(hub: Hub) -> None:
    with pytest.raises(ModelError, match="nobody/nothing is not on the hub"):
        load_model("nobody/nothing")


def test_pickles_alone_are_not_downloaded(hub: Hub) -> None:
    for file in (hub.folder / "unet").glob("*.safetensors*"):
        file.unlink()
    (hub.folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="no safetensors weights for its unet"):
        fetch("somebody/toy")
    assert not [name for name in hub.asked if name.endswith((".bin", ".safetensors"))]


def test_another_family_is_named_before_gigabytes_come(hub: Hub) -> None:
    index = hub.folder / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "FluxPipeline"))
    with pytest.raises(ModelError, match=r"somebody/toy is FLUX\.1"):
        fetch("somebody/toy")
    assert not [name for name in hub.asked if name.endswith(".safetensors")]


def test_a_full_disk_is_said_before_and_during(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(download, "SPARE_BYTES", 2**60)
        with pytest.raises(ModelError, match=r"has 0\.0 GB, and .* left\. Make room"):
            fetch("somebody/toy")

    def full(progress: DownloadProgress) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelError, match="The disk is full"):
        fetch("somebody/toy", full)
