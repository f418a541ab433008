"""Programs as text: plain diffusers, as a script and as a notebook, that make the same picture, and
the lines of this app that do a thing. Everything here returns source code.
"""
