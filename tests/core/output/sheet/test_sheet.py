"""The labelled grid: every cell whole and in its place, within limits, with its sweep inside."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image, PngImagePlugin

from core.output.sheet import sheet
from core.output.sheet.layout import MOST_CAPTION_LINES, Background, make_grid, page_heading
from core.output.sheet.pdf import POINTS_A_PIXEL
from core.output.sheet.sheet import (
    SheetCell,
    SheetError,
    SheetFormat,
    SheetOptions,
    captions_of,
    carries_sweep,
    draw_pages,
    fit_sheet,
    make_painter,
    read_sweep,
    sheet_size,
    write_sheet,
)
from core.output.sheet.sheet_text import sweep_text
from core.output.texts.legend import legend
from core.sweeps.axis import Axis, parse_axis
from core.sweeps.sweep import Sweep
from tests.core.output.sweep_doubles import (
    BASE,
    box_of,
    color_of,
    flat,
    flat_cells,
    grid_sweep,
    noise,
)

PLAIN = SheetOptions()
FORMATS: list[SheetFormat] = ["png", "jpeg", "webp", "pdf"]
LONG_PROMPTS = ("a red apple " * 30, "Donaudampfschifffahrtsgesellschaft", "x", 'say "so" → ü')


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_every_cell_is_whole_and_in_its_row_and_column() -> None:
    sweep = grid_sweep(3, 2, 2)
    boxes = [
        {(x, y): box_of(page, color_of(x, y, z)) for x in range(3) for y in range(2)}
        for z, page in enumerate(draw_pages(sweep, flat_cells(sweep), PLAIN))
    ]
    assert len(boxes) == 2
    for page in boxes:
        for (x, y), box in page.items():
            assert box is not None, (x, y)
            assert (box[2] - box[0], box[3] - box[1]) == (64, 64)
            left, above = page.get((x - 1, y)), page.get((x, y - 1))
            assert left is None or left[2] < box[0]
            assert above is None or above[3] < box[1]
            assert box[0] == page[x, 0][0]  # type: ignore[index]


def test_cells_of_different_sizes_are_centred_never_cropped() -> None:
    sizes = {"64x64": (64, 64), "96x32": (96, 32), "24x80": (24, 80)}
    sweep = Sweep(base=BASE, x=Axis(name="size", values=tuple(sizes)))
    cells = [
        SheetCell(x=x, y=0, z=0, image=flat(x, 0, size=size))
        for x, size in enumerate(sizes.values())
    ]
    (page,) = draw_pages(sweep, cells, PLAIN)
    boxes = [box_of(page, color_of(x, 0)) for x in range(3)]
    assert [(b[2] - b[0], b[3] - b[1]) for b in boxes if b] == list(sizes.values())
    assert len({b[1] + b[3] for b in boxes if b}) == 1  # one middle line


def test_a_whole_factor_keeps_every_pixel() -> None:
    picture = noise(16)
    sweep = Sweep(base=BASE)
    cells = [SheetCell(x=0, y=0, z=0, image=picture)]
    options = SheetOptions(cell_size=48, show_legend=False)
    (page,) = draw_pages(sweep, cells, options)
    rim = make_painter(sweep, cells, options).cell_boxes(0)[0, 0]
    shown = page.crop((*rim, rim[0] + 48, rim[1] + 48))
    assert np.array_equal(np.asarray(shown)[1::3, 1::3], np.asarray(picture))


@pytest.mark.parametrize("cell", [16, 64, 300])
def test_labels_are_inside_the_sheet_and_never_on_a_cell_or_each_other(cell: int) -> None:
    sweep = Sweep(
        base=BASE,
        x=Axis(name="prompt", values=LONG_PROMPTS),
        y=Axis(name="negative_prompt", values=("", *LONG_PROMPTS)),
    )
    grid = make_grid(sweep, (cell, cell), PLAIN)
    texts = [
        (line.x, line.y, line.x + line.face.width(line.text), line.y + line.face.line_height)
        for line in grid.labels
    ]
    cells = [(x, y, x + cell, y + cell) for x in grid.lefts for y in grid.tops]
    assert all(
        left >= -0.5 and top >= 0 and right <= grid.width + 1 and bottom <= grid.height
        for left, top, right, bottom in texts
    )
    for one in texts:
        for other in cells:
            assert not overlap(one, other)
    assert not any(overlap(one, other) for one, other in combinations(texts, 2))
    written = "".join(line.text for line in grid.labels).replace(" ", "")
    for prompt in LONG_PROMPTS:
        assert prompt.replace(" ", "") in written


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    slack = 1.0  # labels are centred on fractions of a pixel
    return (
        one[0] + slack < other[2]
        and other[0] + slack < one[2]
        and one[1] + slack < other[3]
        and other[1] + slack < one[3]
    )


def test_failed_and_missing_cells_say_why() -> None:
    sweep = grid_sweep(3, 1)
    cells = flat_cells(sweep)
    whole = write_sheet(sweep, cells, PLAIN, "png")
    reason = "The latent was not finite at step 4: " + "lower the guidance " * 20
    cells[1] = replace(cells[1], image=None, reason=reason)
    painter = make_painter(sweep, cells[:2], PLAIN)
    below = " ".join(line.text for line in painter.notes(0).lines)
    assert reason.split() == below.split()[1:]  # too long for the cell: numbered, below the grid
    page = painter.page(0)
    assert page.height > opened(whole).height
    assert box_of(page, color_of(0, 0)) is not None
    assert box_of(page, color_of(1, 0)) is None
    short = make_painter(sweep, [replace(cells[1], reason="Cancelled")], PLAIN)
    assert short.notes(0).lines == ()  # fits its cell
    assert not np.array_equal(np.asarray(short.page(0)), np.asarray(page))


def test_a_damaged_file_fails_its_cell_alone(tmp_path: Path) -> None:
    sound, cut = tmp_path / "sound.png", tmp_path / "cut.png"
    flat(0, 0).save(sound)
    noise().save(cut)
    cut.write_bytes(cut.read_bytes()[:600])
    sweep = grid_sweep(3, 1)
    images = [sound, cut, tmp_path / "absent.png"]
    cells = [SheetCell(x=x, y=0, z=0, image=image) for x, image in enumerate(images)]
    (page,) = draw_pages(sweep, cells, PLAIN)
    assert box_of(page, color_of(0, 0)) is not None


@pytest.mark.parametrize("pages", [1, 3])
def test_the_size_is_known_before_anything_is_drawn(pages: int) -> None:
    sweep = grid_sweep(3, 2, pages)
    options = SheetOptions(title="A title", cell_size=100)
    size = opened(write_sheet(sweep, flat_cells(sweep), options, "png")).size
    assert size == sheet_size(sweep, 64, 64, options)


def test_title_legend_and_background_are_as_asked() -> None:
    sweep = grid_sweep()
    cells = flat_cells(sweep)
    bare = SheetOptions(show_legend=False)
    with_all = sheet_size(sweep, 64, 64, SheetOptions(title="T"))
    assert sheet_size(sweep, 64, 64, bare)[1] < sheet_size(sweep, 64, 64, PLAIN)[1] < with_all[1]
    dark = opened(write_sheet(sweep, cells, SheetOptions(background="black"), "png"))
    assert dark.getpixel((0, 0)) == (0, 0, 0)
    assert opened(write_sheet(sweep, cells, PLAIN, "png")).getpixel((0, 0)) == (255, 255, 255)


def test_the_legend_has_what_all_cells_share_and_nothing_else() -> None:
    shared = dict(legend(grid_sweep(3, 2)))
    assert shared["Prompt"] == "a red apple"
    assert shared["Steps"] == "10"
    assert "Guidance scale" not in shared
    assert "Seed" not in shared
    assert "Variation seed" not in shared  # without a strength it does nothing
    off = dict(legend(Sweep(base=replace(BASE, guidance_scale=1.0, negative_prompt="flat"))))
    assert "Negative prompt" not in off  # nor does this without guidance
    words = Sweep(base=BASE, x=parse_axis("prompt_search_replace", "red, blue"))
    assert dict(legend(words))["Prompt"] == "a … apple"
    assert "each column" in dict(legend(replace(words, new_seed="column")))["Seed"]
    sized = Sweep(base=BASE, x=parse_axis("size", "64x64, 96x64"))
    assert {"Width", "Height"} <= set(shared)
    assert not {"Width", "Height"} & set(dict(legend(sized)))


@pytest.mark.parametrize("wrong", [{"cell_size": 0}, {"font_size": 2}, {"margin": -1}])
def test_sizes_that_no_sheet_can_have_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SheetError, match="is outside"):
        SheetOptions(**wrong)


def test_pages_are_named_by_their_value() -> None:
    sweep = grid_sweep(2, 2, 3)
    grid = make_grid(sweep, (64, 64), PLAIN)
    titles = [" ".join(line.text for line in page_heading(sweep, grid, z).lines) for z in range(3)]
    assert titles == ["Steps: 5", "Steps: 6", "Steps: 7"]


@pytest.mark.parametrize("format", FORMATS)
def test_the_sweep_comes_back_out_of_the_file(format: SheetFormat) -> None:
    base = replace(BASE, prompt='größer → (a) "b" \\ 日本', negative_prompt="x\ny")
    sweep = Sweep(
        base=base,
        x=replace(
            parse_axis("num_inference_steps", "10, 20", is_linked=True),
            linked=parse_axis("guidance_scale", "4.5, 4.5", is_linked=True),
        ),
        y=Axis(name="negative_prompt", values=("", "a, b")),
        new_seed="row",
    )
    assert read_sweep(write_sheet(sweep, flat_cells(sweep), PLAIN, format)) == sweep


def png_with(text: str) -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("lightbox-sweep", text)
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG", pnginfo=texts)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a PNG"),
        (b"GIF89a nothing", "not a PNG"),
        (b"%PDF-1.5 nothing", "contains no sweep"),
        (b"\x89PNG\r\n\x1a\n cut", "not a PNG|damaged"),
        (png_with("{"), "damaged"),
        (png_with("[]"), "damaged"),
        (png_with('{"version": 1, "sweep": 3}'), "damaged"),
        (png_with('{"version": 2, "sweep": {}}'), "newer"),
        (png_with('{"version": 1, "sweep": {"w": 1}}'), "cannot be used: w"),
        (png_with('{"version": 1, "sweep": {"base": {"sed": 1}}}'), "did you mean seed"),
    ],
)
def test_a_file_without_a_sweep_is_refused_with_its_reason(data: bytes, message: str) -> None:
    with pytest.raises(SheetError, match=message):
        read_sweep(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_plain_picture_holds_no_sweep(format: str) -> None:
    buffer = io.BytesIO()
    noise().save(buffer, format)
    with pytest.raises(SheetError, match="contains no sweep"):
        read_sweep(buffer.getvalue())


def test_a_sweep_too_long_for_exif_leaves_the_picture_sound() -> None:
    long = dict.fromkeys(("prompt", "negative_prompt", "prompt_2"), "word " * 3999)
    base = replace(BASE, **long, prompt_blend=0.5, guidance_scale=5.0)
    prompts = ", ".join(f'"{letter * 19_000}"' for letter in "ab")
    sweep = Sweep(base=base, x=parse_axis("prompt", prompts))
    options = SheetOptions(show_legend=False)
    data = write_sheet(sweep, flat_cells(sweep), options, "jpeg")
    assert opened(data).width > 128
    with pytest.raises(SheetError, match="contains no sweep"):
        read_sweep(data)
    assert {format: carries_sweep(sweep, format) for format in FORMATS} == {
        "png": True,
        "jpeg": False,
        "webp": False,
        "pdf": True,
    }
    assert all(carries_sweep(grid_sweep(2, 1, 1), format) for format in FORMATS)
    assert read_sweep(write_sheet(sweep, flat_cells(sweep), options, "png")) == sweep


@pytest.mark.parametrize("format", ["png", "webp"])
def test_a_sheet_over_the_limit_has_smaller_cells_and_says_so(
    format: SheetFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = grid_sweep(3, 2, 2)
    most = 300_000
    monkeypatch.setattr(sheet, "MAX_PIXELS", dict.fromkeys(FORMATS, most))
    size = fit_sheet(sweep, 256, 256, PLAIN, format)
    assert size.width * size.height <= most
    assert size.scale < 1
    assert f"{size.cell[0]} x {size.cell[1]} pixels instead of 256 x 256" in size.note
    cells = [SheetCell(x=0, y=0, z=0, image=flat(0, 0, size=(256, 256)))]
    cells += [SheetCell(x=1, y=0, z=0, image=None, reason="gone " * 30)]
    picture = opened(write_sheet(sweep, cells, PLAIN, format))
    assert picture.width * picture.height <= most
    monkeypatch.setattr(sheet, "MAX_PIXELS", dict.fromkeys(FORMATS, 900))
    with pytest.raises(SheetError, match="Use fewer values"):
        write_sheet(sweep, cells, PLAIN, format)


def test_a_pdf_has_a_page_for_each_page_with_pictures_without_loss() -> None:
    sweep = grid_sweep(2, 2, 3)
    chance = np.random.default_rng(1)
    noise = chance.integers(0, 256, (3, 2, 2, 40, 48, 3), np.uint8)
    cells = [
        SheetCell(x=c.x, y=c.y, z=c.z, image=Image.fromarray(noise[c.z, c.y, c.x]))
        for c in sweep.cells()
    ]
    # Drawn at a quarter of their size, they are in the file as they are stored.
    data = write_sheet(sweep, cells, SheetOptions(cell_size=12), "pdf")
    document = pypdfium2.PdfDocument(data)
    assert len(document) == 3
    for z, page in enumerate(document):
        found = [
            one.get_bitmap().to_numpy()[..., ::-1]
            for one in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE])
        ]
        assert np.array_equal(np.stack(found).reshape(2, 2, 40, 48, 3), noise[z])
    assert read_sweep(data) == sweep
    assert data == write_sheet(sweep, cells, SheetOptions(cell_size=12), "pdf")


@pytest.mark.parametrize("background", ["white", "black"])
def test_a_pdf_looks_as_the_picture_does_and_its_words_are_text(background: Background) -> None:
    sweep = grid_sweep(3, 2, 1)
    cells = [one for one in flat_cells(sweep) if (one.x, one.y) != (1, 1)]
    cells.append(SheetCell(x=1, y=1, z=0, image=None, reason="Not finite"))
    options = SheetOptions(title="Äpfel (b), яблоко", background=background)
    (page,) = pypdfium2.PdfDocument(write_sheet(sweep, cells, options, "pdf"))
    words = page.get_textpage().get_text_range()
    for text in ("Äpfel (b), яблоко", "Guidance scale", "Not finite", "Scheduler"):
        assert text in words
    (drawn,) = draw_pages(sweep, cells, options)
    seen = page.render(scale=1 / POINTS_A_PIXEL).to_pil().convert("RGB").resize(drawn.size)
    apart = np.abs(np.asarray(seen, int) - np.asarray(drawn, int)).max(axis=-1)
    assert np.mean(apart > 80) < 0.02, "letters at most are a fraction of a pixel elsewhere"


@pytest.mark.parametrize("width", [8.5, 17.5, 200])
def test_a_pdf_has_the_width_that_is_named(width: float) -> None:
    sweep = grid_sweep(3, 2, 1)
    options = SheetOptions(width_cm=width)
    (page,) = pypdfium2.PdfDocument(write_sheet(sweep, flat_cells(sweep), options, "pdf"))
    points, height = page.get_size()
    assert points / 72 * 2.54 == pytest.approx(width, rel=1e-3)
    (drawn,) = draw_pages(sweep, flat_cells(sweep), options)
    assert height / points == pytest.approx(drawn.height / drawn.width, rel=1e-3)


@pytest.mark.parametrize("width", [1, 501, float("nan")])
def test_a_width_that_no_page_has_is_refused(width: float) -> None:
    with pytest.raises(SheetError, match="is outside 2 to 500 cm"):
        SheetOptions(width_cm=width)


def test_a_pdf_draws_letters_that_its_font_lacks() -> None:
    """As the picture does: by a font of this computer, or as a box."""
    sweep = Sweep(base=BASE, x=Axis(name="prompt", values=("狐 fox 🦊", "b")))
    (page,) = pypdfium2.PdfDocument(write_sheet(sweep, flat_cells(sweep), PLAIN, "pdf"))
    assert "fox" in page.get_textpage().get_text_range()
    kinds = [one.type for one in page.get_objects()]
    assert kinds.count(pypdfium2.raw.FPDF_PAGEOBJ_IMAGE) > len(flat_cells(sweep))


def test_the_sweep_of_an_earlier_versions_pdf_is_read() -> None:
    sweep = grid_sweep(2, 1, 1)
    old = b"%%PDF-1.5\n3 0 obj\n<< /Title <FEFF> /LightboxSweep <%s> >>\nendobj\n"
    assert read_sweep(old % sweep_text(sweep).encode().hex().encode()) == sweep


MEASURE = """
import sys
from pathlib import Path
from core.output.sheet.sheet import *
from tests.core.exports.films.long_film import own_peak_mb
from tests.core.output.sweep_doubles import grid_sweep
sweep = grid_sweep(16, 16)
folder = Path(sys.argv[1])
cells = [SheetCell(x=c.x, y=c.y, z=0, image=folder / f"{c.x}-{c.y}.png") for c in sweep.cells()]
write_sheet(grid_sweep(1, 1), cells[:1], SheetOptions(), sys.argv[2])
before = own_peak_mb()
size = fit_sheet(sweep, 128, 128, SheetOptions(), sys.argv[2])
assert not size.note
write_sheet(sweep, cells, SheetOptions(), sys.argv[2])
print(before * 1e6, (own_peak_mb() - before) * 1e6 / (size.width * size.height))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("format", FORMATS)
def test_40_x_40_cells_of_512_pixels_take_less_than_2_gb(
    format: SheetFormat, tmp_path: Path
) -> None:
    """Bytes a pixel, measured on cells of noise (the worst to compress), times the limit."""
    for number in range(256):
        noise(128, seed=number).save(tmp_path / f"{number // 16}-{number % 16}.png")
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), format],
        capture_output=True,
        text=True,
        check=True,
    )
    base, bytes_a_pixel = map(float, ran.stdout.split())
    assert bytes_a_pixel > 1, "a canvas alone is three"
    size = fit_sheet(grid_sweep(40, 40), 512, 512, PLAIN, format)
    assert size.cell[0] >= 150
    total = base + bytes_a_pixel * size.width * size.height
    assert total < 2e9, (bytes_a_pixel, size)


