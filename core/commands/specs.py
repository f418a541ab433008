"""Sweeps by name: from a TOML file, or from those that were saved."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.commands.console import UsageError, is_file, say
from core.commands.generate import complete, wildcards_of
from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.load import describe
from core.diffusion.recipe.images import input_digest
from core.diffusion.recipe.prompt.marks import Marks
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.diffusion.settings import GenerationSettings, SettingsError
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from core.sweeps.axis import SweepError
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sources import Keep, with_source_files
from core.sweeps.sweep import Sweep
from core.sweeps.tables.table import TableError
from core.sweeps.tables.table_csv import read_csv

NESTED = "{path} is nested too deep to be a sweep: it has tables of plain values"


def find_sweep(spec: str, store: Store) -> Sweep:
    """The sweep of a TOML file, else the one saved under that name. Raises UsageError."""
    path = Path(spec)
    if path.suffix.lower() == ".toml" or is_file(path):
        return read_spec(path, wildcards_of(store.folder), keep=store.inputs.keep)
    saved = {one.name: one.sweep for one in store.sweeps()}
    if spec not in saved:
        known = f"; saved are: {', '.join(saved)}" if saved else ""
        raise UsageError(f"{spec!r} is neither a .toml file nor a saved sweep{known}")
    return saved[spec]


def read_spec(
    path: Path,
    wildcards: Wildcards | None = None,
    *,
    keep: Keep = lambda array, name: input_digest(array),
) -> Sweep:
    """A sweep from TOML: [base] with settings, [x], [y], [z] with axis and values.

    What [base] does not name is the model's own default. A source picture may be named by its
    file, which `keep` keeps. Raises UsageError.
    """
    try:
        spec = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise UsageError(NESTED.format(path=path)) from error
    except ValueError as error:  # TOML, UTF-8, or a NUL in the file's name
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    base: Any = spec.get("base", {})
    if not isinstance(base, Mapping):
        raise UsageError(f"{path}: base must be a table of settings")
    try:
        info = describe(str(base.get("model", GenerationSettings().model)))
        values = {**spec, "base": complete(base, info).to_dict()}
        sweep = Sweep.from_dict(values, Marks((wildcards or Wildcards()).lines))
    except SweepError as error:
        raise UsageError(f"{path}: {error}") from error
    except SettingsError as error:
        raise UsageError(f"{path}: base: {error}") from error
    except RecursionError as error:
        raise UsageError(NESTED.format(path=path)) from error
    try:
        return with_source_files(sweep, path.parent, keep)
    except SweepError as error:
        raise UsageError(str(error)) from error


def default_sweep() -> Sweep:
    """A sweep without axes, of the default model's own settings."""
    return Sweep(base=complete({}, describe(GenerationSettings().model)))


def with_table(sweep: Sweep, path: Path) -> Sweep:
    """The sweep with a CSV file's rows as its columns. Raises UsageError, a line a problem."""
    if sweep.x is not None:
        words = "the columns of the sweep: leave out --table, or [x] of the spec"
        raise UsageError(f"{path} and {sweep.x.label()} are both {words}")
    try:
        factor = describe(sweep.base.model).vae_scale_factor
        with path.open("rb") as file:
            table = read_csv(file, base=sweep.base, vae_scale_factor=factor)
    except (OSError, ValueError) as error:  # a TableError, or a NUL in the file's name
        if isinstance(error, TableError):
            raise UsageError("\n".join(f"{path}: {one}" for one in error.problems)) from error
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path} cannot be read: {why}") from error
    for note in table.notes:
        say(f"note: {path}: {note}")
    return replace(sweep, x=table.axis())


def plan_of(sweep: Sweep, store: Store, *, runs: bool = False) -> Plan:
    """A plan without problems, of one that `runs` with its time and the texts that are cut off.

    Raises UsageError with a line for each problem that there is.
    """
    plan = make_plan(
        sweep,
        describe=describe,
        holds=store.holds,
        find_pace=Queue(store).find_pace if runs else None,
        read=functools.cache(Tokenizer) if runs else None,
        wildcards=wildcards_of(store.folder),
        read_source=store.inputs.read,
    )
    if plan.problems:
        raise UsageError("\n".join(map(str, plan.problems)))
    return plan
