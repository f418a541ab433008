"""Make the example pictures of the home page again: `python -m training.results.home`."""

from __future__ import annotations

from core.diffusion.engine import Engine
from core.diffusion.models.load import load_model
from core.output.texts.infotext import write_png
from ui.home.examples import EXAMPLES, FOLDER


def main() -> None:
    model = load_model("bundled")
    FOLDER.mkdir(exist_ok=True)
    examples = list(EXAMPLES.values())
    made = Engine(model).generate([one.settings for one in examples])
    for example, generation in zip(examples, made, strict=True):
        png = write_png(generation.image, example.settings, model.info, generation.computed)
        example.path.write_bytes(png)
        print(example.path)


if __name__ == "__main__":
    main()