# Captions


WORDS = ("owl, a red sky", "a " * 60 + "fox", "hippopotamuses", "")


def captioned(sweep: Sweep) -> list[SheetCell]:
    return [
        replace(cell, caption=WORDS[(cell.x + 2 * cell.y) % len(WORDS)])
        for cell in flat_cells(sweep)
    ]


@pytest.mark.parametrize("cell", [16, 64, 300])
def test_captions_stand_below_their_cells_and_on_nothing_else(cell: int) -> None:
    sweep = grid_sweep(3, 2, 2)
    captions = captions_of(captioned(sweep))
    assert len(captions) == 10, "one of each page has none"
    grid = make_grid(sweep, (cell, cell), PLAIN, captions)
    boxes = [(x, y, x + cell, y + cell) for x in grid.lefts for y in grid.tops]
    for z, lines in grid.captions.items():
        texts = [
            (line.x, line.y, line.x + line.face.width(line.text), line.y + line.face.line_height)
            for line in (*grid.labels, *lines)
        ]
        assert not any(overlap(one, box) for one in texts for box in boxes)
        assert not any(overlap(one, other) for one, other in combinations(texts, 2))
        assert all(one[1] >= 0 and one[3] <= grid.height for one in texts)
        for (x, y, page), text in captions.items():
            if page == z and text != WORDS[1]:
                end = grid.tops[y + 1] if y + 1 < len(grid.tops) else grid.height
                below = "".join(
                    line.text
                    for line in lines
                    if grid.tops[y] + cell <= line.y < end
                    and abs(line.x + line.face.width(line.text) / 2 - grid.lefts[x] - cell / 2) < 1
                )
                assert below.replace(" ", "") == text.replace(" ", "")


