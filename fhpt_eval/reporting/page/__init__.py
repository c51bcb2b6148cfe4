"""One self-contained page about runs: numbers side by side, with pictures; it asks no network for anything."""
