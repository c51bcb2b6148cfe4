"""What is known about the person in an image."""
