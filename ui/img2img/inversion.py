"""The Inversion view: a source to the noise that DDIM makes it from, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.inside.inverting import inversion_problems, inverted_settings
from core.diffusion.models.load import ModelError, describe
from core.diffusion.settings import GenerationSettings
from core.exports.films.inversion_film import InversionFilm
from core.output.figures.genealogy_figure import distance_figure
from core.runs.queue.tasks import TaskRequest
from ui.catalog import FILM
from ui.img2img.form import PREFIX, Form, key
from ui.links import BOUND
from ui.runs.film_files import film_download, film_file
from ui.runs.tasks import await_task, request_of
from ui.runtime import Runtime
from ui.views import problem_lines, show_error

if TYPE_CHECKING:
    from core.diffusion.inside.inversion import Inversion, InversionError

ASKED = f"{PREFIX}:inversion"
FILMED = f"{PREFIX}:inversion_filmed"
WIDEST_FILM = 640
LADDER = (5, 10, 20, 40)
"""Numbers of steps whose error is plotted, beside that of the run."""

LEVELS = tuple(digit * 10.0**power for power in range(-4, 3) for digit in (1, 2, 5))
"""Where the axis of the error has its lines."""

METHOD = (
    "DDIM's steps are run backwards, from the mean of the source's latents to noise, with the "
    "prompt at guidance 1; then DDIM makes the picture again from that noise (Song et al. 2021). "
    "It is DDIM's whatever scheduler is chosen; strength, seed and mask have no part in it."
)
OVER_STEPS = (
    "Each step backwards takes the prediction at its beginning for the one at its end: at "
    "guidance 1 the error mostly falls as the steps grow (Song et al. 2021). Above 1 the way back "
    "is not the way that was inverted, and more steps need not bring the source back (Mokady et "
    "al. 2023)."
)


def show_inversion(runtime: Runtime, form: Form, button: DeltaGenerator) -> None:
    """The noise of the source and what comes back from it; begun by the button alone."""
    st.caption(METHOD)
    edit = st.text_input(
        "Edit prompt",
        key=key("edit"),
        placeholder="The prompt with a word changed, to make another picture from the same noise",
        help="Made from the noise of the source, at the guidance scale of the settings.",
        **BOUND,
    )
    settings = inverted_settings(form.settings)
    problem = _problem(settings)
    request: TaskRequest | None = None
    if not problem:
        runtime.tasks.keep_source(form.source.array)
        request = request_of("inversion", settings, edit=(edit or "").strip())
    state = runtime.tasks.state(request.key) if request else None
    is_done = state is not None and state.state == "done"
    is_asked = request is not None and (is_done or st.session_state.get(ASKED) == request.key)
    with button:
        st.button(
            "Invert",
            key=f"{PREFIX}:invert",
            type="primary",
            icon=":material/swap_horiz:",
            shortcut="Ctrl+Enter",
            disabled=request is None or is_asked,
            help="See what is wrong below." if problem else None,
            on_click=_ask,
            args=(request.key if request else "",),
        )
    if problem:
        show_error("Cannot be inverted", problem)
        return
    if request is None or not is_asked:
        st.info("Press Invert: the source is taken to noise, and made again from it.")
        return
    found: Inversion | None = await_task(runtime, request)
    if found is None:
        return
    _show_pictures(found, (edit or "").strip())
    _show_film(runtime, settings, (edit or "").strip())
    _show_errors(runtime, found, settings)


def _problem(settings: GenerationSettings) -> str:
    """Why it cannot run, as far as is known without the weights; "" if it can."""
    try:
        info = describe(settings.model)
    except ModelError as error:
        return str(error)
    return problem_lines(inversion_problems(settings, info))


def _show_pictures(found: Inversion, edit: str) -> None:
    error, scale = found.error, found.settings.guidance_scale
    is_guided = scale > 1
    pictures = [
        (found.vae, "The source, encoded and decoded by the VAE"),
        (found.unguided, f"Guidance 1: PSNR {error.psnr_unguided:.1f} dB"),
    ]
    if is_guided:
        pictures.append((found.guided, f"Guidance {scale:g}: PSNR {error.psnr_guided:.1f} dB"))
    if found.edited is not None:
        pictures.append((found.edited, f"The edit, guidance {scale:g}"))
    grid = st.grid("auto", min_column_width=128, gap="small")
    for picture, words in pictures:
        with grid.cell(), st.container(gap="xxsmall"):
            st.image(picture, width="stretch", output_format="PNG", alt=words)
            st.caption(words)
    noise = found.noise
    st.caption(
        f"The noise after {error.steps} steps: mean {noise.mean():.2f}, standard deviation "
        f"{noise.std():.2f}; noise drawn for a picture has 0 and 1."
    )
    if not is_guided:
        st.caption("At a guidance scale of 1 or less there is no guidance that could break it.")


def _show_film(runtime: Runtime, settings: GenerationSettings, edit: str) -> None:
    """The film, once it is asked for; it is kept, and then there at once."""
    fingerprint = describe(settings.model).fingerprint
    film = InversionFilm(settings=settings, edit=edit, fingerprint=fingerprint)
    request = request_of("inversion film", settings, edit=edit, fingerprint=fingerprint)
    if film.find(runtime.store) is None and st.session_state.get(FILMED) != request.key:
        st.button(
            "Film",
            key=f"{PREFIX}:inversion film",
            icon=FILM.icon,
            help="The source going to noise and coming back, step by step.",
            on_click=_film,
            args=(request.key,),
        )
        return
    path = film_file(runtime, request, lambda: film.find(runtime.store), "Making the film")
    if path is None:
        return
    place = st.container(horizontal_alignment="center")
    with place:
        st.video(
            path,
            autoplay=True,
            loop=True,
            muted=True,
            width=WIDEST_FILM,
            alt=f"The source goes to noise in {settings.num_inference_steps} steps and comes back",
        )
    film_download(place, path, "MP4", f"lightbox-inversion-{path.stem[:8]}.mp4", "video/mp4")


def _film(request: str) -> None:
    st.session_state[FILMED] = request


def _show_errors(runtime: Runtime, found: Inversion, settings: GenerationSettings) -> None:
    steps = sorted({*LADDER, found.error.steps})
    errors: list[InversionError] | None = await_task(
        runtime, request_of("inversion errors", settings, steps=steps)
    )
    if errors is None:
        return
    scale = settings.guidance_scale
    lines = {"Guidance 1": [(float(one.steps), one.rms_unguided) for one in errors]}
    if scale > 1:
        guided = [(float(one.steps), one.rms_guided) for one in errors]
        lines[f"Guidance {scale:g}"] = guided
    figure = distance_figure(lines, "Steps", "RMS error of the latents")
    figure.update_xaxes(type="log", tickvals=steps, ticktext=[str(one) for one in steps])
    figure.update_yaxes(type="log", tickvals=LEVELS, ticktext=[f"{one:g}" for one in LEVELS])
    st.plotly_chart(figure, key=f"{PREFIX}:inversion error", width="stretch")
    st.caption(OVER_STEPS)


def _ask(request: str) -> None:
    st.session_state[ASKED] = request
