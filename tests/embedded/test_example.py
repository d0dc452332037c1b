"""The bundled example is one image, wherever it is offered."""

import numpy as np
from PIL import Image

from embedded.example import IMAGE, ON_THE_PAGE


def test_the_page_offers_the_bundled_image() -> None:
    bundled, offered = (np.asarray(Image.open(file).convert("RGB"), np.float64) for file in (IMAGE, ON_THE_PAGE))
    assert bundled.shape == offered.shape
    assert np.abs(bundled - offered).mean() < 4  # JPEG
