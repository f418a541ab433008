"""Rows of GLOSSARY: the parts of a model."""

from __future__ import annotations

from core.glossary.term import Seen, Term, sweep

MODEL_WORDS = (
    Term(
        key="diffusion-model",
        name="Diffusion model",
        group="Model",
        also=("denoising", "DDPM"),
        what="A network that has learned to predict the noise in a noisy picture, at every amount "
        "of noise.",
        more="Applied again and again to pure noise, it arrives at a picture like those that it "
        "was trained on.",
        source="Sohl-Dickstein et al. 2015; Ho et al. 2020",
        seen=Seen(page="Film"),
        related=("latent", "unet", "noise"),
    ),
    Term(
        key="latent",
        name="Latents",
        group="Model",
        symbol="x",
        also=("latent space", "latent diffusion", "size", "resolution"),
        what="The compressed form of a picture in which a latent diffusion model works, instead of "
        "its pixels.",
        more="In Stable Diffusion one place of the latents, with four channels, stands for 8 × 8 "
        "pixels.",
        source="Rombach et al. 2022, sec. 3.1",
        seen=Seen(page="Latents"),
        settings=("width", "height"),
        related=("vae", "channel", "latent-rms"),
    ),
    Term(
        key="channel",
        name="Channel",
        group="Model",
        what="One of the numbers that the latents hold at each place: Stable Diffusion has four.",
        more="The colours of the picture are nearly a linear map of them, so that each can be "
        "looked at by itself.",
        source="Keturn 2022, Hugging Face forum",
        seen=Seen(page="Latents", values={"show": "Latents"}),
        settings=("variation_channel",),
        figures=("channels",),
        related=("latent",),
    ),
    Term(
        key="vae",
        name="VAE",
        group="Model",
        symbol=r"\mathcal{E},\ \mathcal{D}",
        also=("variational autoencoder", "encoder", "decoder"),
        what="The autoencoder whose encoder turns a picture into latents, and whose decoder turns "
        "latents into a picture.",
        more="It loses fine detail: a picture that is encoded and decoded again is not quite the "
        "same.",
        source="Kingma and Welling 2014; Rombach et al. 2022",
        seen=Seen(page="Image to image", values={"strength": "0.0"}),
        settings=("strength", "vae"),
        related=("latent", "scaling-factor", "posterior"),
    ),
    Term(
        key="scaling-factor",
        name="Scaling factor",
        group="Model",
        what="The number by which latents are multiplied after the encoder, and divided before "
        "the decoder.",
        more="It brings them to about unit variance, which the UNet expects: 0.18215 in Stable "
        "Diffusion 1.",
        source="diffusers, AutoencoderKL: config.scaling_factor",
        seen=Seen(page="Step by step", values={"view": "Mistakes"}),
        related=("vae", "latent"),
    ),
    Term(
        key="unet",
        name="U-Net",
        group="Model",
        symbol=r"\varepsilon_\theta(x, t, c)",
        also=("UNet",),
        what="The network that is given noisy latents, a timestep and the prompt's embeddings, and "
        "makes the prediction of a step.",
        more="It halves the resolution several times on its way down and doubles it on its way up, "
        "with connections across.",
        source="Ronneberger et al. 2015; Rombach et al. 2022",
        seen=Seen(page="Step by step"),
        settings=("pag_layers",),
        related=("unet-call", "cross-attention"),
    ),
    Term(
        key="unet-call",
        name="UNet call",
        group="Model",
        also=("UNet rows", "NFE", "computing time"),
        what="One evaluation of the network; with guidance it is given two rows, one with the "
        "prompt and one without.",
        more="Most schedulers make one call a step; Heun and DPM2 make two in all but the last.",
        source="diffusers, UNet2DConditionModel",
        seen=Seen(page="Schedulers", values={"names": ["Euler", "Heun"], "steps": "10"}),
        quantities=("seconds", "unet_rows"),
        figures=("order",),
        related=("unet", "steps"),
    ),
    Term(
        key="text-encoder",
        name="Text encoder",
        group="Model",
        what="The transformer that turns the tokens of a prompt into embeddings, one vector for "
        "each.",
        more="A token's vector also carries the words before it, and never those after: the "
        "encoder's attention is masked.",
        source="Radford et al. 2021, sec. 2.4",
        seen=Seen(page="Step by step", values={"view": "Attention"}),
        related=("clip", "token", "embedding", "clip-skip"),
    ),
    Term(
        key="clip",
        name="CLIP",
        group="Model",
        what="A text encoder and a picture encoder, trained together so that a picture and its "
        "caption get similar vectors.",
        more="Stable Diffusion 1 reads prompts with its text encoder, and the CLIP score compares "
        "the vectors of both.",
        source="Radford et al. 2021",
        seen=sweep("guidance_scale", view="Numbers"),
        quantities=("clip_cosine",),
        related=("text-encoder", "clip-score"),
    ),
    Term(
        key="clip-skip",
        name="Clip skip",
        group="Model",
        what="Leaves out so many of the text encoder's last layers, and uses what the layer before "
        "them gives.",
        more="diffusers counts 0 where none is left out; AUTOMATIC1111 writes 1 for the same.",
        source="diffusers, StableDiffusionPipeline.encode_prompt",
        seen=sweep("clip_skip"),
        settings=("clip_skip",),
        related=("text-encoder", "clip"),
    ),
    Term(
        key="checkpoint",
        name="Checkpoint",
        group="Model",
        also=("model", "weights", "safetensors"),
        what="The trained weights of a model, as one file or as a folder of its parts.",
        more="Here only safetensors files are read, a format that holds numbers and no code.",
        source="diffusers, from_pretrained and from_single_file",
        seen=Seen(page="Generate"),
        settings=("model",),
        related=("lora", "distillation"),
    ),
    Term(
        key="lora",
        name="LoRA",
        group="Model",
        symbol=r"W + w\,\tfrac{\alpha}{r}\,BA",
        also=("low-rank adaptation", "adapter"),
        what="A small file that changes some of a model's weight matrices, each by a product of "
        "two narrow ones.",
        more="Its weight scales the change: 0 is the model itself, 1 is the change as it was "
        "trained.",
        source="Hu et al. 2021",
        seen=Seen(page="Generate"),
        settings=("loras",),
        related=("checkpoint",),
    ),
    Term(
        key="distillation",
        name="Distilled model",
        group="Model",
        also=("Turbo", "LCM", "latent consistency model"),
        what="A model trained to reach in one or a few calls what its teacher needs many for.",
        more="Turbo models run without guidance, and latent consistency models take the guidance "
        "scale as an input.",
        source="Luo et al. 2023 (LCM); Sauer et al. 2023 (Turbo)",
        seen=Seen(page="Generate"),
        settings=("model",),
        related=("checkpoint", "steps"),
    ),
    Term(
        key="cross-attention",
        name="Cross-attention",
        group="Model",
        symbol=r"\mathrm{softmax}(QK^\top/\sqrt{d})\,V",
        what="Layers of the UNet in which each place of the picture looks at the prompt's tokens, "
        "and takes in their values.",
        more="In self-attention the places of the picture look at each other instead.",
        source="Vaswani et al. 2017; Rombach et al. 2022, sec. 3.3",
        seen=Seen(page="Step by step", values={"view": "Attention"}),
        related=("attention-map", "self-attention"),
    ),
    Term(
        key="self-attention",
        name="Self-attention",
        group="Model",
        symbol=r"\mathrm{softmax}(QK^\top/\sqrt{d})\,V",
        what="Layers in which each place of the picture looks at all the others, and takes in "
        "their values.",
        more="Perturbed attention replaces it in some layers, so that each place sees itself "
        "alone.",
        source="Vaswani et al. 2017",
        seen=sweep("pag_layers", guidance_method="PAG"),
        settings=("pag_layers",),
        related=("cross-attention", "pag"),
    ),
    Term(
        key="attention-map",
        name="Attention map",
        group="Model",
        also=("DAAM",),
        what="How much each place of the picture attends to a token, averaged over heads and "
        "layers of the UNet's cross-attention.",
        more="It says where the picture looks, which is not the same as what the word changes.",
        source="Tang et al. 2023 (DAAM)",
        seen=Seen(page="Step by step", values={"view": "Attention"}),
        related=("effect-map", "cross-attention"),
    ),
    Term(
        key="effect-map",
        name="Effect map",
        group="Model",
        also=("effect of a word",),
        what="Where the picture changes when a word is left out of the prompt, or replaced, with "
        "the same noise.",
        more="It need not agree with the attention map: attention is not the same as effect.",
        source="Jain and Wallace 2019, for language models",
        seen=Seen(page="Step by step", values={"view": "Attention"}),
        related=("attention-map",),
    ),
)
