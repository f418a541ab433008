"""The page Step by step: each control, over the real model, and what can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.inside.mistake_table import MISTAKES
from core.diffusion.models.load import LoadedModel, describe
from core.diffusion.recipe.guidance.methods import METHODS
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.runs.queue.queue import Queue
from core.runs.queue.tasks import Tasks
from core.runs.store.store import Store
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import Lab, wait_for
from tests.pages.conftest import App, messages, unescaped
from ui.catalog import STEPS
from ui.send import send
from ui.steps.form import ATTENTION, BROKEN, FUTURE

PATIENCE = 300.0  # seconds: machines are busy
QUICK = {
    "steps_num_inference_steps": "4",
    "steps_scheduler": "DDIM",
    "steps_width": "64",
    "steps_height": "64",
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> Iterator[App]:
    """The pages' app whose tasks run on the bundled model."""
    monkeypatch.setenv("LIGHTBOX_DATA", str(tmp_path / "data"))
    lab, store = Lab(), Store(tmp_path / "data")
    worker = lab.worker(store, describe=describe, load=lambda source: model)
    monkeypatch.setattr(Worker, "shared", lambda folder=None: worker)
    worker.start()
    yield App(lab=lab, store=store, queue=Queue(store), model=describe("bundled"))
    assert worker.stop(), "the worker did not stop"


def is_at_rest() -> bool:
    """Whether every task is over."""
    return not unfinished()


def settled(at: AppTest) -> AppTest:
    """The page once every task that it waits for is over."""
    for _ in range(12):
        wait_for(is_at_rest, PATIENCE)
        at.run()
        if not at.progress:
            return at
    raise AssertionError("the page still waits")


def opened(app: App, **query: str) -> AppTest:
    return settled(app.open(STEPS.path, **(QUICK | query)))


def shown(at: AppTest) -> str:
    texts = [*at.caption, *at.markdown, *at.info]
    return "\n".join(unescaped(one.value) for one in texts)


def headings(at: AppTest) -> list[str]:
    return [one.value for one in at.subheader]


def test_the_run_is_shown_part_by_part_each_with_its_code(app: App) -> None:
    at = opened(app)
    assert not messages(at)
    assert [heading[0] for heading in headings(at)] == list("123456")
    code = "\n".join(one.value for one in at.code)
    for line in (
        "torch.randn(",
        "scale_model_input(",
        "settings.guidance_scale * (said.cond - said.uncond)",
        "scheduler.step(",
        "latent_format.to_vae(",
    ):
        assert line in code
    assert "core/diffusion/sampling/batch.py" in shown(at)
    assert at.dataframe[0].value["Token"].tolist()[1:4] == app.model.example_prompts[0].split()[:3]


def test_the_slider_chooses_the_call(app: App) -> None:
    at = opened(app)
    timesteps: list[str] = []
    for call in (1, 4):
        at.slider(key="steps_call").set_value(call).run()
        timesteps.append(at.metric[0].value)
    assert timesteps == ["751", "1"]


def test_the_guidance_slider_moves_the_next_x0_and_asks_no_model(app: App) -> None:
    at = opened(app)
    assert "This is the run's own scale" in shown(at)
    at.slider(key="steps_scale").set_value(12.0).run()
    assert is_at_rest()
    assert "They differ by" in shown(at)
    assert "scale 12" in shown(at)


@pytest.mark.parametrize("kept", ["Along only", "Across only"])
def test_one_part_of_guidance_alone(app: App, kept: str) -> None:
    at = opened(app)
    assert "without guidance" not in shown(at)
    at.segmented_control(key="steps_parts").set_value(kept).run()
    assert is_at_rest(), "from the stored predictions: the model does not run again"
    assert "with both parts" in shown(at)
    assert not messages(at)


def test_without_guidance_there_are_no_parts(app: App) -> None:
    at = opened(app, steps_guidance_scale="1", steps_parts="Along only")
    assert "with both parts" not in shown(at)
    assert not at.exception


