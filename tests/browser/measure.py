"""What is measured of a page in the browser."""

from __future__ import annotations

from playwright.sync_api import Page


def overflow(page: Page) -> int:
    """By how many pixels the page is too wide. The window never is: Streamlit hides what stands
    out of its own boxes.
    """
    return page.evaluate(
        "Math.max(...['stMain', 'stMainBlockContainer']"
        ".map(name => document.querySelector(`[data-testid=${name}]`))"
        ".map(box => box.scrollWidth - box.clientWidth))"
    )
