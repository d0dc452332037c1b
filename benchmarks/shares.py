"""Shares with their 95 % intervals."""

from collections.abc import Hashable, Sequence

import numpy as np
from scipy.stats import binomtest

from dtwinseger.evaluation.metrics import Interval, bootstrap, ciou


def share(hits: Sequence[bool]) -> str:
    """Of independent samples, with Wilson's interval; "none" of none."""
    if not hits:
        return "none"
    found = binomtest(sum(hits), len(hits))
    bounds = found.proportion_ci(method="wilson")
    return str(Interval(found.statistic, bounds.low, bounds.high))


def clustered_share(hits: Sequence[bool], clusters: Sequence[Hashable]) -> str:
    """Of samples that share a cluster, such as queries about one scene: the interval resamples the clusters.

    Where each sample is its own cluster it is Wilson's, which also says something where all are right.
    """
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    if len(numbers) == len(hits):
        return share(hits)
    at = [numbers[cluster] for cluster in clusters]
    right = np.bincount(at, weights=hits).astype(np.int64)
    return str(bootstrap(ciou, right, np.bincount(at)))  # the sum of one over the sum of the other