@pytest.mark.parametrize("name", ["DDIM", "Euler", "DPM++ 2M", "UniPC"])
def test_the_formula_is_filled_in_or_said_not_to_be(app: App, name: str) -> None:
    at = opened(app, steps_scheduler=name, steps_call="2")
    if name == "UniPC":
        assert [one.value.strip("$\n ") for one in at.latex] == [METHODS["CFG"].formula]
        assert "UniPC is not written out here" in shown(at)
    else:
        assert any("x' &= " in line.value and r"\cdot" in line.value for line in at.latex)
        assert "the scheduler differ by" in shown(at)
    assert at.dataframe[-1].value["Sigma"].is_monotonic_decreasing


def test_settings_reach_the_run(app: App) -> None:
    at = opened(app, steps_prompt="an owl", steps_seed="8", steps_width="96")
    assert at.dataframe[0].value["Token"].tolist()[1:3] == ["an", "owl"]
    assert "Seed 8" in shown(at)
    assert "(4, 8, 12)" in "\n".join(one.value for one in at.code)
    at.number_input(key="steps_num_inference_steps").set_value(3).run()
    settled(at)
    assert at.slider(key="steps_call").max == 3


def test_the_run_is_of_the_words_that_its_seed_draws(app: App) -> None:
    at = opened(app, steps_prompt="an {owl|cat}", steps_seed="8", steps_width="96")
    word = at.dataframe[0].value["Token"].tolist()[2]
    assert word in ("owl", "cat")
    assert f"Drawn: {word}" in shown(at)


def test_a_drawn_seed_is_shown(app: App) -> None:
    at = opened(app)
    at.button(key="steps:draw").click().run()
    settled(at)
    assert at.number_input(key="steps_seed").value >= 0
    assert not messages(at)


def test_another_future_is_shown_beside_the_first(app: App) -> None:
    at = opened(app, steps_view=FUTURE)
    assert "Nothing has changed yet" in shown(at)
    at.number_input(key="steps_other_guidance").set_value(12.0).run()
    settled(at)
    text = shown(at)
    assert "The original run" in text
    assert "Changed from call 1 on" in text
    at.slider(key="steps_from").set_value(3).run()
    assert "Changed from call 3 on" in shown(settled(at))
    at.slider(key="steps_to").set_value(3).run()
    assert "After call 3 the run's own settings apply again" in shown(settled(at))
    assert not messages(at)
    at.button(key="steps:as before").click().run()
    assert "Nothing has changed yet" in shown(settled(at))


@pytest.mark.parametrize(("own", "other"), [("1", 1.0), ("1", 0.5), ("0.5", 1.0), ("4", 4.0)])
def test_guidance_that_acts_as_before_is_no_change(app: App, own: str, other: float) -> None:
    at = opened(app, steps_view=FUTURE, steps_guidance_scale=own)
    at.number_input(key="steps_other_guidance").set_value(other).run()
    assert is_at_rest()
    assert "Nothing has changed yet" in shown(at)


@pytest.mark.parametrize("way", [{"guidance_method": "CFG++"}, {"guidance_below_1": "true"}])
def test_scales_up_to_1_differ_where_they_are_run(app: App, way: dict[str, str]) -> None:
    own = {f"steps_{name}": value for name, value in way.items()} | {"steps_scheduler": "DDIM"}
    at = opened(app, steps_view=FUTURE, steps_guidance_scale="0.5", **own)
    at.number_input(key="steps_other_guidance").set_value(0.8).run()
    assert "Nothing has changed yet" not in shown(settled(at))
    ideas = at.menu_button(key="steps:idea").options
    assert ("Guidance off from here" in ideas) == ("guidance_below_1" in way), "CFG++ guides at 1"


def test_another_prompt_and_another_scheduler_from_a_call_on(app: App) -> None:
    at = opened(app, steps_view=FUTURE, steps_from="3", steps_other_prompt="a yellow cat")
    assert "Changed from call 3 on" in shown(at)
    at.selectbox(key="steps_other_scheduler").set_value("UniPC").run()
    text = shown(settled(at))
    assert "UniPC has no level at sigma" in text
    assert "A new scheduler stays to the end" in text
    assert "steps_to" not in [slider.key for slider in at.slider]


