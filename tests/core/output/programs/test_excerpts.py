"""The code beside each block is found in its source file, whole, and as it runs."""

from __future__ import annotations

import ast

import pytest

from core.output.programs.excerpts import EXCERPTS, ROOT, Excerpt, ExcerptError, excerpt, find

MEANT = {
    "prompt": "encoder(ids",
    "noise": "torch.randn(",
    "call": "self._unet(",
    "guidance CFG": "settings.guidance_scale * (said.cond - said.uncond)",
    "guidance APG": "normalized_guidance(",
    "guidance CFG-Zero*": "cfg_zero_star_scale(",
    "guidance CFG++": "share * (eps_uncond - eps_guided)",
    "guidance PAG": "settings.pag_scale * (said.cond - said.perturbed)",
    "step": "scheduler.step(",
    "decode": "latent_format.to_vae(",
    "branch": "cell.settings = settings",
    "hand over": "set_begin_index(",
    "attention": "get_attention_scores(",
    "effects": "x0[1:] - x0[:1]",
}


def test_each_is_looked_at() -> None:
    assert MEANT.keys() == EXCERPTS.keys()


@pytest.mark.parametrize("name", EXCERPTS)
def test_it_is_found_and_is_what_it_should_be(name: str) -> None:
    found = excerpt(name)
    assert MEANT[name] in found.source
    assert 1 <= len(found.source.splitlines()) <= 26, "the few lines that do it"
    ast.parse(found.source)
    lines = (ROOT / found.file).read_text(encoding="utf-8").splitlines()
    assert lines[found.line - 1].strip() == found.source.splitlines()[0].strip()
    for line in found.source.splitlines():
        assert line.strip() in {one.strip() for one in lines}


@pytest.mark.parametrize(
    "gone",
    [
        Excerpt(file="core/diffusion/sampling/batch.py", function="no_such_function"),
        Excerpt(file="core/diffusion/sampling/batch.py", function="Batch"),
        Excerpt(
            file="core/diffusion/sampling/batch.py",
            function="guide",
            first="never_written =",
            last=")",
        ),
    ],
    ids=["function", "class", "line"],
)
def test_a_source_that_has_changed_is_an_error(gone: Excerpt) -> None:
    with pytest.raises(ExcerptError):
        find(gone)
