"""Models that are none: wrong types in their JSON, names and links that lead elsewhere."""

from __future__ import annotations

import json
import os
import random
import shutil
import string
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.diffusion.models import origins
from core.diffusion.models.describe import _describe_folder
from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.load import BUNDLED_FOLDER, ModelError, describe, list_models
from core.diffusion.models.lora.files import list_loras, missing_loras
from core.diffusion.recipe.schedulers import SCHEDULERS, SchedulerError
from core.diffusion.sampling.timetable import timetable
from tests.faults.campaign import counted, tries

WRONG: tuple[Any, ...] = (
    *(None, True, 5, -1, 0, 1e308, 10**400, "", "abc", "\0", [], {}, [[]], [None], ["x"]),
    {"a": 1},
)
CONFIGS = [
    file.relative_to(BUNDLED_FOLDER)
    for file in sorted(BUNDLED_FOLDER.rglob("*.json"))
    if file.name not in ("vocab.json", "tokenizer.json") and file.stat().st_size < 100_000
]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Every mutation is a model of its own: nothing is kept between them."""
    yield
    _describe_folder.cache_clear()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The bundled model, its weights linked within the folder's own root."""
    return Path(shutil.copytree(BUNDLED_FOLDER, tmp_path / "model", copy_function=_linked))


def _linked(source: str, target: str) -> str:
    if source.endswith(".json"):
        return shutil.copy(source, target)
    os.link(source, target) if os.stat(source).st_dev == os.stat(
        os.path.dirname(target)
    ).st_dev else shutil.copy(source, target)
    return target


def mutated(text: str, chance: random.Random) -> str:
    """The JSON with one value, somewhere, of a wrong type or out of all bounds."""
    content = json.loads(text)
    if chance.random() < 0.1:
        return json.dumps(chance.choice(WRONG))
    place, key = content, ""
    while isinstance(place, dict) and place:
        key = chance.choice(sorted(place))
        if not isinstance(place[key], dict):
            break
        place = place[key]
    if isinstance(place, dict):
        place[key] = chance.choice(WRONG)
    return json.dumps(content)


def is_refused(folder: Path, config: Path) -> bool:
    """What pages do with a model, before any is loaded: True where it ends in a ModelError."""
    _describe_folder.cache_clear()
    try:
        info = describe(str(folder))
        assert all(isinstance(value, str) for value in info.example_prompts)
        timetable("DDIM", 10, info.scheduler_config)
        if config.parent.name.startswith("tokenizer"):
            Tokenizer(info.folder).count("a red apple")
    except ModelError:
        return True
    return False


def test_wrong_types_in_a_configuration_are_a_model_error(copied: Path) -> None:
    chance = random.Random(11)
    refused = 0
    with counted("model configurations with a wrong value") as count:
        for number in range(tries(150, 1500)):
            name = CONFIGS[number % len(CONFIGS)]
            original = (BUNDLED_FOLDER / name).read_text(encoding="utf-8")
            text = mutated(original, chance)
            (copied / name).write_text(text, encoding="utf-8")
            try:
                with count.one():
                    refused += is_refused(copied, name)
            except Exception as error:
                raise AssertionError((number, str(name), text[:2000])) from error
            finally:
                (copied / name).write_text(original, encoding="utf-8")
    assert refused > 0
    _describe_folder.cache_clear()
    assert describe(str(copied)).fingerprint == describe("bundled").fingerprint


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        ("unet/config.json", "layers_per_block", 100_000),
        ("unet/config.json", "block_out_channels", [32, 10**9, 32]),
        ("unet/config.json", "sample_size", 10**400),
        ("vae/config.json", "latent_channels", 10**12),
        ("text_encoder/config.json", "num_hidden_layers", 10**7),
        ("text_encoder/config.json", "vocab_size", 10**11),
        ("scheduler/scheduler_config.json", "num_train_timesteps", 10**10),
    ],
)
def test_a_size_that_no_model_has_is_refused_before_anything_is_built(
    copied: Path, config: str, key: str, value: Any
) -> None:
    file = copied / config
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    with pytest.raises(ModelError, match=f"{config} says that {key} is"):
        describe(str(copied))


@pytest.mark.parametrize("changes", [{"beta_end": -1}, {"beta_start": -1}])
def test_betas_that_no_scheduler_has_are_a_sentence(copied: Path, changes: dict[str, Any]) -> None:
    file = copied / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    assert not is_refused(copied, Path("scheduler/scheduler_config.json"))
    for row in SCHEDULERS.values():
        with pytest.raises(SchedulerError, match="choose another scheduler"):
            row.build(json.loads(file.read_text()))


