"""From a list of pairs to a folder of generated images."""
