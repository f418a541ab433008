"""From noise to latents and pictures: a batch of cells, one UNet call at a time."""
