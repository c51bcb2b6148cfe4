"""Shows runs: leaderboards, plots, galleries and what dialects are worth."""
