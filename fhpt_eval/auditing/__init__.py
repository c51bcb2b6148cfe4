"""Looks into folders of images: what they hold, what stands out, and what that does to scores."""
