"""Who offers what where: an endless list of invented providers and activities, of which a catalogue is the first N.

Nothing here depends on N, so a larger catalogue contains the smaller one, and nothing writes to the database.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, count
from random import Random
from uuid import UUID

from django.utils.text import slugify

from geography.models import City, Locality
from marketplace.demo.content import Content, Family, Topic, Variant

# Demo ids are version 7 with a made-up time: this moment plus the row's number in milliseconds.
EPOCH_MS = 1767225600000
DRAFTS, ARCHIVED = {17, 58}, {83}
FLAGSHIP_SHARE = 3


@dataclass(frozen=True)
class Place:
    name: str
    address: str
    locality: Locality | None
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True)
class ProviderPlan:
    """A provider to be. `factor` and `charm` make its prices its own: how dear, and whether they end in 9."""

    index: int
    id: UUID
    family: Family
    name: str
    slug: str
    about: str
    individual: bool
    pending: bool
    city: City
    places: tuple[Place, ...]
    size: int
    factor: float
    charm: bool


@dataclass(frozen=True)
class ActivityPlan:
    index: int
    id: UUID
    provider: ProviderPlan
    category: str
    topic: Topic
    variant: Variant | None
    title: str
    slug: str

    @property
    def status(self) -> str:
        if self.provider.pending or self.index % 100 in DRAFTS:
            return "draft"
        return "archived" if self.index % 100 in ARCHIVED else "published"


@dataclass(frozen=True)
class Catalogue:
    """The catalogue of one market for one seed.

    `cities` are the launch cities with their localities, and `taken` the owner of each provider slug that is in use; a
    slug may be taken by the very provider who is planned here. Only what is in `open_cities` and `open_categories`
    (slugs) comes out, but all of it is planned, so that no plan changes when ops staff open or close something.
    """

    content: Content
    seed: int
    cities: Sequence[tuple[City, Sequence[Locality]]]
    open_cities: Set[str]
    open_categories: Set[str]
    taken: Mapping[str, UUID | None]

    def key(self, *parts: object) -> str:
        return "/".join(map(str, (self.seed, self.content.market, *parts)))

    def rng(self, *parts: object) -> Random:
        return Random(self.key(*parts))

    def row_id(self, kind: str, index: int, part: int = 0) -> UUID:
        """The id of one demo row, the same in each run; ids of a kind sort by `index`, then by `part`."""
        noise = int.from_bytes(hashlib.sha256(self.key(kind, index, part).encode()).digest()[:8])
        return UUID(int=(EPOCH_MS + index) << 80 | 7 << 76 | part << 64 | 0b10 << 62 | noise >> 2)

    def activities(self) -> Iterator[ActivityPlan]:
        """Activities without end, provider by provider."""
        topics = {slug: self.deal(f"topics/{slug}", self.content.kits[slug].topics) for slug in self.content.kits}
        index = count()
        for provider in self.providers():
            rng = self.rng("activities", provider.index)
            offered = provider.family.categories
            first = rng.randrange(len(offered))
            slugs: set[str] = set()
            while len(slugs) < provider.size:
                category = offered[(first + len(slugs)) % len(offered)]
                topic = next(topics[category])
                variant = self.variant(rng, self.content.kits[category].plan, topic)
                title = f"{topic.title} ({variant.label})" if variant else topic.title
                slug = slugify(title)
                if slug in slugs:
                    continue
                slugs.add(slug)
                number = next(index)
                if provider.city.slug in self.open_cities and category in self.open_categories:
                    row = self.row_id("activity", number)
                    yield ActivityPlan(number, row, provider, category, topic, variant, title, slug)

    def variant(self, rng: Random, plan: str, topic: Topic) -> Variant | None:
        """A twist that suits `topic`, or none, which is as likely as all of them together."""
        suited = [variant for variant in self.content.variants.get(plan, ()) if variant.suits(topic)]
        return rng.choice(suited) if suited and rng.random() < 0.5 else None

    def providers(self) -> Iterator[ProviderPlan]:
        shares = [pair for pair in self.cities for _ in range(self.share(pair[0]))]
        slugs = dict(self.taken)
        names: set[str] = set()
        families, cities = self.deal("families", self.content.families), self.deal("cities", shares)
        for index, family, (city, localities) in zip(count(), families, cities, strict=False):
            rng = self.rng("provider", index)
            individual = bool(family.individual) and rng.random() < 0.4
            pending = index % 20 == 13
            places = self.places(
                rng, family, city, localities, wanted=1 if individual else rng.choice((1, 1, 1, 2, 2, 3))
            )
            name = self.name(rng, family, city, places[0], individual=individual, names=names)
            owner = self.row_id("provider", index)
            slug = free_slug(f"{name} {city.name}" if city.name not in name else name, owner=owner, slugs=slugs)
            slugs[slug] = owner
            names.add(name)
            yield ProviderPlan(
                index=index,
                id=owner,
                family=family,
                name=name,
                slug=slug,
                about=rng.choice(family.about),
                individual=individual,
                pending=pending,
                city=city,
                places=places,
                size=2 if pending else rng.randint(3, 7),
                factor=rng.uniform(0.9, 1.15),
                charm=rng.random() < 0.4,
            )

    def share(self, city: City) -> int:
        return FLAGSHIP_SHARE if city.slug == self.content.flagship else 1

    def name(self, rng: Random, family: Family, city: City, place: Place, *, individual: bool, names: set[str]) -> str:
        if individual:
            name = f"{rng.choice(self.content.first_names)}'s {rng.choice(family.individual)}"
        else:
            name = f"{rng.choice(self.content.words)} {rng.choice(family.business)}"
        if name in names and place.locality:
            name = f"{name} {place.locality.name}"
        return f"{name} {city.name}" if name in names and city.name not in name else name

    def places(
        self, rng: Random, family: Family, city: City, localities: Sequence[Locality], *, wanted: int
    ) -> tuple[Place, ...]:
        """One to three places in `city`, each in another locality where there are that many."""
        chosen: list[Locality | None] = list(rng.sample(list(localities), min(wanted, len(localities))))
        return tuple(self.place(rng, family, city, locality) for locality in chosen or [None])

    def place(self, rng: Random, family: Family, city: City, locality: Locality | None) -> Place:
        street = rng.choice(self.content.streets).format(
            n=rng.randint(100, 2900), s=rng.randint(2, 98), f=rng.randint(1, 4), k=rng.randint(4, 20)
        )
        district = locality.name if locality else city.name
        # We know no locality's own coordinates; a fixed offset keeps its places together, near the city's centre.
        around = Random(f"{city.slug}/{locality.slug if locality else ''}")
        return Place(
            name=f"{district} {rng.choice(family.venues)}",
            address=f"{street}, {district}, {city.name}" if locality else f"{street}, {city.name}",
            locality=locality,
            latitude=near(city.latitude, around, rng),
            longitude=near(city.longitude, around, rng),
        )

    def deal(self, name: str, cards: Sequence) -> Iterator:
        """All of `cards` in a shuffled order, again and again, so that none comes up twice before each came up once."""
        for turn in count():
            deck = list(cards)
            self.rng("deal", name, turn).shuffle(deck)
            yield from deck


def near(centre: float | None, locality: Random, place: Random) -> float | None:
    """A coordinate a few kilometres from `centre`: `locality` decides how far, and `place` moves it a little more."""
    return None if centre is None else round(centre + locality.uniform(-0.035, 0.035) + place.uniform(-0.006, 0.006), 5)


def free_slug(text: str, *, owner: UUID, slugs: Mapping[str, UUID | None]) -> str:
    """A slug for `text` that nobody but `owner` has; short enough to be part of an e-mail address."""
    base = slugify(text)[:50].strip("-")
    candidates = chain([base], (f"{base}-{number}" for number in count(2)))
    return next(slug for slug in candidates if slugs.get(slug, owner) == owner)
