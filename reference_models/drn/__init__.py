"""The Detail Replenishing Network of arXiv 2005.12494; ``docs/drn.md`` lists what the paper leaves open."""
