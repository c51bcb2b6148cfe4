"""Which files are taken for images; apart from decoding, so that names are read without the libraries that decode."""

READ = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Endings of the files that can be read, lower-case."""

_NOT_READ = frozenset(
    {".gif", ".apng", ".avif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".jpx", ".psd", ".tga", ".exr", ".dds"}
    | {".ico", ".svg", ".eps", ".pcx", ".sgi", ".dng", ".dib"}
)

SUFFIXES = READ | _NOT_READ
"""Endings of images, also of those that are named and counted instead of read; compare with ``path.suffix.lower()``."""