def test_every_idea_gives_a_future(app: App) -> None:
    at = opened(app, steps_view=FUTURE)
    for idea in at.menu_button(key="steps:idea").options:
        at.menu_button(key="steps:idea").set_value(idea).run()
        assert "Changed from call" in shown(settled(at)), idea
        assert not messages(at), idea


def test_attention_only_when_asked(app: App) -> None:
    at = opened(app, steps_view=ATTENTION, steps_prompt="red apple")
    assert is_at_rest()
    assert "up to" not in shown(at)
    at.button(key="steps:attend").click().run()
    assert "steps:attend" not in [button.key for button in at.button], "it has been asked"
    assert "divides its attention" not in shown(at)
    settled(at)
    text = shown(at)
    assert "**red**" in text
    assert "**apple**" in text
    assert "startoftext" not in text
    at.toggle(key="steps:start and end").set_value(True).run()
    assert "startoftext" in shown(at)
    at.slider(key="steps:opacity").set_value(1.0).run()
    assert not messages(at)


def test_effects_only_when_asked_and_with_another_word(app: App) -> None:
    at = opened(app, steps_view=ATTENTION, steps_prompt="red apple")
    assert is_at_rest()
    at.button(key="steps:take out").click().run()
    settled(at)
    text = shown(at)
    for word in ("**red** · ", "**apple** · "):
        assert word in text
    assert "with the word left out" in text
    assert "Predicted x0 moves by" not in text
    at.segmented_control(key="steps:change").set_value("One UNet call").run()
    text = shown(at)
    assert text.count("Predicted x0 moves by") == 2
    at.select_slider(key="steps:effect call").set_value(2).run()
    assert shown(at) != text, "another call, other maps"
    at.toggle(key="steps:effect scale").set_value(False).run()
    assert not messages(at)
    at.text_input(key="steps_replacement").set_value("owl").run()
    assert "**red** · " not in shown(at), "another question"
    at.button(key="steps:take out").click().run()
    settled(at)
    assert "with the word replaced by “owl”" in shown(at)


def test_an_empty_prompt_has_no_words_to_leave_out(app: App) -> None:
    at = opened(app, steps_view=ATTENTION, steps_prompt="1.5, (:2)")
    assert "The prompt has no words" in shown(at)
    assert "steps:take out" not in [button.key for button in at.button]


def test_an_empty_prompt_has_no_words_to_map(app: App) -> None:
    at = opened(app, steps_view=ATTENTION, steps_prompt=" ")
    at.button(key="steps:attend").click().run()
    assert "The prompt has no words" in shown(settled(at))


def test_every_mistake_stands_beside_the_right_picture(app: App) -> None:
    at = opened(app, steps_view=BROKEN)
    assert headings(at) == [mistake.title for mistake in MISTAKES.values()]
    captions = [unescaped(caption.value) for caption in at.caption]
    assert captions.count("Right") == captions.count("Wrong") == len(MISTAKES)
    assert sum("They differ by" in caption for caption in captions) == len(MISTAKES)


def unfinished() -> list[str]:
    """The keys of the tasks that are not over."""
    return Tasks(Worker.shared(None).store).unfinished()


