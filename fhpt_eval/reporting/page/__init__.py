"""One self-contained page about runs: what they come to, side by side, with pictures; it asks no network for anything."""