def test_a_long_caption_ends_in_an_ellipsis_after_so_many_lines() -> None:
    grid = make_grid(grid_sweep(2, 1), (64, 64), PLAIN, {(0, 0, 0): "a " * 400})
    assert [line.text for line in grid.captions[0]][-1] == "…"
    assert len(grid.captions[0]) == MOST_CAPTION_LINES


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_a_sheet_with_captions_is_as_large_as_was_said_and_its_cells_are_whole(
    format: SheetFormat,
) -> None:
    sweep = grid_sweep(3, 2)
    cells = captioned(sweep)
    size = fit_sheet(sweep, 64, 64, PLAIN, format, ["Not computed"], captions_of(cells))
    bare = fit_sheet(sweep, 64, 64, PLAIN, format, ["Not computed"])
    assert size.height > bare.height
    data = write_sheet(sweep, cells, PLAIN, format)
    if format == "pdf":
        (page,) = pypdfium2.PdfDocument(data)
        text = page.get_textpage().get_text_bounded()
        assert "owl, a red" in " ".join(text.split())
        return
    picture = Image.open(io.BytesIO(data))
    assert picture.size[0] == size.width
    for cell in cells:
        left, top, right, bottom = box_of(picture, color_of(cell.x, cell.y)) or (0, 0, 0, 0)
        assert (right - left, bottom - top) == (64, 64)


def test_letters_of_a_caption_that_no_font_has_are_named() -> None:
    size = fit_sheet(grid_sweep(2, 1), 64, 64, PLAIN, captions={(1, 0, 0): "\U00012000 owl"})
    assert "cuneiform sign a" in size.note
