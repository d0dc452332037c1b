"""Perception as a service: an image in, mask proposals out (DTwinSeger, section 3.1)."""
