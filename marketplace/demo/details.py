"""What a demo activity says about itself: ages, length, size of the group and a description."""

from dataclasses import dataclass
from random import Random

from marketplace.demo.catalogue import ActivityPlan, Catalogue, Place
from marketplace.demo.content import Content, Kit


@dataclass(frozen=True)
class Details:
    """`unit` is the price of one class, day or week in whole dollars or rupees, not yet rounded."""

    ages: tuple[int, int]
    minutes: int
    capacity: int
    place: Place
    unit: float
    description: str


def details(catalogue: Catalogue, plan: ActivityPlan) -> Details:
    """The details of `plan`, the same in each run."""
    rng, kit, variant = catalogue.rng("details", plan.index), catalogue.content.kits[plan.category], plan.variant
    lengths = plan.topic.minutes or kit.minutes
    minutes = (variant.minutes if variant else 0) or rng.choice(lengths)
    return Details(
        ages=ages(plan),
        minutes=minutes,
        capacity=(variant.capacity if variant else 0) or rng.randint(*kit.capacity),
        place=rng.choice(plan.provider.places),
        unit=unit_price(rng, plan, kit, minutes),
        description=description(rng, plan, kit, catalogue.content),
    )


def ages(plan: ActivityPlan) -> tuple[int, int]:
    low, high = plan.topic.ages
    middle = (low + high) // 2
    half = plan.variant.ages if plan.variant else ""
    return {"lower": (low, middle), "upper": (middle, high)}.get(half, (low, high))


def unit_price(rng: Random, plan: ActivityPlan, kit: Kit, minutes: int) -> float:
    """Somewhere in the category's range: longer is dearer, and so are some providers."""
    (low, high), shortest, longest = kit.price, min(kit.minutes), max(kit.minutes)
    length = (min(max(minutes, shortest), longest) - shortest) / (longest - shortest or 1)
    price = low + (high - low) * (length + rng.random()) / 2
    return price * plan.provider.factor * (plan.variant.price if plan.variant else 1)


def description(rng: Random, plan: ActivityPlan, kit: Kit, content: Content) -> str:
    """Three short paragraphs: what children do, who teaches, what to know before coming."""
    lead = [plan.variant.note] if plan.variant else []
    does = [*lead, *rng.sample(kit.does, 3 - len(lead))]
    know = [rng.choice(kit.bring), rng.choice(content.practical)]
    return "\n\n".join((" ".join(does), rng.choice(kit.coach), " ".join(know)))
