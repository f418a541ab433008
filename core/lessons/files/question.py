"""A lesson's question from its file: the run, what is predicted, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.diffusion.inside.mistake_table import MISTAKES
from core.diffusion.models.load import ModelError, describe
from core.diffusion.recipe.settings_table import FROM_MODEL, current_name
from core.diffusion.settings import GenerationSettings, SettingsError
from core.lessons.figures import FIGURES
from core.lessons.files.problems import Reader
from core.lessons.lesson import KINDS, MAIN, PLACES, TRANSFER, Answer, Ask, At, Challenge, TaskOf
from core.lessons.measures import MEASURES
from core.lessons.takes import TAKES
from core.sweeps.axis import SweepError
from core.sweeps.sources import with_source_files
from core.sweeps.sweep import Sweep

PREDICT = ("kind", "options", "low", "high", "step", "unit")
ANSWER = ("measure", "take", "stated", "tolerance", "factor", "says")
MOST_SHOWN = 4


class QuestionReader(Reader):
    """Reads a question; the transfer question is read as the whole file with its own parts."""

    def challenge(self, values: Mapping[str, Any], part: str) -> Challenge | None:
        """The question of one of PARTS, None with problems."""
        at = "" if part == MAIN else f"{part}: "
        before = len(self.problems)
        question = self.text(values, "question", at)
        run = self.table(values, "run", at)
        tasks = self._tasks(run.get("tasks", []), at)
        sweep = self._sweep({name: one for name, one in run.items() if name != "tasks"}, at)
        ask = self._ask(self.table(values, "predict", at), at)
        answer = self._answer(self.table(values, "answer", at), ask, at)
        figure = values.get("figure", "bars")
        if figure not in FIGURES:
            self.problems.append(f"{at}figure: {figure!r} is none of {', '.join(FIGURES)}")
        shown = self._shown(values.get("shown", []), sweep, ask, at)
        if part == TRANSFER:  # what the first question has too is said once
            own = [
                one
                for one in self.problems[before:]
                if one.removeprefix(at) not in self.problems[:before]
            ]
            self.problems[before:] = own
        if sweep is None or ask is None or answer is None:
            return None
        wanted = MEASURES[answer.measure].task
        if {task.name for task in tasks} != ({wanted} if wanted else set()):
            self.problems.append(f"{at}run: tasks: {answer.measure!r} needs {wanted or 'none'}")
        return Challenge(
            question=question,
            sweep=sweep,
            shown=shown,
            tasks=tasks,
            ask=ask,
            answer=answer,
            figure=figure,
        )

    def _sweep(self, run: Mapping[str, Any], at: str) -> Sweep | None:
        base = run.get("base", {})
        if not isinstance(base, Mapping):
            self.problems.append(f"{at}run: base must be a table of settings")
            return None
        try:
            info = describe(str(base.get("model", GenerationSettings().model)))
            given = {current_name(str(name)): value for name, value in base.items()}
            defaults = {name: getattr(info, f"default_{name}") for name in FROM_MODEL}
            sweep = Sweep.from_dict({**run, "base": {**defaults, **given}})
            sweep = with_source_files(sweep, self.path.parent, self.keep)
        except SettingsError as error:
            self.problems += [f"{at}run: base: {one}" for one in error.problems]
            return None
        except (SweepError, ModelError) as error:
            self.problems += [f"{at}run: {one}" for one in str(error).splitlines()]
            return None
        if "seed" not in given and "seed" not in sweep.varied():
            self.problems.append(f"{at}run: a seed is missing, so that the answer stays the same")
        found = sweep.problems(vae_scale_factor=info.vae_scale_factor)
        self.problems += [f"{at}run: {one}" for one in found]
        return None if found else sweep

    def _tasks(self, given: Any, at: str) -> tuple[TaskOf, ...]:
        found: list[TaskOf] = []
        rows: list[Any] = given if isinstance(given, list) else [given]
        for one in rows:
            name, arguments = (
                (one.get("name"), one.get("arguments", {})) if isinstance(one, dict) else ("", {})
            )
            if name not in {row.task for row in MEASURES.values()} - {""}:
                self.problems.append(f"{at}run: tasks: {name!r} is no task that a measure reads")
            elif name == "mistake" and arguments.get("mistake") not in MISTAKES:
                known = ", ".join(MISTAKES)
                self.problems.append(f"{at}run: tasks: mistake is one of {known}")
            else:
                found.append(TaskOf(name=str(name), arguments=arguments))
        return tuple(found)

    def _ask(self, table: Mapping[str, Any], at: str) -> Ask | None:
        self.unknown(table, PREDICT, f"{at}predict: ")
        kind = table.get("kind")
        if kind not in KINDS:
            self.problems.append(f"{at}predict: kind is one of {', '.join(KINDS)}")
            return None
        options = table.get("options", [])
        if not isinstance(options, list) or not all(isinstance(one, str) for one in options):
            self.problems.append(f"{at}predict: options must be a list of texts")
            return None
        if kind in ("choice", "order") and not 2 <= len(set(options)) == len(options) <= 6:
            self.problems.append(f"{at}predict: 2 to 6 different options are missing")
            return None
        numbers = {
            name: table.get(name, default)
            for name, default in (("low", 0), ("high", 0), ("step", 1))
        }
        if not all(type(one) in (int, float) for one in numbers.values()):
            self.problems.append(f"{at}predict: low, high and step are numbers")
            return None
        if kind == "number" and not (numbers["low"] < numbers["high"] and numbers["step"] > 0):
            self.problems.append(f"{at}predict: low must be below high, and step above 0")
            return None
        return Ask(
            kind=kind,
            options=tuple(options),
            unit=str(table.get("unit", "")),
            **{name: float(one) for name, one in numbers.items()},
        )

    def _answer(self, table: Mapping[str, Any], ask: Ask | None, at: str) -> Answer | None:
        at = f"{at}answer: "
        measure, take = str(table.get("measure")), str(table.get("take"))
        if measure not in MEASURES:
            self.problems.append(f"{at}measure is one of {', '.join(MEASURES)}")
        if take not in TAKES:
            self.problems.append(f"{at}take is one of {', '.join(TAKES)}")
        if measure not in MEASURES or take not in TAKES or ask is None:
            return None
        if ask.kind not in TAKES[take].kinds:
            self.problems.append(f"{at}take {take!r} does not answer a {ask.kind}")
            return None
        rows = MEASURES[measure].arguments, TAKES[take].arguments
        self.unknown(table, (*ANSWER, *rows[0], *rows[1]), at)
        given = [{name: table[name] for name in row if name in table} for row in rows]
        for row, values in zip(rows, given, strict=True):
            self.arguments(row, values, at)
        tolerance, factor = table.get("tolerance", 0.0), table.get("factor", 1.0)
        if type(tolerance) not in (int, float) or type(factor) not in (int, float):
            self.problems.append(f"{at}tolerance and factor are numbers")
            return None
        if ask.kind == "number" and not tolerance and factor <= 1:
            self.problems.append(f"{at}a number needs a tolerance, or a factor above 1")
        stated = self._stated(table.get("stated"), ask, at)
        says = table.get("says", "")
        if not isinstance(says, str) or (says and "{answer}" not in says):
            self.problems.append(f"{at}says must be a text with {{answer}} in it")
        if stated is None:
            return None
        return Answer(
            measure=measure,
            take=take,
            stated=stated,
            with_=given[0],
            taking=given[1],
            tolerance=float(tolerance),
            factor=float(factor),
            says=str(says),
        )

    def _stated(
        self, stated: Any, ask: Ask, at: str
    ) -> tuple[int, ...] | tuple[float, float] | None:
        """A number's lowest and highest; else the indices of the named options or places."""
        given: list[Any] = stated if isinstance(stated, list) else [stated]
        if ask.kind == "number":
            if len(given) == 2 and all(type(one) in (int, float) for one in given):
                return float(given[0]), float(given[1])
            self.problems.append(f"{at}stated is [lowest, highest]")
            return None
        names = PLACES if ask.kind == "place" else ask.options
        unknown = [one for one in given if one not in names]
        if unknown or not given:
            known = ", ".join(names)
            self.problems.append(f"{at}stated: {unknown or 'nothing'}: name one of {known}")
            return None
        found = tuple(names.index(one) for one in given)
        if ask.kind == "order" and sorted(found) != list(range(len(names))):
            self.problems.append(f"{at}stated names every option once, in their order")
            return None
        return found

    def _shown(self, shown: Any, sweep: Sweep | None, ask: Ask | None, at: str) -> tuple[At, ...]:
        rows: list[Any] = shown if isinstance(shown, list) else []
        found = [(one[0], one[1]) for one in rows if isinstance(one, list) and len(one) == 2]
        if not 1 <= len(found) == len(rows) <= MOST_SHOWN:
            self.problems.append(f"{at}shown: 1 to {MOST_SHOWN} cells [column, row] are missing")
            return ()
        columns, rows_, _ = sweep.shape() if sweep else (0, 0, 0)
        for one in found if sweep else ():
            is_cell = all(type(n) is int for n in one) and 0 <= one[0] < columns
            if not is_cell or not 0 <= one[1] < rows_:
                self.problems.append(f"{at}shown: {list(one)} is no cell of {columns} x {rows_}")
        if ask is not None and ask.kind == "order" and len(found) != len(ask.options):
            self.problems.append(f"{at}shown: an order shows a cell for each option")
        return tuple(found)
