"""Results that belong to the package: ``literature.csv``, the published numbers (README.md)."""
