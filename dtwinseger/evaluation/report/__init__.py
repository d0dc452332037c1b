"""Runs as a page and as tables, beside what others have published."""
