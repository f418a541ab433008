"""Samplers and spacings as k-diffusion, diffusers and other tools name them -> AUTOMATIC1111's."""

from __future__ import annotations

_SAMPLERS = {
    "euler": "Euler",
    "euler_a": "Euler a",
    "euler_ancestral": "Euler a",
    "eulerdiscretescheduler": "Euler",
    "eulerancestraldiscretescheduler": "Euler a",
    "heun": "Heun",
    "heundiscretescheduler": "Heun",
    "lms": "LMS",
    "lmsdiscretescheduler": "LMS",
    "plms": "PLMS",
    "pndm": "PLMS",
    "pndmscheduler": "PLMS",
    "ddim": "DDIM",
    "ddimscheduler": "DDIM",
    "dpm2": "DPM2",
    "dpm_2": "DPM2",
    "dpm2_a": "DPM2 a",
    "dpm_2_ancestral": "DPM2 a",
    "dpm2_ancestral": "DPM2 a",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmsolvermultistepscheduler": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "uni_pc": "UniPC",
    "unipc": "UniPC",
    "unipcmultistepscheduler": "UniPC",
    "deis": "DEIS",
    "lcm": "LCM",
    "lcmscheduler": "LCM",
}
_SPACINGS = ("karras", "exponential", "polyexponential", "sgm_uniform")
_TITLES = {
    "karras": "Karras",
    "exponential": "Exponential",
    "beta": "Beta",
    "sgm_uniform": "SGM Uniform",
}
_PLAIN = ("normal", "native", "none", "default", "automatic", "uniform", "discrete", "")
"""Spacings that are the model's own."""


def web_ui_names(sampler: str, schedule: str = "") -> tuple[str, str]:
    """AUTOMATIC1111's sampler and schedule type; both as they came where the sampler is unknown.

    A spacing may stand at the sampler's end ("dpmpp_2m_karras"; InvokeAI's "dpmpp_2m_k").
    """
    key = sampler.strip().lower().replace(" ", "_").removeprefix("k_").removeprefix("sample_")
    key = key.removesuffix("_gpu")
    spacing = _spacing(schedule)
    if key not in _SAMPLERS:
        for ending in (*_SPACINGS, "k"):
            if key.removesuffix("_" + ending) in _SAMPLERS:
                key = key.removesuffix("_" + ending)
                spacing = spacing or _spacing("karras" if ending == "k" else ending)
                break
    if key not in _SAMPLERS:
        return sampler.strip(), spacing
    if key == "ddim" and spacing.lower() == "ddim_uniform":
        spacing = ""  # the spacing that DDIM has anyway
    return _SAMPLERS[key], spacing


def _spacing(schedule: str) -> str:
    name = schedule.strip()
    if name.lower() in _PLAIN:
        return ""
    return _TITLES.get(name.lower(), name)
