"""Rows of GLOSSARY: how a run goes from noise to picture."""

from __future__ import annotations

from core.glossary.term import Seen, Term, sweep

SAMPLER_WORDS = (
    Term(
        key="scheduler",
        name="Scheduler",
        group="Sampler",
        also=("sampler", "solver"),
        what="The rule that says which noise levels a run visits, and how each prediction moves "
        "the latents to the next.",
        more="diffusers calls it a scheduler, AUTOMATIC1111 a sampler with a schedule type.",
        source="diffusers, SchedulerMixin; Karras et al. 2022, table 1",
        seen=Seen(page="Schedulers"),
        settings=("scheduler", "match_noise"),
        figures=("places", "order"),
        related=("steps", "ddim", "sigma-schedule"),
    ),
    Term(
        key="steps",
        name="Steps",
        group="Sampler",
        also=("num_inference_steps", "denoising step"),
        what="Transitions from one noise level to the next lower one, from the noise to the "
        "picture.",
        more="Image to image runs only its share of them, and Heun needs two UNet calls for each "
        "but the last.",
        source="diffusers, num_inference_steps and get_timesteps",
        seen=sweep("num_inference_steps"),
        settings=("num_inference_steps", "exact_steps"),
        figures=("order",),
        related=("unet-call", "solver-order", "strength"),
    ),
    Term(
        key="snapshot",
        name="Snapshot",
        group="Sampler",
        what="The picture that the model predicts after so many calls of a longer run, decoded.",
        more="It is not what a run of so few steps would give: that one has other noise levels.",
        source="Song et al. 2021 (DDIM), eq. 12",
        seen=sweep("snapshot"),
        settings=("snapshot",),
        related=("x0", "steps"),
    ),
    Term(
        key="ddim",
        name="DDIM",
        group="Sampler",
        symbol=r"\sqrt{\bar\alpha'}\,\hat x_0 + \sqrt{1-\bar\alpha'}\,\hat\varepsilon",
        what="The plainest scheduler: it predicts the picture, and puts the same predicted noise "
        "back at the next level.",
        more="With eta 0 it draws no fresh noise, so that it can also be run backwards.",
        source="Song et al. 2021 (DDIM), eq. 12",
        seen=Seen(page="Step by step", values={"scheduler": "DDIM"}),
        settings=("scheduler",),
        related=("eta", "ode", "inversion"),
    ),
    Term(
        key="ode",
        name="Probability-flow ODE",
        group="Sampler",
        also=("ordinary differential equation", "deterministic"),
        what="An equation without randomness, along which noise becomes pictures of the same "
        "distribution as the model's.",
        more="DDIM, Euler, Heun and DPM++ 2M solve it in steps, and more steps come closer to its "
        "solution.",
        source="Song et al. 2021 (score SDE), sec. 4.3",
        seen=sweep("num_inference_steps", scheduler="Euler", view="Numbers"),
        settings=("scheduler",),
        related=("sde", "solver-order"),
    ),
    Term(
        key="sde",
        name="Ancestral sampling, SDE",
        group="Sampler",
        also=("stochastic differential equation", "Euler a", "ancestral"),
        what="Steps that remove more noise than they have to, and add fresh noise up to the next "
        "level.",
        more="Another number of steps draws other noise, so that the picture does not settle as "
        "they grow.",
        source="Song et al. 2021 (score SDE); k-diffusion, get_ancestral_step",
        seen=sweep("num_inference_steps", scheduler="Euler a"),
        settings=("eta",),
        related=("ode", "eta", "churn"),
    ),
    Term(
        key="eta",
        name="Eta",
        group="Sampler",
        symbol=r"\eta",
        what="How much fresh noise a step adds: 0 is none, 1 as much as ancestral sampling.",
        more="For DDIM 1 is the noise of the original diffusion sampler, DDPM.",
        source="Song et al. 2021 (DDIM), eq. 16",
        seen=sweep("eta", scheduler="DDIM"),
        settings=("eta",),
        related=("ddim", "sde"),
    ),
    Term(
        key="churn",
        name="Sigma churn",
        group="Sampler",
        symbol=r"\gamma = \min(S_\mathrm{churn}/N,\ \sqrt2 - 1)",
        also=("s_churn",),
        what="Adds noise before a step of Euler or Heun, which raises sigma by the factor 1 + γ, "
        "and removes it again.",
        more="The fresh noise can correct errors of earlier steps, at the price of a result that "
        "is random.",
        source="Karras et al. 2022, algorithm 2",
        seen=sweep("s_churn", scheduler="Euler"),
        settings=("s_churn",),
        related=("sde", "sigma"),
    ),
    Term(
        key="solver-order",
        name="Solver order",
        group="Sampler",
        also=("first order", "second order", "midpoint", "convergence"),
        what="How fast a solver's error falls: with order p it is 2ᵖ times smaller at twice as "
        "many steps.",
        more="DPM++ reaches order 2 by its last two predictions, Heun by a second call.",
        source="Lu et al. 2022 (DPM-Solver++); Karras et al. 2022",
        seen=sweep("solver_order", view="Numbers"),
        settings=("solver_order", "solver_type", "lower_order_final"),
        figures=("convergence",),
        related=("steps", "ode"),
    ),
    Term(
        key="sigma-schedule",
        name="Sigma schedule",
        group="Sampler",
        also=("schedule type", "exponential", "beta"),
        what="The noise levels between the largest and the smallest that the steps of a run end "
        "at.",
        more="They follow from the timesteps, or from a formula of their own: Karras, exponential "
        "or beta.",
        source="diffusers, use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas",
        seen=Seen(
            page="Schedulers",
            values={"names": ["Euler"], "levels": ["Own", "Karras", "Exponential", "Beta"]},
        ),
        settings=("sigma_schedule", "final_sigmas_type"),
        figures=("places", "order"),
        related=("karras", "timestep-spacing", "sigma"),
    ),
    Term(
        key="karras",
        name="Karras schedule",
        group="Sampler",
        symbol=r"\sigma_i = \left(\sigma_\mathrm{max}^{1/7} + \tfrac{i}{N-1}"
        r"(\sigma_\mathrm{min}^{1/7} - \sigma_\mathrm{max}^{1/7})\right)^7",
        also=("Karras sigmas",),
        what="Noise levels that are evenly spaced in the seventh root of sigma.",
        more="Against levels that are evenly spaced in sigma, more of them lie at low noise.",
        source="Karras et al. 2022, eq. 5",
        seen=Seen(page="Schedulers", values={"names": ["Euler"], "levels": ["Own", "Karras"]}),
        settings=("sigma_schedule",),
        related=("sigma-schedule", "sigma"),
    ),
    Term(
        key="timestep-spacing",
        name="Timestep spacing",
        group="Sampler",
        also=("leading", "trailing", "linspace"),
        what="Which of the model's timesteps a run visits: trailing begins at the last, leading "
        "before it, linspace has both ends.",
        more="Leading, Stable Diffusion's own, begins below the model's noisiest level.",
        source="Lin et al. 2023, table 2",
        seen=Seen(
            page="Schedulers",
            values={"names": ["DDIM"], "spacing": ["leading", "trailing", "linspace"]},
        ),
        settings=("timestep_spacing",),
        figures=("places",),
        related=("timestep", "zero-terminal-snr"),
    ),
)
