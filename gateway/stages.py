"""The stages of a build. Each looks in the store, computes what is missing, and stores it before the next begins."""

import asyncio
from collections.abc import Sequence

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.twin import Granularity, TwinRow, violations
from gateway import keys
from gateway.build import Build, StoredSemantics
from gateway.cache import Cache
from gateway.journal import Journal
from gateway.upstream import Services


class Stages:
    """The four stages against the services and the cache."""

    def __init__(self, services: Services, cache: Cache) -> None:
        self._services = services
        self._cache = cache

    async def proposals(
        self, build: Build, levels: tuple[api.Level, ...]
    ) -> dict[api.Level, tuple[str, api.ProposalsResponse]]:
        """Section 3.1: for each level its key and its proposals; only the levels that the store lacks are computed."""
        options = build.asked.options.proposals
        found: dict[api.Level, tuple[str, api.ProposalsResponse]] = {}
        wanted = {
            level: keys.proposals_key(build.asked.sha256, level, options, build.infos.perception) for level in levels
        }
        for level, key in wanted.items():
            stored = await self._cache.get(key, api.ProposalsResponse)
            if stored is not None:
                found[level] = (key, stored)
        missing = tuple(level for level in levels if level not in found)
        if not missing:
            build.cached.append("proposals")
            return found
        if build.asked.size:
            raise Problem("gone", "the proposals of this image are no longer stored; send the image again")
        request = api.ProposalsRequest(levels=missing, options=options)
        response = await self._services.proposals(build.asked.data, request)
        same_levels = set(missing) == set(response.levels) == set(response.options)
        if (response.height, response.width) != build.size or not same_levels:
            raise Problem("upstream_invalid", "perception answered for another image or other levels")
        found |= {level: (wanted[level], _of_level(response, level)) for level in missing}
        await asyncio.gather(*(self._cache.put(*found[level]) for level in missing))
        return found

    async def granularity(self, build: Build) -> Granularity:
        """Eq. 1, unless the caller decided it."""
        chosen = build.asked.options.granularity
        if chosen != "auto":
            return chosen
        key = keys.granularity_key(build.asked.sha256, build.asked.query, build.infos.semantics)
        stored = await self._cache.get(key, api.GranularityResponse)
        if stored is not None:
            build.cached.append("granularity")
            return stored.granularity
        response = await self._services.granularity(build.asked.data, build.asked.query)
        build.vlm += response.usage
        await self._cache.put(key, response)
        return response.granularity

    async def semantics(
        self, build: Build, proposals_key: str, proposals: tuple[api.Proposal, ...]
    ) -> list[api.Semantics | None]:
        """Eq. 4 for each proposal, in their order; None where a description failed, which `warnings` tells.

        Raises the Problem of the failures where more than half of the masks failed.
        """
        asked = build.asked
        query = asked.query if asked.options.semantics.scope == "query" else None
        key = keys.semantics_key(proposals_key, query, asked.options.semantics, build.infos.semantics)
        stored = await self._cache.get(key, StoredSemantics)
        described = dict(stored.described) if stored else {}
        missing = [index for index in range(1, len(proposals) + 1) if index not in described]
        watch = _Watch(build.journal, proposals)
        for index, said in described.items():
            watch.see(index, said)
        if not missing:
            if proposals:
                build.cached.append("semantics")
            return [described[index] for index in range(1, len(proposals) + 1)]
        request = api.SemanticsRequest(
            query=query,
            masks=tuple(api.DescribedMask(index=index, mask=proposals[index - 1].mask) for index in missing),
            options=asked.options.semantics,
        )
        failed: dict[int, Problem] = {}
        try:
            async for line in self._services.semantics(asked.data, request):
                if isinstance(line, api.SemanticsEnd):
                    build.vlm += line.usage
                elif line.index not in missing:
                    raise Problem("upstream_invalid", f"semantics described mask {line.index}, which was not asked for")
                elif line.semantics is not None:
                    described[line.index] = line.semantics
                    watch.see(line.index, line.semantics)
                elif line.error is not None:
                    failed[line.index] = Problem(line.error.code, line.error.detail)
        finally:
            if described:  # a retry repeats only what is missing
                await self._cache.put(key, StoredSemantics(described=described))
        # By the caller's own ceiling: nothing failed.
        left_out = [index for index, problem in failed.items() if problem.code == "rate_limited"]
        if left_out:
            reason = failed[left_out[0]].detail
            build.warnings.append(f"{len(left_out)} of {len(proposals)} objects have no description: {reason}")
        lost = [index for index in missing if index not in described and index not in left_out]
        if 2 * len(lost) > len(proposals):
            told = [failed[index] for index in lost if index in failed]
            first = next(iter(told), Problem("upstream_invalid", "semantics left out most masks"))
            detail = f"{len(lost)} of {len(proposals)} masks could not be described: {first.detail}"
            raise Problem(first.code, detail, retry_after=first.retry_after)
        for index in lost:
            reason = failed[index].detail if index in failed else "no answer for it"
            build.warnings.append(f"the object at {proposals[index - 1].mask.bbox} could not be described: {reason}")
        return [described.get(index) for index in range(1, len(proposals) + 1)]

    async def answer(self, build: Build, rows: list[TwinRow]) -> api.ReasonResponse:
        """Eqs. 5-9 over the twin's rows."""
        asked = build.asked
        key = keys.answer_key(asked.query, rows, asked.options.reasoning, build.infos.reasoner)
        stored = await self._cache.get(key, api.ReasonResponse)
        if stored is not None:
            build.cached.append("answer")
            build.warnings.extend(stored.warnings)
            return stored
        response = await self._services.reason(asked.query, rows, asked.options.reasoning)
        if wrong := violations(response.path, response.indices, [row.index for row in rows]):
            raise Problem("upstream_invalid", f"the reasoner contradicts the twin: {wrong[0]}")
        build.llm += response.usage
        build.warnings.extend(response.warnings)
        if response.model in _served(build.infos.reasoner):  # else it was swapped meanwhile, and the key is another's
            await self._cache.put(key, response)
        return response


class _Watch:
    """Tells the journal of objects as they are described, under the indices that the twin will give them."""

    def __init__(self, journal: Journal, proposals: Sequence[api.Proposal]) -> None:
        self._journal = journal
        self._proposals = proposals
        self._seen = 0
        largest_first = sorted(range(len(proposals)), key=lambda at: -proposals[at].mask.area)
        self._index = {at + 1: index for index, at in enumerate(largest_first, start=1)}
        journal.advance("semantics", 0, len(proposals))

    def see(self, place: int, said: api.Semantics) -> None:
        """The proposal at `place`, from 1, has been described."""
        mask = self._proposals[place - 1].mask
        area_percent = round(100 * mask.area / (mask.size[0] * mask.size[1]), 1)
        self._journal.see(
            api.SeenObject(
                index=self._index[place], semantic=said.semantic, bbox=mask.bbox, area_percent=area_percent, mask=mask
            )
        )
        self._seen += 1
        self._journal.advance("semantics", self._seen, len(self._proposals))


def _served(reasoner: api.ServiceInfo) -> set[str]:
    """The models that the reasoner has said it asks: its base and its adapters."""
    return {*reasoner.models.values(), *reasoner.settings.get("adapters", {}).values()}


def _of_level(response: api.ProposalsResponse, level: api.Level) -> api.ProposalsResponse:
    """What `response` says of `level` alone."""
    warnings = {level: response.warnings[level]} if level in response.warnings else {}
    alone = {
        "levels": {level: response.levels[level]},
        "options": {level: response.options[level]},
        "warnings": warnings,
    }
    return response.model_copy(update=alone)
