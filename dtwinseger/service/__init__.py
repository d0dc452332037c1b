"""Plumbing that the four deployables share."""
