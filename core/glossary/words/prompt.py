"""Rows of GLOSSARY: prompts, and pictures as sources."""

from __future__ import annotations

from core.glossary.term import PROMPT, Seen, Term, sweep

PROMPT_WORDS = (
    Term(
        key="prompt",
        name="Prompt",
        group="Prompt",
        what="The text that says what the picture shows; the UNet is told it through the text "
        "encoder's embeddings.",
        more="The bundled model knows the words of its training captions alone; Vocabulary, below "
        "the prompt, lists them.",
        source="Rombach et al. 2022, sec. 3.3",
        seen=Seen(page="Generate", values={"prompt": PROMPT}),
        settings=("prompt",),
        related=("token", "embedding", "negative-prompt"),
    ),
    Term(
        key="token",
        name="Token",
        group="Prompt",
        also=("tokenizer", "byte pair encoding"),
        what="A piece of text that the text encoder knows by a number: a word, part of one, or a "
        "sign.",
        more="CLIP reads 77 of them, of which two mark the beginning and the end; the rest is cut "
        "off.",
        source="Radford et al. 2021, sec. 2.4; Sennrich et al. 2016",
        seen=Seen(page="Step by step"),
        settings=("prompt",),
        related=("text-encoder", "embedding"),
    ),
    Term(
        key="embedding",
        name="Prompt embeddings",
        group="Prompt",
        symbol="c",
        also=("prompt_embeds", "conditioning"),
        what="The vectors that the text encoder makes of a prompt, one for each token.",
        more="A straight line between those of two prompts blends them, which is what Prompt blend "
        "does.",
        source="diffusers, encode_prompt",
        seen=sweep("prompt_blend", prompt_2="a robot on a pink background"),
        settings=("prompt_2", "prompt_blend"),
        related=("text-encoder", "token"),
    ),
    Term(
        key="prompt-weight",
        name="Prompt weight",
        group="Prompt",
        also=("emphasis", "attention brackets"),
        what="(word:1.3) multiplies the embeddings of the word's tokens by 1.3, as in "
        "AUTOMATIC1111.",
        more="The mean of all embeddings is then restored, unless Emphasis is No norm or the mean "
        "is close to zero.",
        source="AUTOMATIC1111, modules/sd_emphasis.py",
        seen=sweep("emphasis", prompt="a (red:1.4) apple on a blue background, flat style"),
        settings=("emphasis",),
        related=("prompt", "embedding"),
    ),
    Term(
        key="prompt-editing",
        name="Prompt editing",
        group="Prompt",
        also=("prompt scheduling", "alternating words"),
        what="[red:blue:0.5] says red up to half of the steps and blue after; [cow|horse] takes "
        "turns.",
        more="What is said first decides the coarse shapes, since they settle first.",
        source="AUTOMATIC1111, modules/prompt_parser.py; Choi et al. 2022",
        seen=Seen(
            page="Generate", values={"prompt": "a [red:blue:0.5] apple on a white background"}
        ),
        settings=("prompt",),
        related=("prompt", "settling"),
    ),
    Term(
        key="composition",
        name="AND (composed prompts)",
        group="Prompt",
        also=("composable diffusion",),
        what="Adds up the differences that several prompts make to the prediction of the negative "
        "prompt.",
        more="Each part has a weight of its own, and costs a row of the UNet.",
        source="Liu et al. 2022",
        seen=Seen(page="Generate", values={"prompt": "a cat AND a red background :0.5"}),
        settings=("prompt",),
        related=("cfg", "negative-prompt"),
    ),
    Term(
        key="wildcard",
        name="Wildcard",
        group="Prompt",
        also=("dynamic prompts", "choices"),
        what="{red|blue} is one of its options, and __animal__ a line of a file of that name.",
        more="Each seed draws its own; along an axis of a sweep every option is a value.",
        source="The dynamic prompts extension of AUTOMATIC1111",
        seen=sweep("prompt", "a {red|blue|green} apple on a white background"),
        settings=("prompt",),
        related=("prompt", "seed"),
    ),
    Term(
        key="img2img",
        name="Image to image",
        group="Source",
        also=("SDEdit", "source picture"),
        what="Starts from a picture with noise added, instead of from noise alone, and denoises it "
        "with a prompt.",
        more="What the noise leaves of the picture, its coarse shapes, stays; the rest is new.",
        source="Meng et al. 2022 (SDEdit)",
        seen=Seen(page="Image to image"),
        settings=("init_image", "match_noise"),
        related=("strength", "inpainting", "vae"),
    ),
    Term(
        key="strength",
        name="Strength",
        group="Source",
        symbol=r"\min(\lfloor n\,s\rfloor,\ n)",
        also=("denoising strength",),
        what="How much noise a source gets: the share of the steps that is run, rounded down.",
        more="0 is the source encoded and decoded by the VAE; 1 runs all steps.",
        source="diffusers, StableDiffusionImg2ImgPipeline.get_timesteps",
        seen=Seen(page="Image to image", values={"view": "Strength strip"}),
        settings=("strength", "exact_steps", "match_noise"),
        related=("img2img", "steps"),
    ),
    Term(
        key="posterior",
        name="Posterior of the VAE",
        group="Source",
        symbol=r"z = \mu + \sigma_z\,\varepsilon",
        what="What the VAE's encoder gives for a picture: a mean and a deviation for each number "
        "of the latents.",
        more="diffusers draws the source's latents from it by the seed; the other choice is "
        "their mean.",
        source="Kingma and Welling 2014; diffusers, DiagonalGaussianDistribution",
        seen=Seen(page="Image to image"),
        settings=("posterior",),
        related=("vae", "img2img"),
    ),
    Term(
        key="inpainting",
        name="Inpainting",
        group="Source",
        what="Changes a picture within a mask alone: after each step the rest is put back, noised "
        "to that level.",
        more="It works with any model; Only masked enlarges the area around the mask to the whole "
        "size.",
        source="diffusers, StableDiffusionInpaintPipeline; Lugmayr et al. 2022",
        seen=Seen(page="Image to image", values={"masked": "true", "mask_from": "Draw"}),
        settings=("mask_image", "masked_only", "masked_padding"),
        related=("mask", "img2img"),
    ),
    Term(
        key="mask",
        name="Mask",
        group="Source",
        symbol="m",
        also=("brush",),
        what="A grey picture that says what inpainting changes: white changes, black is kept.",
        more="It may grow, shrink or be blurred; binary masks are cut at one half after that.",
        source="diffusers, VaeImageProcessor.blur",
        seen=Seen(page="Image to image", values={"masked": "true", "mask_from": "Draw"}),
        settings=("mask_image", "mask_grow", "mask_blur"),
        related=("inpainting", "differential-mask"),
    ),
    Term(
        key="differential-mask",
        name="Differential mask",
        group="Source",
        also=("differential diffusion", "soft inpainting"),
        what="A mask whose grey says how far a place may change, by the step from which it is set "
        "free.",
        more="Half grey changes in the second half of the steps alone.",
        source="Levin and Fried 2023",
        seen=Seen(
            page="Image to image",
            values={"masked": "true", "mask_from": "Draw", "mask_mode": "differential"},
        ),
        settings=("mask_mode",),
        related=("mask", "inpainting"),
    ),
    Term(
        key="inversion",
        name="DDIM inversion",
        group="Source",
        what="Runs DDIM backwards, from a picture to the noise that would lead to it.",
        more="Each step assumes that the prediction has not changed since the last, an error that "
        "guidance enlarges.",
        source="Song et al. 2021 (DDIM); Mokady et al. 2022; diffusers, DDIMInverseScheduler",
        seen=Seen(page="Image to image", values={"view": "Inversion"}),
        settings=("init_image",),
        related=("ddim", "ode"),
    ),
)
