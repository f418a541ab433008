"""Home: what this is, the pages as cards, and what was made last."""

from ui.catalog import HOME
from ui.frame import open_page
from ui.home.home import show_cards, show_intro, show_machine, show_recent

with open_page(HOME) as runtime:
    show_intro()
    show_cards()
    show_recent(runtime)
    show_machine(runtime)
