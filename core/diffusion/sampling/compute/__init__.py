"""How the UNet's rows are computed on this machine: cores, memory, compiled code."""
