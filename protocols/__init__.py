"""The protocols: one file each, pure definitions.

They are found through the entry-point group ``fhpt_eval.protocols`` (see setup.cfg), like those of other packages.
"""