class Opened:
    """Which files this process opens, by Python's own audit; it cannot be taken off again."""

    def __init__(self) -> None:
        self.watched: Path | None = None
        self.files: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watched is not None and event == "open":
            named = arguments[0]
            with suppress(Exception):
                text = os.fsdecode(named)
                real = os.path.realpath(text)
                inside = (str(self.watched), str(BUNDLED_FOLDER), sys.prefix, sys.base_prefix)
                if not real.startswith(inside) and not real.endswith((".py", ".pyc", ".so")):
                    self.files.append(text)

    @contextmanager
    def outside(self, root: Path) -> Iterator[list[str]]:
        """What is opened outside `root`, the bundled model and Python itself."""
        self.files, self.watched = [], root
        try:
            yield self.files
        finally:
            self.watched = None


opened = Opened()


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model root with links that lead out of it, beside secrets."""
    folder = tmp_path_factory.mktemp("house").resolve()
    root, secret = folder / "models", folder / "secret"
    (root / "loras").mkdir(parents=True)
    (secret / "model").mkdir(parents=True)
    (secret / "key.safetensors").write_bytes(b"\x10" + bytes(7) + b'{"a":1} secret')
    (secret / "model" / "model_index.json").write_text('{"_class_name": "Secret"}')
    (root / "out.safetensors").symlink_to(secret / "key.safetensors")
    (root / "loras" / "lora.safetensors").symlink_to(secret / "key.safetensors")
    (root / "folder").symlink_to(secret / "model")
    (root / "half").mkdir()
    (root / "half" / "model_index.json").symlink_to(secret / "model" / "model_index.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTBOX_MODELS", str(root))
        patch.setenv("HF_HUB_CACHE", str(folder / "hub"))
        patch.setattr(origins, "_keeps_to_roots", True)
        yield folder


def test_listing_opens_nothing_that_a_link_leads_out_to(house: Path) -> None:
    with opened.outside(house / "models") as files:
        (house / "models" / "out.safetensors").read_bytes()
        assert len(files) == 1, "the audit sees what is opened through a link"
    with opened.outside(house / "models") as files:
        assert {"out.safetensors", "folder"} <= set(list_models())
        assert list_loras() == []
        for name in ("out.safetensors", "folder", "half"):
            with pytest.raises(ModelError, match="leads out"):
                describe(name)
    assert files == []


def _names(house: Path) -> st.SearchStrategy[str]:
    secret = str(house / "secret")
    starts = ("", "/", "//", "\\\\", "../", "~", "~root/", "./", "C:\\", "\\\\?\\", "//host/share/")
    parts = st.sampled_from(
        (
            *(
                "..",
                "secret",
                "models",
                "key.safetensors",
                "model",
                "etc",
                "passwd",
                "proc",
                "self",
            ),
            *(
                "environ",
                "out.safetensors",
                "folder",
                "half",
                "a" * 300,
                "\0",
                "owner",
                "name@main",
            ),
        )
    ) | st.text(string.printable + "é\u202e", max_size=12)
    known = (
        *(f"{secret}/key.safetensors", f"{secret}/model", "/etc/passwd", "/etc/hostname"),
        *(f"{house}/models/../secret/model", f"{house}/models/out.safetensors"),
        f"{house}/models/folder",
    )
    made = st.builds(
        lambda start, middle, between: start + between.join(middle),
        st.sampled_from(starts),
        st.lists(parts, max_size=6),
        st.sampled_from(["/", "\\", "//"]),
    )
    return st.sampled_from(known) | made


def test_no_name_opens_a_file_outside_the_roots(house: Path) -> None:
    tried = tries(300, 3000)

    @settings(
        max_examples=tried,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(_names(house))
    def never(name: str) -> None:
        with opened.outside(house / "models") as files:
            with suppress(ModelError):
                describe(name)
            missing_loras(f"{name}:0.5")
        assert files == [], name

    with counted("model and LoRA names that lead elsewhere") as count, count.one(tried):
        never()


@pytest.mark.parametrize("name", [r"\\host\share\model", "//host/share/model", r"\/host\a"])
def test_a_network_path_is_never_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Path:
        raise AssertionError("it was looked for")

    monkeypatch.setattr(origins, "expanded", refuse)
    monkeypatch.setattr(origins, "model_roots", list)
    monkeypatch.setattr(origins, "find_cached", lambda source: None)
    monkeypatch.setattr(origins, "where_looked", str)
    with pytest.raises(ModelError, match="is not on this machine"):
        origins.locate(name)


def test_a_path_outside_the_roots_still_names_a_model_on_the_command_line(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert describe(str(copied)).folder == copied
    monkeypatch.setattr(origins, "_keeps_to_roots", True)
    with pytest.raises(ModelError, match="is not on this machine"):
        describe(str(copied))
    monkeypatch.setenv("LIGHTBOX_MODELS", str(copied.parent))
    assert describe(str(copied)).folder == copied
