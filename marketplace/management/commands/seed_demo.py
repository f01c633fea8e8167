"""`manage.py seed_demo`: fills this region with an invented catalogue to browse, book and measure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone
from uuid_utils.compat import uuid7

from geography.management.commands.seed_geography import launch_cities
from geography.models import City
from marketplace import upkeep
from marketplace.demo.catalogue import ActivityPlan, Catalogue, ProviderPlan
from marketplace.demo.content import load
from marketplace.demo.details import Details, details
from marketplace.demo.offerings import OfferingPlan, offerings
from marketplace.models import Activity, Category, Offering, Session
from providers.models import Location, ProviderAccount, ProviderUser, StaffRole
from regions.models import SlugReservation
from users.models import Parent, User

BATCH = 500
ROWS_PER_INSERT = 2000


def seed(*, activities: int, seed: int = 1, now: datetime | None = None) -> int:
    """Adds what is missing of the first `activities` of the demo catalogue, with providers, offerings and sessions.

    Returns how many activities were added. The same `seed` gives the same catalogue; `now` only moves its dates, which
    all lie in the future. An offering whose sessions are all over gets new ones, so that a catalogue of last year can
    still be booked. Needs the seeded geography and categories. Raises `CommandError`.
    """
    now = now or timezone.now()
    catalogue = plan_catalogue(seed)
    plans = islice(catalogue.activities(), activities)
    added = sum(write(catalogue, batch, now=now) for batch in batches(plans))
    if added:
        upkeep.refresh_words()
    return added


def plan_catalogue(seed: int) -> Catalogue:
    content = load(settings.REGION)
    slugs = launch_cities(settings.REGION)
    cities = City.objects.filter(country__region=settings.REGION, slug__in=slugs).order_by("slug")
    leaves = Category.objects.filter(is_active=True, children=None, parent__is_active=True)
    catalogue = Catalogue(
        content=content,
        seed=seed,
        cities=[(city, list(city.localities.order_by("slug"))) for city in cities],
        open_cities=set(cities.active().filter(country__is_active=True).values_list("slug", flat=True)),
        open_categories=set(leaves.values_list("slug", flat=True)) & content.kits.keys(),
        taken=taken_slugs(),
    )
    if not catalogue.open_cities or not catalogue.open_categories:
        raise CommandError("No launch city or no category is open: run seed_geography and seed_categories first.")
    return catalogue


def taken_slugs() -> dict[str, UUID | None]:
    """Which provider slugs are in use here, by whom, and which belong to the other region."""
    elsewhere = SlugReservation.objects.exclude(region=settings.REGION).values_list("slug", flat=True)
    return dict.fromkeys(elsewhere) | dict(ProviderAccount.objects.values_list("slug", "id"))


def batches(plans: Iterator[ActivityPlan]) -> Iterator[list[ActivityPlan]]:
    while batch := list(islice(plans, BATCH)):
        yield batch


@transaction.atomic
def write(catalogue: Catalogue, plans: list[ActivityPlan], *, now: datetime) -> int:
    """Inserts the activities among `plans` that are missing, with all that belongs to them; returns how many."""
    with connection.cursor() as cursor:
        # Two that seed at once take turns, and the second finds the rows of the first.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('seed_demo'))")
        # The search rows are written once, below, instead of after each statement.
        cursor.execute("SET LOCAL juniro.search = 'off'")
        cursor.execute("SET LOCAL statement_timeout = '2min'")
    present = set(Activity.objects.filter(id__in=[plan.id for plan in plans]).values_list("id", flat=True))
    missing = [plan for plan in plans if plan.id not in present]
    if missing:
        write_providers(catalogue, list({plan.provider.id: plan.provider for plan in missing}.values()), now=now)
        write_activities(catalogue, missing, now=now)
    renewed = renew_sessions(catalogue, [plan for plan in plans if plan.id in present], now=now)
    if missing or renewed:
        upkeep.refresh([plan.id for plan in plans])
    return len(missing)


def write_providers(catalogue: Catalogue, plans: list[ProviderPlan], *, now: datetime) -> None:
    """Inserts `plans` with owners and locations; what is there already, in part or in whole, stays as it is."""
    reservations = [SlugReservation(slug=plan.slug, region=settings.REGION) for plan in plans]
    users, parents, accounts, staff, locations = [], [], [], [], []
    for plan in plans:
        rng = catalogue.rng("provider row", plan.index)
        joined = now - timedelta(days=rng.randint(1, 4) if plan.pending else rng.randint(320, 900))
        stamps = {"created_at": joined}
        user = User(
            id=catalogue.row_id("user", plan.index),
            auth_id=str(catalogue.row_id("auth", plan.index)),
            email=f"owner.{plan.slug}@juniro.example",
            password=make_password(None),
            home_region=settings.REGION,
            country_id=plan.city.country_id,
            role=User.Role.PROVIDER,
            **stamps,
        )
        account = ProviderAccount(
            id=plan.id,
            business_name=plan.name,
            slug=plan.slug,
            type=ProviderAccount.Type.INDIVIDUAL if plan.individual else ProviderAccount.Type.BUSINESS,
            status=ProviderAccount.Status.PENDING if plan.pending else ProviderAccount.Status.VERIFIED,
            submitted_at=joined + timedelta(hours=2),
            verified_at=None if plan.pending else joined + timedelta(days=3),
            description=plan.about,
            email=f"{plan.slug}@juniro.example",
            **stamps,
        )
        users.append(user)
        parents.append(Parent(id=catalogue.row_id("parent", plan.index), user=user, **stamps))
        accounts.append(account)
        staff.append(
            ProviderUser(
                id=catalogue.row_id("staff", plan.index),
                provider_account=account,
                user=user,
                role=StaffRole.OWNER,
                **stamps,
            )
        )
        locations += [
            Location(
                id=catalogue.row_id("location", plan.index, number),
                provider=account,
                name=place.name,
                address=place.address,
                city=plan.city,
                locality=place.locality,
                latitude=place.latitude,
                longitude=place.longitude,
                is_default=number == 0,
                **stamps,
            )
            for number, place in enumerate(plan.places)
        ]
    insert(reservations, users, parents, accounts, staff, locations, keep=True)


def write_activities(catalogue: Catalogue, plans: list[ActivityPlan], *, now: datetime) -> None:
    categories = dict(Category.objects.filter(slug__in=catalogue.open_categories).values_list("slug", "id"))
    activities: list[Activity] = []
    rows: list[Offering] = []
    sessions: list[tuple] = []
    for plan in plans:
        told = details(catalogue, plan)
        # Stays within the time that the provider is with us.
        made = now - timedelta(minutes=catalogue.rng("activity row", plan.index).randint(24 * 60, 300 * 24 * 60))
        activities.append(
            Activity(
                id=plan.id,
                provider_id=plan.provider.id,
                title=plan.title,
                slug=plan.slug,
                summary=plan.topic.summary,
                description=told.description,
                category_id=categories[plan.category],
                age_min=told.ages[0],
                age_max=told.ages[1],
                duration=told.minutes,
                status=plan.status,
                published_at=None if plan.status == Activity.Status.DRAFT else made,
                created_at=made,
            )
        )
        for number, offering in enumerate(offerings(catalogue, plan, told, now=now)):
            rows.append(
                Offering(
                    id=catalogue.row_id("offering", plan.index, number),
                    activity_id=plan.id,
                    type=offering.type,
                    name=offering.name,
                    price_cents=offering.price_cents,
                    currency=settings.CURRENCY,
                    session_count=offering.session_count,
                    refund_window_hours=offering.refund_window_hours,
                )
            )
            if plan.status == Activity.Status.PUBLISHED:
                sessions += session_rows(catalogue, plan, told, number, offering)
    insert(activities, rows)
    copy_sessions(sessions)


def renew_sessions(catalogue: Catalogue, plans: list[ActivityPlan], *, now: datetime) -> bool:
    """Plans the coming weeks for those offerings of `plans` whose sessions are all over, and says if there were any."""
    sold = Offering.objects.filter(activity__in=[plan.id for plan in plans], activity__status=Activity.Status.PUBLISHED)
    over = sold.filter(status=Offering.Status.ACTIVE).annotate(last=Max("sessions__starts_at")).filter(last__lt=now)
    due = dict(over.values_list("id", "activity_id"))
    stale = set(due.values())
    sessions: list[tuple] = []
    for plan in plans:
        if plan.id in stale:
            told = details(catalogue, plan)
            for number, offering in enumerate(offerings(catalogue, plan, told, now=now)):
                if catalogue.row_id("offering", plan.index, number) in due:
                    sessions += session_rows(catalogue, plan, told, number, offering)
    copy_sessions(sessions)
    return bool(sessions)


def session_rows(
    catalogue: Catalogue, plan: ActivityPlan, told: Details, number: int, offering: OfferingPlan
) -> Iterator[tuple]:
    """The rows of offering `number` for `copy_sessions`."""
    offering_id = catalogue.row_id("offering", plan.index, number)
    location_id = catalogue.row_id("location", plan.provider.index, plan.provider.places.index(told.place))
    for starts_at, ends_at in offering.sessions:
        yield uuid7(), plan.id, offering_id, location_id, starts_at, ends_at, told.capacity


def insert(*tables: list[Any], keep: bool = False) -> None:
    """Inserts each list of rows, in this order; `keep` skips rows that are there already."""
    for rows in tables:
        if rows:
            manager = type(rows[0])._default_manager
            manager.bulk_create(rows, batch_size=ROWS_PER_INSERT, ignore_conflicts=keep)


def copy_sessions(rows: list[tuple]) -> None:
    """Inserts sessions by COPY: they are most of the rows, and the ORM would triple the time of the whole run."""
    columns = "id, activity_id, offering_id, location_id, starts_at, ends_at, capacity"
    with connection.cursor() as cursor, cursor.copy(f"COPY {Session._meta.db_table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


class Command(BaseCommand):
    help = "Fills this region with an invented catalogue. Adds what is missing and never changes or removes a row."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--activities", type=int, default=300, help="How many there are to be (default: 300)")
        parser.add_argument("--seed", type=int, default=1, help="Another number gives another catalogue (default: 1)")
        parser.add_argument(
            "--now", type=datetime.fromisoformat, help="Plan from this moment, ISO 8601 (UTC without zone)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = options["now"]
        if now is not None and now.tzinfo is None:
            now = now.replace(tzinfo=UTC)
        added = seed(activities=options["activities"], seed=options["seed"], now=now)
        self.stdout.write(f"Added {added} activities.")
