"""Fuzz targets: each module with a function `one_input` is one; `run.py` runs them."""
