"""What can be asked of images: protocols, dialects, and how they are found."""
