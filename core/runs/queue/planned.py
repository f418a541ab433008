"""Planned: what an image needs from the disk, looked up once, at its submission."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.diffusion.models.load import ModelError
from core.diffusion.models.lora.files import LoraFile
from core.diffusion.named_files import file_problems, named_files, walked_once
from core.diffusion.recipe.images import ReadInput
from core.diffusion.recipe.masks import MaskChecks
from core.diffusion.settings import GenerationSettings, SettingsError
from core.runs.store.rows import UNREADABLE, RowError, read_object

if TYPE_CHECKING:
    from core.diffusion.models.load import ModelInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An image that can be run: its settings were validated for the model of this fingerprint.

    `rows` are the UNet rows of each call; `loras` the files that take part and `vae` the SHA-256 of
    the VAE, "" for the model's own.
    """

    settings: GenerationSettings
    digest: str
    rows: int
    model_fingerprint: str
    model_name: str
    loras: tuple[LoraFile, ...] = ()
    vae: str = ""

    def to_json(self, written: str) -> str:
        """All but the settings and the digest, which have columns of their own; `written` is
        what stands in that of the settings.
        """
        return json.dumps(
            {
                "settings": hashlib.sha256(written.encode()).hexdigest(),
                "rows": self.rows,
                "fingerprint": self.model_fingerprint,
                "name": self.model_name,
                "loras": [[lora.sha, lora.weight, str(lora.path)] for lora in self.loras],
                "vae": self.vae,
            }
        )

    @classmethod
    def from_json(
        cls, text: object, written: str, settings: GenerationSettings, digest: str
    ) -> Planned:
        """Raises RowError, also where the settings are no longer those that were written: under
        this digest would come another picture.
        """
        values = read_object(text, "plan")
        if values.get("settings") != hashlib.sha256(written.encode()).hexdigest():
            raise RowError("its settings have changed since it was submitted")
        try:
            return cls(
                settings=settings,
                digest=digest,
                rows=int(values["rows"]),
                model_fingerprint=str(values["fingerprint"]),
                model_name=str(values["name"]),
                loras=tuple(
                    LoraFile(sha=str(sha), weight=float(weight), path=Path(path))
                    for sha, weight, path in values["loras"]
                ),
                vae=str(values.get("vae", "")),
            )
        except UNREADABLE as error:
            raise RowError("its plan is damaged") from error

    def is_current(self, model_fingerprint: str) -> bool:
        """Return whether the model, the LoRAs and the VAE are still those of the submission: while
        a cell waits, another file may have come in their place.
        """
        if model_fingerprint != self.model_fingerprint:
            return False
        try:
            if not self.loras and not self.settings.vae:
                return True
            now = named_files(self.settings)
            return now.loras == self.loras and now.vae_sha == self.vae
        except (SettingsError, OSError):
            return False


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What came of one image's settings: a plan, or why it cannot be run.

    Neither where the model is not here: then the worker says why, or brings it. `info` is what is
    known of the model.
    """

    settings: GenerationSettings
    planned: Planned | None = None
    reason: str = ""
    info: ModelInfo | None = None


def resolve(
    settings: Sequence[GenerationSettings], describe: Callable[[str], ModelInfo], read: ReadInput
) -> list[Resolved]:
    """Resolves the images of one submission: each model is described once, the folders of LoRAs
    and VAEs are looked through once, each mask is read once by `read`, each of the settings is
    validated and hashed once.
    """
    infos = describe_all({one.model for one in settings}, describe)
    masks = MaskChecks(read)
    with walked_once():
        return [_resolve(one, infos.get(one.model), masks) for one in settings]


def describe_all(sources: set[str], describe: Callable[[str], ModelInfo]) -> dict[str, ModelInfo]:
    """What is known of these models, by their sources; those that cannot be described are left
    out: the worker says why.
    """
    infos: dict[str, ModelInfo] = {}
    for source in sources:
        try:
            infos[source] = describe(source)
        except ModelError:
            continue
        except Exception:  # wrong types in its configuration, which any program may have written
            log.exception("The model %s could not be described", source)
    return infos


def _resolve(settings: GenerationSettings, info: ModelInfo | None, masks: MaskChecks) -> Resolved:
    factor = info.vae_scale_factor if info else 8
    try:
        problems = settings.validate(vae_scale_factor=factor)
        wrong = {problem.field for problem in problems}
        if not problems and (problem := masks.problem(settings, factor)):
            problems.append(problem)
        problems += [one for one in file_problems(settings, info) if one.field not in wrong]
        if errors := [problem for problem in problems if problem.severity == "error"]:
            raise SettingsError(errors)
        files = named_files(settings)
        if info is None:
            return Resolved(settings=settings)
        loras = [[one.sha, one.weight] for one in files.loras]
        planned = Planned(
            settings=settings,
            digest=settings.digest(info.fingerprint, loras, files.vae_sha),
            rows=info.family.rows(settings),
            model_fingerprint=info.fingerprint,
            model_name=info.name,
            loras=files.loras,
            vae=files.vae_sha,
        )
    except SettingsError as error:
        return Resolved(settings=settings, reason=str(error), info=info)
    except (ValueError, OSError) as error:  # text without a UTF-8 form; a LoRA that went away
        reason = f"These settings cannot be written down: {error}"
        return Resolved(settings=settings, reason=reason, info=info)
    return Resolved(settings=settings, planned=planned, info=info)
