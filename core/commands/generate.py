"""generate: one image, or one for each of a batch of seeds."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.commands.console import (
    FAILED,
    OK,
    READERS,
    UsageError,
    check_writable,
    folder,
    say,
    whole,
    write_file,
)
from core.commands.jobs import compute
from core.diffusion.models.load import ModelInfo, describe
from core.diffusion.named_files import named_files
from core.diffusion.recipe.masks import MaskChecks
from core.diffusion.recipe.prompt.foreign import foreign_words
from core.diffusion.recipe.prompt.marks import Marks
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import FROM_MODEL, PROMPTS, SETTINGS, current_name
from core.diffusion.settings import MAX_SEED, GenerationSettings, SettingsError
from core.runs.queue.jobs import Cell
from core.runs.store.data_folder import wildcards_folder
from core.runs.store.store import Store
from core.sweeps.drawn import draw_batch, said

MAX_COUNT = 1000


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    generate = commands.add_parser("generate", help="make one image, or one for each of --count")
    generate.set_defaults(run=run)
    for name, row in SETTINGS.items():
        generate.add_argument(
            *(f"--{known.replace('_', '-')}" for known in (name, *row.earlier)),
            dest=name,
            type=READERS[row.kind],
            required=name == "prompt",
            # None is "not given": the model's own default is taken then.
            default=None,
            metavar=row.kind.__name__.upper(),
            help=_help(row),
        )
    generate.add_argument("--out", type=Path, required=True, metavar="FILE", help="a PNG file")
    generate.add_argument(
        "--count",
        type=whole,
        default=1,
        metavar="N",
        help="N seeds, each one higher, in one batch; the seed is added to the file's name",
    )
    generate.add_argument(
        "--strict", action="store_true", help="one at a time, pixel for pixel as diffusers does it"
    )
    generate.add_argument(
        "--data", type=folder, metavar="FOLDER", help="where images are kept (LIGHTBOX_DATA)"
    )


def _help(row: Setting) -> str:
    """A setting's help as argparse reads it, where % begins a format."""
    choices = f" One of: {', '.join(row.choices)}." if row.choices else ""
    default = "the model's own" if row.from_model else row.default
    shown = f" Default: {default}." if default != "" else ""
    return (row.help + choices + shown).replace("%", "%%")


def run(options: argparse.Namespace) -> int:
    """Carries the command out and returns its exit code."""
    info = describe(options.model or GenerationSettings().model)
    batch = _batch(_settings(options, info), options.count)
    wanted = _drawn(batch, info, options.data)
    named_files(wanted[0], info)  # says which is not here, or does not fit
    targets = _targets(options.out, wanted)
    _warn_of_prompts(wanted[0], info)

    store = Store(options.data)
    _check_mask(store, wanted[0], info)
    cells = compute(store, wanted, strict=options.strict, label="command line")
    return _deliver(store, cells, targets, strict=options.strict)


def _settings(options: argparse.Namespace, info: ModelInfo) -> GenerationSettings:
    """What was given, and the model's own defaults for the rest."""
    given = {name: value for name in SETTINGS if (value := getattr(options, name)) is not None}
    return complete(given, info, count=options.count)


def complete(given: Mapping[str, Any], info: ModelInfo, *, count: int = 1) -> GenerationSettings:
    """Settings from what was given, the model's own defaults for the rest, -1 as a drawn seed."""
    values = {
        **{name: getattr(info, f"default_{name}") for name in FROM_MODEL},
        **{current_name(name): value for name, value in given.items()},
    }
    if values.get("seed") == -1:
        values["seed"] = secrets.randbelow(MAX_SEED - max(count, 1) + 2)
        say(f"seed: {values['seed']}")
    return GenerationSettings.from_dict(values)


def _batch(settings: GenerationSettings, count: int) -> list[GenerationSettings]:
    if not 1 <= count <= MAX_COUNT:
        raise UsageError(f"--count {count} is outside 1 to {MAX_COUNT}")
    return [replace(settings, seed=settings.seed + step) for step in range(count)]


def _drawn(
    batch: Sequence[GenerationSettings], info: ModelInfo, data: Path | None
) -> list[GenerationSettings]:
    """The batch with its prompts drawn, and what was drawn said. Raises SettingsError."""
    marks = Marks(wildcards_of(data).lines)
    drawn = draw_batch(batch, marks, vae_scale_factor=info.vae_scale_factor)
    for one in drawn:
        if one.words:
            say(f"seed {one.settings.seed} drawn: {said(one.words)}")
    return [one.settings for one in drawn]


def wildcards_of(data: Path | None) -> Wildcards:
    """The wildcards of a data folder, None for the usual one."""
    return Wildcards(folder=wildcards_folder(data))


def _targets(out: Path, wanted: Sequence[GenerationSettings]) -> list[Path]:
    """Return where each picture goes; found out before anything is computed."""
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: pictures are written as PNG, so name it {out.stem}.png")
    check_writable(out)
    if len(wanted) == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{one.seed}{out.suffix}") for one in wanted]


def _warn_of_prompts(settings: GenerationSettings, info: ModelInfo) -> None:
    texts = {name: getattr(settings, name) for name in PROMPTS}
    steps = settings.num_inference_steps
    is_foreign = any(foreign_words(text, name, steps) for name, text in texts.items())
    if max(len(text.encode()) for text in texts.values()) <= 75 and not is_foreign:
        return  # a token is at least a byte: nothing is cut, and the tokenizer need not load
    from core.diffusion.models.files.tokenizers import Tokenizer

    for problem in settings.validate(tokenizer=Tokenizer(info.folder)):
        if problem.severity == "warning":
            say(f"warning: {problem}")


def _check_mask(store: Store, settings: GenerationSettings, info: ModelInfo) -> None:
    """Warn of a mask that the latents miss. Raises SettingsError where nothing is left of it."""
    problem = MaskChecks(store.inputs.read).problem(settings, info.vae_scale_factor)
    if problem is not None and problem.severity == "error":
        raise SettingsError([problem])
    if problem is not None:
        say(f"warning: {problem}")


def _deliver(store: Store, cells: Sequence[Cell], targets: Sequence[Path], *, strict: bool) -> int:
    """Copies the stored pictures, byte for byte; says what there is none of."""
    code = OK
    for cell, target in zip(cells, targets, strict=True):
        if cell.state != "done" or cell.digest is None:
            say(f"error: seed {cell.settings.seed}: {cell.reason or cell.state}")
            code = FAILED
            continue
        stored = store.get(cell.digest)
        if strict and stored is not None and not stored.computed.get("strict"):
            say(
                f"note: seed {cell.settings.seed} was stored before, computed in a batch: it may "
                "differ from diffusers in the last bits"
            )
        try:
            write_file(target, store.image_bytes(cell.digest))
        except OSError as error:
            say(f"error: {target} could not be written: {error.strerror or error}")
            code = FAILED
            continue
        print(target)
    return code
