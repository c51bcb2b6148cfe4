"""Which files are taken for images; apart from decoding, so that names are read without the libraries that decode."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""Endings of the files that are looked at, lower-case; compare with ``path.suffix.lower()``."""