def test_another_view_stops_the_mistakes_that_nobody_looks_at(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = opened(app)

    def endless(*_: Any) -> Iterator[tuple[int, int]]:
        while True:
            yield 0, 1

    monkeypatch.setattr("core.diffusion.inside.mistakes.make_mistake", endless)
    at.segmented_control(key="steps_view").set_value(BROKEN).run()
    assert len(unfinished()) == len(MISTAKES)
    at.segmented_control(key="steps_view").set_value(FUTURE).run()
    assert unfinished() == []
    at.segmented_control(key="steps_view").set_value(BROKEN).run()
    assert len(unfinished()) == len(MISTAKES), "they begin again when they are looked at again"
    assert not [box for box in at.info if "stopped" in (box.proto.title or "")]
    at.segmented_control(key="steps_view").set_value(FUTURE).run()


@pytest.mark.parametrize(
    ("start", "end", "call", "said"),
    [
        ("0.5", "1", "1", "Guidance acts in calls 3 to 4 of 4"),
        ("0.3", "0.4", "1", "No call lies in the guidance interval, 0.3 to 0.4"),
        ("0.5", "0.5", "1", "No call lies in the guidance interval, 0.5 to 0.5"),
    ],
)
def test_a_call_outside_the_interval_says_so(
    app: App, start: str, end: str, call: str, said: str
) -> None:
    interval = {"steps_guidance_start": start, "steps_guidance_end": end, "steps_call": call}
    assert said in shown(opened(app, **interval))


@pytest.mark.parametrize(
    ("method", "label"), [("APG", "kept by the threshold"), ("CFG-Zero*", "s"), ("PAG", "|c − p|")]
)
def test_each_method_shows_its_formula_and_numbers(app: App, method: str, label: str) -> None:
    at = opened(app, steps_guidance_method=method)
    assert not messages(at)
    assert METHODS[method].formula in [one.value.strip("$\n ") for one in at.latex]
    assert any(one.label.startswith(label) for one in at.metric)
    assert METHODS[method].source in shown(at)
    at.slider(key="steps_scale").set_value(9.0).run()
    assert not at.exception


def test_guidance_1_has_no_arrow_and_says_why(app: App) -> None:
    at = opened(app, steps_guidance_scale="1")
    assert "there is no eps_u" in shown(at)
    assert "steps_scale" not in [slider.key for slider in at.slider]
    assert "Guidance is 1 or less" in shown(at)
    assert "no negative prompt is encoded" in shown(at)
    assert not messages(at)


def test_a_call_beyond_the_end_is_said_and_the_last_one_shown(app: App) -> None:
    at = opened(app, steps_call="50")
    (message,) = messages(at)
    assert "Call 50 is beyond the end: this run has 4" in message
    assert at.slider(key="steps_call").value == 4
    at.slider(key="steps_call").set_value(2).run()
    assert not messages(at.run())


def test_a_branch_beyond_the_end_is_said(app: App) -> None:
    at = opened(app, steps_view=FUTURE, steps_from="50", steps_other_guidance="2")
    assert at.slider(key="steps_from").value == 4
    assert "Changed from call 4 on" in shown(at)


def test_fewer_steps_bring_the_sliders_back_into_the_run(app: App) -> None:
    at = opened(app, steps_call="4")
    at.number_input(key="steps_num_inference_steps").set_value(2).run()
    settled(at)
    assert at.slider(key="steps_call").value == 2


def test_one_call_needs_no_slider(app: App) -> None:
    at = opened(app, steps_num_inference_steps="1")
    assert "steps_call" not in [slider.key for slider in at.slider]
    assert not messages(at)
    at = opened(app, steps_num_inference_steps="1", steps_view=FUTURE, steps_other_guidance="2")
    assert "Changed from call 1 on" in shown(at)


def test_a_prompt_too_long_says_what_is_never_seen(app: App) -> None:
    at = opened(app, steps_prompt=" ".join(["apple"] * 80))
    (message,) = messages(at)
    assert message.startswith("The prompt is too long")
    assert message.count("apple") == 5
    assert "Cut off, and ignored" in shown(at)


def test_a_prompt_is_shown_as_it_is(app: App) -> None:
    at = opened(app, steps_prompt="*a* <b>[x](y)", steps_view=ATTENTION)
    at.button(key="steps:attend").click().run()
    settled(at)
    assert not messages(at)
    assert not any("**<**" in one.value for one in at.caption), "escaped for Markdown"


def test_settings_that_cannot_run_are_said(app: App) -> None:
    at = opened(app, steps_num_inference_steps="1000", steps_scheduler="DPM++ 2M")
    assert any("use fewer" in message or "use at most" in message for message in messages(at))


def test_a_run_too_large_to_keep_is_said(app: App) -> None:
    at = opened(app, steps_num_inference_steps="500", steps_width="1024", steps_height="1024")
    (message,) = messages(at)
    assert "keeping every tensor of 500 calls" in message


BROKEN_LINKS = [
    ("view", "Nothing", "is not one of the choices"),
    ("call", "0", "is outside 1 to"),
    ("call", "two", "is not a whole number"),
    ("scale", "nan", "is outside"),
    ("from", "-1", "is outside 1 to"),
    ("other_guidance", "lots", "is not a number"),
    ("other_scheduler", "Euler b", "is not one of the choices"),
    ("seed", "many", "is not a whole number"),
    ("stepz", "1", "is not a parameter of this page"),
]


@pytest.mark.parametrize(("field", "text", "why"), BROKEN_LINKS)
def test_a_broken_parameter_is_said(app: App, field: str, text: str, why: str) -> None:
    at = opened(app, **{f"steps_{field}": text})
    (message,) = messages(at)
    assert f"steps_{field}" in message
    assert why in message


def test_a_stop_says_so_and_can_begin_again(app: App) -> None:
    at = app.open(STEPS.path, steps_num_inference_steps="200", steps_scheduler="DDIM")
    stop = next(button for button in at.button if button.label == "Stop")
    stop.click().run()
    wait_for(is_at_rest, PATIENCE)
    at.run()
    assert [box.proto.title for box in at.info] == ["Running step by step: stopped"]
    again = next(button for button in at.button if button.label == "Start again")
    at.number_input(key="steps_num_inference_steps").set_value(2)
    assert again.label == "Start again"
    settled(at.run())
    assert [heading[0] for heading in headings(at)] == list("123456")


def test_settings_that_changed_stop_what_nobody_looks_at(app: App) -> None:
    at = app.open(STEPS.path, steps_num_inference_steps="300", steps_scheduler="DDIM")
    assert not is_at_rest()
    at.number_input(key="steps_num_inference_steps").set_value(2).run()
    settled(at)
    assert at.slider(key="steps_call").max == 2
    at.number_input(key="steps_num_inference_steps").set_value(300).run()
    assert at.progress, "what was stopped begins again when it is asked for"


def test_a_stored_picture_is_sent_here(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    image = app.put(
        seed=9, prompt="a lion", scheduler="Euler", num_inference_steps=3, guidance_scale=2.5
    )
    gone: dict[str, Any] = {}
    state: dict[str, Any] = {}
    monkeypatch.setattr(
        "ui.send.st.switch_page",
        lambda path, query_params: gone.update(path=path, query=query_params),
    )
    monkeypatch.setattr("ui.send.st.session_state", state)
    monkeypatch.setattr("ui.links.st.session_state", state)
    send(None, image, STEPS)  # type: ignore[arg-type]
    assert gone["path"] == STEPS.path
    at = settled(app.open(STEPS.path, **gone["query"]))
    assert not messages(at)
    assert "Seed 9 · 3 steps of Euler · guidance 2.5" in shown(at)
    assert at.dataframe[0].value["Token"].tolist()[1:3] == ["a", "lion"]


def test_the_notebook_is_of_this_run(app: App) -> None:
    at = opened(app, steps_seed="8", steps_guidance_scale="2.5")
    (button,) = at.get("download_button")
    assert button.proto.label == "Notebook"


def test_settings_that_cannot_run_have_no_notebook(app: App) -> None:
    at = app.open(STEPS.path, **QUICK)
    at.number_input(key="steps_width").set_value(5000).run()
    (button,) = at.get("download_button")
    assert button.proto.disabled
    assert "cannot run" in button.proto.help
    assert any("Width" in message for message in messages(at))
    at.number_input(key="steps_width").set_value(128).run()
    settled(at)
    assert not at.get("download_button")[0].proto.disabled


def test_every_scheduler_can_be_taken_apart(app: App) -> None:
    at = opened(app, steps_num_inference_steps="2")
    for name, row in SCHEDULERS.items():
        at.selectbox(key="steps_scheduler").set_value(name).run()
        settled(at)
        assert not messages(at), name
        assert row.note in shown(at)
