"""What another VAE adds to the program: loading it from beside the program."""

from __future__ import annotations

from core.diffusion.models.vae.files import VaeFile

_NOTE = "# A VAE in place of the model's own, from beside this program: {sha}…\n"

_FOLDER = """\
pipe.vae = {cls}.from_pretrained({name!r}{variant}, dtype=pipe.unet.dtype).to(device)
"""

_FILE = """\
# The file says nothing of its layers: they are those of the model's own VAE.
pipe.vae.save_config("vae_config")
pipe.vae = {cls}.from_single_file(
    {name!r}, config="vae_config", dtype=pipe.unet.dtype
).to(device)
"""

_TINY_FILE = """\
tiny = AutoencoderTiny(latent_channels={channels})
tiny.load_state_dict(load_file({name!r}))
pipe.vae = tiny.eval().to(device, pipe.unet.dtype)
"""


def vae_text(vae: VaeFile | None) -> str:
    """Loading it, once the pipeline is there."""
    if vae is None:
        return ""
    is_tiny = vae.layout.class_name == "AutoencoderTiny"
    text = _FOLDER if vae.is_folder else _TINY_FILE if is_tiny else _FILE
    sha = f"SHA-256 {vae.sha[:12]}" if not vae.is_folder else f"SHA-256 of its weights {vae.short}"
    return _NOTE.format(sha=sha) + text.format(
        cls=vae.layout.class_name,
        name=vae.path.name,
        channels=vae.layout.channels,
        variant=f", variant={vae.variant!r}" if vae.variant else "",
    )


def vae_import(vae: VaeFile | None) -> tuple[str, str]:
    """The class before the others of diffusers, and a line of its own, as source text."""
    if vae is None:
        return "", ""
    needs_file = vae.layout.class_name == "AutoencoderTiny" and not vae.is_folder
    line = "from safetensors.torch import load_file\n" if needs_file else ""
    return f"{vae.layout.class_name}, ", line


def encoded_by(vae: VaeFile | None, program: str) -> str:
    """The program as the VAE is asked: a tiny one gives latents without a distribution."""
    if vae is None or vae.layout.class_name != "AutoencoderTiny":
        return program
    for drawn in (".latent_dist.mean", ".latent_dist.sample(generator)"):
        program = program.replace(drawn, ".latents")
    return program
