"""People who do not exist, rendered with everything known about them."""
