"""What search knows by heart, process by process, for a short while: categories, localities, words, some counts."""

import time
from collections.abc import Callable
from typing import Any

from rapidfuzz import fuzz, process
from rapidfuzz.distance import DamerauLevenshtein

from geography.models import Locality
from marketplace.models import Category, SearchWord

TREE_SECONDS, WORD_SECONDS = 10, 300
MAX_WORDS = 50_000
MAX_KEPT = 1000

_kept: dict[str, tuple[float, Any]] = {}


def kept(name: str, seconds: float, load: Callable[[], Any]) -> Any:
    """The value of `load()`, at most `seconds` old. Two threads may load at once; both are right."""
    value = recall(name)
    if value is None:
        value = load()
        keep(name, seconds, value)
    return value


def recall(name: str) -> Any:
    """What was kept under that name, or None if that was never or too long ago."""
    until, value = _kept.get(name, (0.0, None))
    return value if time.monotonic() < until else None


def keep(name: str, seconds: float, value: Any) -> None:
    if len(_kept) >= MAX_KEPT:
        forget()
    _kept[name] = (time.monotonic() + seconds, value)


def forget() -> None:
    """Asks the database again at the next use."""
    _kept.clear()


def categories_below(slug: str) -> list[str]:
    """The slugs of a category and of all below it; just the slug itself if there is no such category."""
    return kept("categories", TREE_SECONDS, load_categories).get(slug) or [slug]


def load_categories() -> dict[str, list[str]]:
    """Each slug with those of its category and of all below."""
    rows = list(Category.objects.values_list("pk", "parent_id", "slug"))
    below = {}
    for top, _, slug in rows:
        wanted = {top}
        while grown := {pk for pk, parent, _ in rows if parent in wanted} - wanted:
            wanted |= grown
        below[slug] = sorted(own for pk, _, own in rows if pk in wanted)
    return below


def cities_with(locality: str) -> list[str]:
    """The slugs of the cities that have a locality of that slug."""
    return kept("localities", TREE_SECONDS, load_localities).get(locality, [])


def load_localities() -> dict[str, list[str]]:
    cities: dict[str, list[str]] = {}
    for slug, city in Locality.objects.order_by("city__slug").values_list("slug", "city__slug"):
        cities.setdefault(slug, []).append(city)
    return cities


def correct(text: str) -> str | None:
    """`text` with each unknown word replaced by the nearest known one, or None if that changes nothing.

    Near means one typing slip in short words and two in longer ones; of equally near words the commoner wins.
    """
    words = kept("words", WORD_SECONDS, load_words)
    corrected = [nearest(word, words) or word for word in text.lower().split()]
    result = " ".join(corrected)
    return result if result != text.lower() else None


def load_words() -> dict[str, int]:
    rows = SearchWord.objects.order_by("-occurrences", "word").values_list("word", "occurrences")[:MAX_WORDS]
    return dict(rows)


def nearest(word: str, words: dict[str, int]) -> str | None:
    if len(word) < 3 or not word.isalpha() or word in words:
        return None
    slips = 1 if len(word) < 6 else 2
    close = process.extract(word, words.keys(), scorer=DamerauLevenshtein.distance, score_cutoff=slips, limit=20)
    best = min(close, key=lambda found: (found[1], -words[found[0]], -fuzz.ratio(word, found[0])), default=None)
    return best[0] if best else None
