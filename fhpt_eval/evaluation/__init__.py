"""From pairs and protocols to a run on disk."""
