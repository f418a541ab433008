"""Image to image: noise on a picture, and a prompt that takes it away again."""

from contextlib import suppress

import streamlit as st

from core.diffusion.models.load import ModelError
from ui.catalog import IMAGE_TO_IMAGE
from ui.frame import open_page
from ui.img2img.form import PREFIX, defaults, panel, parameters, prompt_box
from ui.img2img.views import show_views
from ui.links import check_address, mend_address
from ui.settings.model_picker import chosen_model
from ui.settings.prompt import count_tokens
from ui.views import show_empty

with open_page(IMAGE_TO_IMAGE) as runtime:
    st.title("Image to image", anchor=False)
    mend_address(PREFIX, defaults(runtime.model))
    broken = check_address(PREFIX, parameters())
    button, places = prompt_box(runtime.model)
    stage, side = st.columns([0.66, 0.34], gap="medium")
    with side:
        form = panel(runtime)
    with stage:
        if form is None:
            show_empty(IMAGE_TO_IMAGE.icon, "No picture yet", "Choose one in the panel to begin.")
        else:
            show_views(runtime, form, button)
    with suppress(ModelError):  # the form says it
        source = chosen_model(runtime.model, PREFIX).source
        count_tokens(places, source, PREFIX, runtime.wildcards)
    if broken:
        st.rerun()  # with the address mended
