"""What is measured of one picture by itself: colours, edges, and how much there is to describe."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

JPEG_QUALITY = 75


def saturation(image: Image.Image) -> float:
    """Share of the subpixels at 0 or 255, from 0 to 1: what guidance burns out."""
    pixels = np.asarray(image.convert("RGB"))
    return float(np.mean((pixels == 0) | (pixels == 255)))


def colourfulness(image: Image.Image) -> float:
    """M3 of Hasler and Suesstrunk 2003 in RGB, in units of 0 to 255: 0 is grey, 59 quite colourful,
    109 extremely.
    """
    red, green, blue = np.asarray(image.convert("RGB"), dtype=np.float64).reshape(-1, 3).T
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def sharpness(image: Image.Image) -> float | None:
    """Variance of the Laplacian of the grey picture (Pech-Pacheco et al. 2000), four neighbours,
    its border left out, in grey values of 0 to 255. None below 3 x 3 pixels.
    """
    grey = np.asarray(image.convert("L"), dtype=np.float64)
    if min(grey.shape) < 3:
        return None
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4 * grey[1:-1, 1:-1]))


def entropy(image: Image.Image) -> float:
    """Shannon entropy of the histogram of 256 grey values, in bits: 0 is one grey, at most 8."""
    counts = np.bincount(np.asarray(image.convert("L")).ravel(), minlength=256)
    shares = counts[counts > 0] / counts.sum()
    return float(max(0.0, -np.sum(shares * np.log2(shares))))


def jpeg_size(image: Image.Image) -> float:
    """Kilobytes (1,000 bytes) as a JPEG of quality 75 without chroma subsampling: how much detail
    there is to describe. Sizes of pictures of one size compare.
    """
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return len(buffer.getvalue()) / 1000
