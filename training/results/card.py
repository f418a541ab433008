"""Contact sheets and the model card, from what evaluate.py measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.data.vocabulary import BACKGROUNDS, STYLES
from training.results.export import vocabulary

TEMPLATE = Path(__file__).parent / "model_card.md"
SHEETS = {  # the questions -> their contact sheet's file name
    "newcomers": "newcomers",
    "newcomers_filler": "newcomers_filler",
    "first_objects": "contact_sheet",
    "singles": "contact_sheet_all",
    "doubles": "contact_sheet_two",
}
KEPT = ("newcomers", "newcomers_filler", "contact_sheet")  # the sheets that ship
AIMS = {  # (questions, what is right) -> (label, aim)
    ("newcomers", "object"): ("newcomers' prompts, object recognised", 0.85),
    ("newcomers_filler", "object"): ("the same among filler", 0.80),
    ("newcomers_known", "object"): ("of newcomers' prompts, those for objects it draws", None),
    ("newcomers_filler_known", "object"): ("the same among filler", None),
    ("singles", "object"): ("one object, object right", 0.95),
    ("singles", "style"): ("one object, style right", 0.85),
    ("singles", "background"): ("one object, background right", 0.98),
    ("first_objects", "object"): ("version 1's objects, object right", 0.95),
    ("first_objects", "background"): ("version 1's objects, background right", 0.98),
    ("doubles", "object"): ("two objects, both right", 0.80),
    ("doubles", "order"): ("two objects, both right and in their places", None),
}
WORST = 15  # objects named as the worst


def contact_sheet(
    images: np.ndarray, labels: list[str], marks: list[bool], path: Path, columns: int = 10
) -> None:
    """The first 100, none left out, with their prompts; red where the judge says no."""
    images, label = images[:100], 34
    side = images.shape[1]
    cell = side + 8, side + label
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(9)
    for i, image in enumerate(images):
        x, y = i % columns * cell[0] + 4, i // columns * cell[1] + 4
        sheet.paste(Image.fromarray(image), (x, y))
        lines = _wrapped(labels[i], font, side)
        color = "black" if marks[i] else "red"
        pen.multiline_text((x, y + side + 1), "\n".join(lines[:2]), color, font, spacing=1)
    sheet.quantize(256).save(path, optimize=True)


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def write_card(result: dict[str, Any], folder: Path) -> None:
    """The figures into the template; the sheets that do not ship are removed."""
    for name in set(SHEETS.values()) - set(KEPT):
        (folder / f"{name}.png").unlink(missing_ok=True)
    text = TEMPLATE.read_text()
    known = vocabulary()
    filled = {
        "NAME": result["model"],
        "OBJECT COUNT": str(len(known["objects"])),
        "NAME COUNT": str(sum(1 + len(others) for others in known["objects"].values())),
        "STYLES": ", ".join(STYLES),
        "BACKGROUNDS": ", ".join(BACKGROUNDS),
        "OBJECTS": ", ".join(sorted(known["objects"])),
        "AIMS": _aims(result),
        "TABLE": _table(result),
        "JUDGE": _judge(result),
        "WORST": _worst(result),
    }
    for name, value in filled.items():
        text = text.replace(f"<!-- {name} -->", value)
    (folder / "README.md").write_text(text)


def _aims(result: dict[str, Any]) -> str:
    rows = ["| figure | asked | aim | reached | |", "|---|---|---|---|---|"]
    for (questions, thing), (label, aim) in AIMS.items():
        answered = result.get(questions, {})
        got, asked = answered.get(thing), answered.get("asked")
        if got is not None:
            verdict = "" if aim is None else "met" if got >= aim else "**missed**"
            wanted = "" if aim is None else f"{aim:.0%}"
            rows.append(f"| {label} | {asked} | {wanted} | {got:.1%} | {verdict} |")
    psnr = result["vae_psnr"]
    rows.append(f"| autoencoder, PSNR | | 29 dB | {psnr['mean']:.2f} dB | |")
    head = (
        f"By a judge trained apart, {result['steps']} DPM++ 2M steps, guidance "
        f"{result['guidance']:g}. PSNR is the mean over held-out scenes (lowest "
        f"{psnr['lowest']:.1f}).\n"
    )
    return head + "\n" + "\n".join(rows)


def _table(result: dict[str, Any]) -> str:
    if not result["table"]:
        return "The guidance table was not measured for these weights."
    rows = ["| guidance | object | style | background |", "|---|---|---|---|"]
    for guidance, row in result["table"].items():
        cells = " | ".join(f"{row[name]:.1%}" for name in ("object", "style", "background"))
        rows.append(f"| {guidance} | {cells} |")
    return f"The first {result['table_pairs']} of the single objects:\n\n" + "\n".join(rows)


def _judge(result: dict[str, Any]) -> str:
    rows = ["| the judge on | object | style | background |", "|---|---|---|---|"]
    for name, key in (
        ("held-out scenes", "judge_on_real"),
        ("their reconstructions by the autoencoder", "judge_on_reconstructions"),
        ("held-out scenes of two objects", "judge_on_two"),
    ):
        row = result[key]
        cells = (f"{row[head]:.1%}" if head in row else "" for head in ("object", "style"))
        rows.append(f"| {name} | {' | '.join(cells)} | {row['background']:.1%} |")
    return "\n".join(rows)


def _worst(result: dict[str, Any]) -> str:
    figures = result.get("singles_by_object", result["first_objects_by_object"])
    rows = list(figures.items())[:WORST]
    return ", ".join(f"{noun} ({right} of {asked})" for noun, (right, asked) in rows)
