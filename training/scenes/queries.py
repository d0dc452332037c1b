"""Seeded queries about a twin, each with its answer and the reasoning path that finds it (Eqs. 6-9).

The answer follows from the text of the twin alone. A query for one object has one object that satisfies it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dtwinseger.twin import Granularity, Step
from training.scenes import phrases, strange
from training.scenes.paths import (
    Criterion,
    Extreme,
    Look,
    Missing,
    Place,
    Relates,
    complete,
    pairs,
    solve,
)
from training.scenes.things import Thing, place
from training.scenes.world import COLORS, KINDS, SIZES

OPPOSITE = {"left_of": "right_of", "right_of": "left_of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Query:
    """A query with its ground truth. `kind` is how it refers to its target; part queries carry no answer."""

    text: str
    kind: str
    granularity: Granularity
    indices: tuple[int, ...]
    path: tuple[Step, ...]


class Asker:
    """Draws queries about one twin. size: (height, width) of the image; `rng` decides everything."""

    def __init__(self, things: Sequence[Thing], size: tuple[int, int], rng: random.Random) -> None:
        self.things = things
        self.size = size
        self.rng = rng
        self.kinds = sorted({t.kind for t in things if t.kind in KINDS})
        self.makers: dict[str, tuple[float, Callable[[], Query | None]]] = {
            "name": (0.05, self.name),
            "description": (0.13, self.description),
            "color": (0.17, self.color),
            "size": (0.13, self.by_size),
            "place": (0.09, self.place),
            "relation": (0.14, self.relation),
            "superlative": (0.04, self.superlative),
            "affordance": (0.06, self.affordance),
            "group": (0.14, self.group),
            "none": (0.15, self.none),
            "unknown": (0.0, self.unknown),  # only where it is asked for: it is about no scene
        }

    def draw(self, kind: str | None = None, tries: int = 40) -> Query | None:
        """A query of `kind`, or of one drawn; None where the twin offers none in that many tries."""
        names = list(self.makers)
        weights = [weight for weight, _ in self.makers.values()]
        for _ in range(tries):
            chosen = kind or self.rng.choices(names, weights)[0]
            if query := self.makers[chosen][1]():
                return query
        return None

    def name(self) -> Query | None:
        return self._by_look("name", Look(kinds=(self._kind(),)))

    def description(self) -> Query | None:
        thing = self._thing()
        if thing.kind not in KINDS:
            return None
        return self._by_look("description", self._look_of(thing, self.rng.choice(("size", "color", "both", "both"))))

    def color(self) -> Query | None:
        return self._by_look("color", Look(color=self._thing().color))

    def by_size(self) -> Query | None:
        return self._by_look("size", Look(size=self._thing().size))

    def place(self) -> Query | None:
        """By place, with a look or without."""
        thing = self._thing()
        where = place(thing, self.size)
        spoken = self.rng.choice(phrases.PLACES[where])
        if self.rng.random() < 0.3:
            return self._asked("place", [Place(where)], self._phrase(phrases.AT_PLACE, place=spoken), several=None)
        look = self._loose_look(thing)
        if look is None:
            return None
        return self._with(look, "place", [*look.steps(), Place(where)], spoken)

    def relation(self) -> Query | None:
        """By a relation that the twin lists, at the one object or, inverted, at the other."""
        listed = pairs(self.things)
        if not listed:
            return None
        subject, predicate, target = self.rng.choice(listed)
        spoken = self._relation_phrase(predicate, target)
        if spoken is None:
            return None
        relates = Relates(predicate, target)
        if self.rng.random() < 0.2:
            if not complete(self.things, range(1, len(self.things) + 1), target):
                return None
            text = self._phrase(phrases.RELATED, relation=spoken)
            return self._asked("relation", [relates], text, several=None)
        look = self._loose_look(self.things[subject - 1])
        if look is None or look.fits(self.things[target - 1]) or not complete(self.things, self._fitting(look), target):
            return None
        return self._with(look, "relation", [*look.steps(), relates], spoken)

    def superlative(self) -> Query | None:
        """The largest or smallest of its like, or of all; areas must differ in the text."""
        largest = self.rng.random() < 0.6
        adjective = self.rng.choice(phrases.LARGEST if largest else phrases.SMALLEST)
        thing = self._thing()
        look = self._loose_look(thing) if self.rng.random() < 0.75 else None
        ordered = self._fitting(look) if look else list(range(1, len(self.things) + 1))
        if len(ordered) < 2 or (look and look.size):
            return None
        first, second = ordered[:2] if largest else ordered[:-3:-1]
        if self.things[first - 1].area_percent == self.things[second - 1].area_percent:
            return None
        noun = look.noun if look else self.rng.choice(("object", "thing"))
        steps: list[Criterion] = [*look.steps(), Extreme(largest)] if look else [Extreme(largest)]
        return self._asked("superlative", steps, self._phrase(phrases.ONE, np=f"{adjective} {noun}"), several=False)

    def affordance(self) -> Query | None:
        use = self.rng.choice([u for u, kinds in phrases.USES.items() if set(kinds) & set(self.kinds)] or [""])
        return self._by_use("affordance", use) if use else None

    def group(self) -> Query | None:
        """Several: all of a look, or two kinds joined by "and"."""
        if self.rng.random() < 0.25 and len(self.kinds) >= 2:
            both = tuple(self.rng.sample(self.kinds, 2))
            found = [len(self._fitting(Look(kinds=(kind,)))) for kind in both]
            spoken = [kind if n == 1 else phrases.plural(kind) for kind, n in zip(both, found, strict=True)]
            return self._asked(
                "group",
                Look(kinds=both).steps(),
                self._phrase(phrases.ONE[:5], np=" and the ".join(spoken)),
                several=True,
            )
        thing = self._thing()
        look = self.rng.choice(
            (
                Look(kinds=(self._kind(),)),
                Look(color=thing.color),
                Look(size=thing.size),
                Look(size=thing.size, color=thing.color),
                Look(color=thing.color, kinds=(thing.kind,) if thing.kind else ()),
            )
        )
        return self._by_look("group", look, several=True)

    def none(self) -> Query | None:
        """Nothing fits: an absent look, use, place of a look, or a relation that the twin contradicts."""
        how = self.rng.choice(("look", "look", "kind", "use", "place", "relation", "missing"))
        if how == "use":
            return self._by_use("none", self.rng.choice(list(phrases.USES)), none=True)
        if how in ("look", "kind"):
            look = self._absent_look(how)
            if look is None:
                return None
            return self._with(look, "none", look.steps(), "", none=True)
        thing = self._thing()
        look = self._loose_look(thing)
        if look is None:
            return None
        if how == "place":
            where = self.rng.choice(list(phrases.PLACES))
            return self._with(
                look, "none", [*look.steps(), Place(where)], self.rng.choice(phrases.PLACES[where]), none=True
            )
        if how == "missing":
            predicate = self.rng.choice(list(phrases.PREDICATES))
            absent = self._absent_look(self.rng.choice(("kind", "kind", "look")))
            if absent is None or not absent.kinds:
                return None
            spoken = f"{self.rng.choice(phrases.PREDICATES[predicate])} the {absent.noun}"
            return self._with(look, "none", [*look.steps(), Missing(predicate, absent)], spoken, none=True)
        turned = [(s, OPPOSITE[p], t) for s, p, t in pairs(self.things) if p in OPPOSITE]
        if not turned:
            return None
        subject, predicate, target = self.rng.choice(turned)
        look = self._loose_look(self.things[subject - 1])
        turned_spoken = self._relation_phrase(predicate, target)
        if look is None or turned_spoken is None or look.fits(self.things[target - 1]):
            return None
        contradicted = {s for s, p, t in turned if t == target}
        if not set(self._fitting(look)) <= contradicted:
            return None
        return self._with(look, "none", [*look.steps(), Relates(predicate, target)], turned_spoken, none=True)

    def unknown(self) -> Query:
        """Something in words that the rendered world does not have: nothing fits, for a reason that says so."""
        path = (Step(step=1, criterion=strange.CRITERION, decisions=(), otherwise=strange.REASON),)
        return Query(strange.strange(self.rng), "unknown", self.rng.choice(("object", "object", "group")), (), path)

    def part(self) -> Query | None:
        """A part of an object, for learning granularity: it carries no answer."""
        thing = self._thing()
        if thing.kind not in KINDS:
            return None
        look = self._look_of(thing, self.rng.choice(("kind", "color", "both")))
        text = self._phrase(phrases.PART_OF, part=self.rng.choice(KINDS[thing.kind]), np=look.noun)
        return Query(text, "part", "part", (), ())

    # --- shared by the makers ---

    def _by_look(self, kind: str, look: Look, several: bool | None = None) -> Query | None:
        if look == Look():
            return None
        if several and len(self._fitting(look)) < 2:
            return None
        return self._with(look, kind, look.steps(), "")

    def _with(self, look: Look, kind: str, steps: list[Criterion], suffix: str, none: bool = False) -> Query | None:
        """Phrase a look and what follows it, in the number that the answer has."""
        indices, _ = solve(self.things, self.size, steps)
        if bool(indices) == none:
            return None
        thing_word = self.rng.choice(("thing", "object", "one"))
        several = len(indices) > 1 or (none and self.rng.random() < 0.15)
        joined = self.rng.choice((" ", " ", " ", " that is " if not several else " that are ")) if suffix else ""
        np, nps = look.phrase(thing_word) + joined + suffix, look.plural_phrase(thing_word + "s") + joined + suffix
        templates: Sequence[str] = phrases.SEVERAL if several else phrases.ONE
        if several and len(indices) in (2, 3) and self.rng.random() < 0.3:
            templates = phrases.COUNTED[len(indices) - 2]
        return self._asked(kind, steps, self._phrase(templates, np=np, nps=nps), several=several)

    def _by_use(self, kind: str, use: str, none: bool = False) -> Query | None:
        steps = Look(kinds=phrases.USES[use]).steps()
        indices, _ = solve(self.things, self.size, steps)
        if bool(indices) == none:
            return None
        several = len(indices) > 1
        if use in phrases.SUBJECT_LAST and self.rng.random() < 0.6:
            templates = phrases.USED_LAST_SEVERAL if several else phrases.USED_LAST_ONE
            text = self._phrase(templates, use=self.rng.choice(phrases.SUBJECT_LAST[use]))
        elif use in phrases.SUBJECT_LAST:
            text = self._phrase(("which things {use}?",) if several else ("what {use}?",), use=use)
        else:
            text = self._phrase(phrases.USED_SEVERAL if several else phrases.USED_ONE, use=use)
        return self._asked(kind, steps, text, several=several)

    def _asked(self, kind: str, steps: list[Criterion], text: str, several: bool | None) -> Query | None:
        """The query with its answer; None where `several` is None, one was asked for, and not one fits."""
        indices, path = solve(self.things, self.size, steps)
        if several is None and len(indices) != 1:
            return None
        return Query(text, kind, "group" if several else "object", indices, path)

    def _phrase(self, templates: Sequence[str], **words: str) -> str:
        text = self.rng.choice(templates).format(**words)
        habit = self.rng.random()
        if habit < 0.15:
            text = text[0].upper() + text[1:]
        elif habit < 0.22:
            text = text.removesuffix("?")
        elif habit < 0.3 and text[-1].isalpha():
            text += "."
        return text

    def _relation_phrase(self, predicate: str, target: int) -> str | None:
        """ "left of the blue tree", the target named uniquely; None where it cannot be."""
        thing = self.things[target - 1]
        if thing.kind not in KINDS:
            return None
        for how in ("kind", "color", "both"):
            look = self._look_of(thing, how)
            if self._fitting(look) == [target]:
                return f"{self.rng.choice(phrases.PREDICATES[predicate])} the {look.noun}"
        return None

    def _absent_look(self, how: str) -> Look | None:
        """A look that nothing has: an absent kind, or one that is there in another color or size."""
        if how == "kind":
            look = Look(
                color=self.rng.choice((None, None, *COLORS)),
                kinds=(self.rng.choice(list(KINDS)),),
            )
        else:
            look = self._look_of(self._thing(), self.rng.choice(("color", "size", "both")))
            swap = self.rng.random() < 0.7
            look = Look(
                size=look.size and self.rng.choice(list(SIZES)),
                color=look.color and (self.rng.choice(list(COLORS)) if swap else look.color),
                kinds=look.kinds if swap else (self.rng.choice(self.kinds or list(KINDS)),),
            )
        return None if look == Look() or self._fitting(look) else look

    def _loose_look(self, thing: Thing) -> Look | None:
        """A look that the thing has, and others may have too."""
        if thing.kind not in KINDS:
            return None
        if self.rng.random() < 0.15:
            return Look(color=thing.color)
        return self._look_of(thing, self.rng.choice(("kind", "kind", "color", "size", "both")))

    def _look_of(self, thing: Thing, how: str) -> Look:
        return Look(
            size=thing.size if how in ("size", "both") else None,
            color=thing.color if how in ("color", "both") else None,
            kinds=(thing.kind,) if thing.kind in KINDS else (),
        )

    def _fitting(self, look: Look) -> list[int]:
        return [index for index, thing in enumerate(self.things, start=1) if look.fits(thing)]

    def _thing(self) -> Thing:
        return self.rng.choice(self.things)

    def _kind(self) -> str:
        return self.rng.choice(self.kinds or list(KINDS))
