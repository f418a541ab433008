"""The app's own arithmetic as text for a program: functions read from their source files.

Nothing is imported, so that a page that only shows a program needs no torch. What is quoted is what
the sampler runs; a program that writes it out once more could drift from it.
"""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Mapping

from core.output.programs.excerpts import GUIDANCE, PREDICTION, ROOT, ExcerptError

LAYOUT = "core/diffusion/recipe/schedule.py"
MASKS = "core/diffusion/recipe/masks.py"
PROMPT_WEIGHTS = "core/diffusion/recipe/prompt/weights.py"
STEP = "core/diffusion/sampling/sampler.py"
SOURCES: Mapping[str, str] = {
    "ancestral_step": STEP,
    "ancestral_timesteps": LAYOUT,
    "apg": GUIDANCE,
    "averaged": GUIDANCE,
    "cfg": GUIDANCE,
    "churned_step": STEP,
    "churned_timesteps": LAYOUT,
    "composed": GUIDANCE,
    "grown": MASKS,
    "may_change": MASKS,
    "pag": GUIDANCE,
    "renoised": GUIDANCE,
    "to_epsilon": PREDICTION,
    "to_x0": PREDICTION,
    "zero_star": GUIDANCE,
    "weigh": PROMPT_WEIGHTS,
}
"""Function -> the file that it stands in."""


def quoted(*names: str) -> str:
    """The functions of SOURCES with what they call in their file, and the imports that they need,
    torch apart; without type hints, whose names a program has not. Raises ExcerptError.
    """
    imports: dict[str, None] = {}
    functions: dict[str, None] = {}
    for name in names:
        more_imports, more_functions = _quote(SOURCES[name], name)
        imports |= dict.fromkeys(more_imports)
        functions |= dict.fromkeys(more_functions)
    head = "".join(f"{line}\n" for line in imports)
    return head + ("\n\n" if head else "") + "\n\n".join(functions)


@functools.lru_cache
def _quote(file: str, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    text = (ROOT / file).read_text(encoding="utf-8")
    tree = ast.parse(text)
    known = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if name not in known:
        raise ExcerptError(f"{file} has no {name} any more")
    wanted = [name]
    for found in wanted:  # grows while it is walked: what a quoted function calls
        used = _names(known[found])
        wanted += [other for other in known if other in used and other not in wanted]
    used = {used for found in wanted for used in _names(known[found])}
    imports = tuple(
        ast.unparse(ast.ImportFrom(module=node.module, names=[alias], level=0))
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("core.")
        for alias in node.names
        if (alias.asname or alias.name) in used
    )
    return imports, tuple(_without_hints(known[found], text) for found in reversed(wanted))


def _names(function: ast.FunctionDef) -> set[str]:
    """What its body reads; its type hints say nothing of that."""
    walked = (inner for statement in function.body for inner in ast.walk(statement))
    return {inner.id for inner in walked if isinstance(inner, ast.Name)}


def _without_hints(function: ast.FunctionDef, text: str) -> str:
    """The function as it is written, under a signature of names and defaults alone."""
    arguments = copy.deepcopy(function.args)
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    lines = text.splitlines()[function.body[0].lineno - 1 : function.end_lineno]
    return "\n".join([f"def {function.name}({ast.unparse(arguments)}):", *lines, ""])
