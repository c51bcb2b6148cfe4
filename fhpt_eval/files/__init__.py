"""Writing files safely, and reading what a user names."""
