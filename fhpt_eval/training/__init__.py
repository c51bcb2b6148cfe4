"""Training of what protocols need and packages do not carry."""
