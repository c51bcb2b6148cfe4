"""Pictures of runs, for papers."""
