"""The family tree as a figure: where pictures stand, what is left out, what is marked."""

from __future__ import annotations

from typing import Any

from core.output.figures.genealogy_figure import (
    MOST_CHILDREN,
    TreeNode,
    distance_figure,
    genealogy_figure,
)


def node(name: str, parent: str = "", *, here: bool = False, deleted: bool = False) -> TreeNode:
    picture = None if deleted else "data:image/png;base64,x"
    return TreeNode(digest=name, parent=parent, label=name, picture=picture, is_here=here)


def points(nodes: list[TreeNode]) -> dict[str, tuple[float, float, str]]:
    """Digest -> depth, row and label of every picture that is drawn."""
    figure: Any = genealogy_figure(nodes)
    trace = figure.data[-1]
    found = zip(trace.customdata, trace.x, trace.y, trace.text, strict=True)
    return {digest: (x, y, text) for digest, x, y, text in found}


def test_a_parent_stands_at_the_middle_of_its_children() -> None:
    found = points([node("a"), node("b", "a"), node("c", "a"), node("d", "b"), node("e", "b")])
    assert {name: place[:2] for name, place in found.items()} == {
        "a": (0, 1.25),
        "b": (1, 0.5),
        "c": (1, 2),
        "d": (2, 0),
        "e": (2, 1),
    }
    assert next(iter(found)) == "a", "the first parent is the first point"


def test_of_many_children_the_ones_that_matter_are_drawn_and_the_others_counted() -> None:
    many = [node(f"c{i}", "a") for i in range(20)]
    many[17] = node("c17", "a", here=True)
    found = points([node("a"), *many, node("d", "c19")])
    drawn = {name for name in found if name.startswith("c")}
    assert len(drawn) == MOST_CHILDREN
    assert {"c17", "c19"} <= drawn
    assert found["a"][2] == "a +12"
    assert found["c17"][2] == "<b>c17</b>"
    assert "d" in found


def test_a_deleted_picture_has_its_place_and_no_image() -> None:
    nodes = [node("a", deleted=True), node("<b>", "a")]
    figure: Any = genealogy_figure(nodes)
    assert len(figure.layout.images) == 1
    found = points(nodes)
    assert found["a"][2] == "a (deleted)"
    assert found["<b>"][2] == "&lt;b&gt;", "a label is no markup"


def test_a_line_a_series_and_dots_for_single_points() -> None:
    figure: Any = distance_figure({"one": [(0.1, 1.0), (0.2, 0.5)], "two": [(3, 4)]}, "x", "y")
    assert [trace.mode for trace in figure.data] == ["lines+markers", "markers"]
    assert list(figure.data[0].y) == [1.0, 0.5]
    assert figure.layout.xaxis.title.text == "x"
