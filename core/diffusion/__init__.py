"""What happens to latents."""

import os

# Imported, transformers warns that torchvision is missing, which nothing here uses. It reads this
# once, so it has to stand before the first import.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

# No model brings code of its own: diffusers reads this once too.
os.environ["DIFFUSERS_DISABLE_REMOTE_CODE"] = "1"

# Downloads by Xet cannot be stopped from their progress bar; plain ones can.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
