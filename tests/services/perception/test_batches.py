"""Batches of a compiled decoder have one of a few sizes."""

import pytest

from services.perception.batches import BUCKETS, bucket_for, bucket_within


@pytest.mark.parametrize("most", [1, 15, 16, 100, 1023, 1024, 5000])
def test_every_count_fits_into_one_of_a_few_sizes(most: int) -> None:
    batch = bucket_within(most)
    sizes = [bucket_for(count, batch) for count in range(1, batch + 1)]
    assert batch <= most
    assert all(size >= count for count, size in enumerate(sizes, 1))
    assert set(sizes) == ({bucket for bucket in BUCKETS if bucket <= most} or {most})


def test_a_batch_is_filled_up_to_the_next_size_and_no_further() -> None:
    assert [bucket_for(count, 256) for count in (1, 16, 17, 64, 65, 256)] == [16, 16, 64, 64, 256, 256]
