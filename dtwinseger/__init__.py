"""Reasoning segmentation: a digital twin of the image, and a language model that reasons over it."""

from importlib.metadata import version

__version__ = version("dtwinseger")
