"""Extractors: the only code that holds a network or a detector. Adding one is one file in this package."""
