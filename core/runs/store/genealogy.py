"""Children: the pictures that vary one another, from the first parent down."""

from __future__ import annotations

from dataclasses import dataclass

from core.diffusion.named_files import digest_of
from core.diffusion.recipe.variations import parent_of
from core.diffusion.settings import GenerationSettings
from core.runs.store.store import Store, StoredImage

MOST_MEMBERS = 400


@dataclass(frozen=True, kw_only=True)
class Member:
    """One picture of a genealogy. `image` is None where it is not stored: deleted, or never made.

    `parent` is the digest of the picture that it varies, "" for the first.
    """

    digest: str
    settings: GenerationSettings
    image: StoredImage | None
    parent: str


def line_of(store: Store, image: StoredImage) -> list[Member]:
    """Return the line from the first parent down to the picture itself.

    The digests follow from its settings: a parent that was deleted has its place, and can be made
    again. Raises VariationError.
    """
    line: list[GenerationSettings] = [image.settings]
    while (parent := parent_of(line[-1])) is not None:
        line.append(parent)
    found: list[Member] = []
    for settings in reversed(line):
        digest = digest_of(settings, image.model_fingerprint)
        found.append(
            Member(
                digest=digest,
                settings=settings,
                image=store.get(digest),
                parent=found[-1].digest if found else "",
            )
        )
    return found


def relatives_of(store: Store, image: StoredImage, limit: int = MOST_MEMBERS) -> list[Member]:
    """The picture's line and everything that varies the first of it, generation by generation and
    in each the oldest first.

    At most `limit` beside the line. Below a deleted picture that is not in the line nothing is
    found, since nothing says any more whose child it was. Raises VariationError.
    """
    members = {member.digest: member for member in line_of(store, image)}
    depth = {digest: index for index, digest in enumerate(members)}
    generation = list(members)
    while generation and len(members) < limit:
        children = {
            child.digest: Member(
                digest=child.digest, settings=child.settings, image=child, parent=child.parent
            )
            for child in store.children(generation, limit - len(members))
            if child.digest not in members
        }
        depth |= {child.digest: depth[child.parent] + 1 for child in children.values()}
        members |= children
        generation = list(children)

    def order(member: Member) -> tuple[int, float]:
        return depth[member.digest], member.image.created_at if member.image else 0.0

    return sorted(members.values(), key=order)
