"""From bytes to the pixels that a network or a metric sees."""
