"""Files of an export: their names, which are ours, and their bytes, which are the stored ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

from core.output.numbers.cell_numbers import CellNumbers, ReportCell


def cell_name(cell: ReportCell | CellNumbers) -> str:
    """A cell's file name: its place and the beginning of its digest."""
    return f"{cell.x}-{cell.y}-{cell.z}-{cell.digest[:12] or 'none'}.png"


def picture_name(digest: str) -> str:
    """The file name of a stored picture by itself."""
    return f"lightbox-{digest[:12]}.png"


def stored_bytes(path: Path | None) -> bytes | None:
    """None where there is no file, or no longer one."""
    try:
        return path.read_bytes() if path else None
    except OSError:
        return None


def add_file(archive: zipfile.ZipFile, name: str, data: bytes, *, compress: bool = False) -> None:
    """Add a file without a date, so that equal content gives equal archives."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)
