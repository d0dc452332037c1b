"""A system's answers to a data set: asked of a running gateway, kept line by line, merged and put side by side."""
