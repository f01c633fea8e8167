"""A provider's verbs over its catalogue: activities from draft to archive, and the offerings that sell them.

What holds over several rows holds under a lock: a provider's slugs under its account's, an activity's state and its
offerings under the activity's. Accounts are locked before activities.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, Q, QuerySet
from django.utils.text import slugify

from core.dispatch import after_commit
from core.errors import InvalidState, NotFound
from marketplace.models import Activity, Category, Offering, Session
from providers import locations
from providers.models import Location, ProviderAccount
from providers.services import lock_account

# Leaves room for what makes it unique.
SLUG_STEM = 100


# --- Activities -----------------------------------------------------------------------------------------------------


def open_categories() -> QuerySet[Category]:
    """The categories that an activity can be in: active ones without a choice below them."""
    closed = Q(parent__is_active=False) | Q(parent__parent__is_active=False)
    return Category.objects.filter(is_active=True).exclude(closed).exclude(children__is_active=True)


def add_activity(*, provider: ProviderAccount, **fields: Any) -> Activity:
    """A new draft, with a slug of its own among its provider's."""
    with transaction.atomic():
        lock_account(provider.pk)
        activity = Activity(provider=provider, **fields)
        activity.slug = free_slug(activity)
        activity.save(force_insert=True)
        return activity


def add_activities(*, provider: ProviderAccount, drafts: Iterable[dict[str, Any]]) -> list[Activity]:
    """Many new drafts at once, each as `add_activity` would make it."""
    with transaction.atomic():
        lock_account(provider.pk)
        taken = set(Activity.objects.filter(provider=provider).values_list("slug", flat=True))
        activities = [Activity(provider=provider, **fields) for fields in drafts]
        for activity in activities:
            activity.slug = slug_beside(taken, activity)
            taken.add(activity.slug)
        return Activity.objects.bulk_create(activities)


def change_activity(*, activity: Activity, **fields: Any) -> Activity:
    """Changes an activity. Its slug follows the title until it is first published, and then stays.

    What is published stays fit for parents, and what is archived stays as it is: else raises `InvalidState`.
    """
    with transaction.atomic():
        activity = lock_activity(activity)
        refuse_archived(activity)
        renamed = fields.get("title", activity.title) != activity.title
        for name, value in fields.items():
            setattr(activity, name, value)
        if renamed and activity.published_at is None:
            fields["slug"] = activity.slug = free_slug(activity)
        if activity.status == Activity.Status.PUBLISHED:
            check_fit_for_parents(activity)
        activity.save(update_fields=[*fields, "updated_at"])
        return activity


def free_slug(activity: Activity) -> str:
    """A slug for its title that no other activity of its provider has; the caller has the account locked."""
    others = Activity.objects.filter(provider=activity.provider_id, slug__startswith=slug_stem(activity))
    return slug_beside(set(others.exclude(pk=activity.pk).values_list("slug", flat=True)), activity)


def slug_stem(activity: Activity) -> str:
    # A title in another script than Latin has no letters to make a slug of.
    return slugify(activity.title)[:SLUG_STEM].strip("-_") or f"activity-{activity.pk.hex[-8:]}"


def slug_beside(taken: Collection[str], activity: Activity) -> str:
    """The first slug for its title that is none of `taken`."""
    stem = slug_stem(activity)
    slug, number = stem, 1
    while slug in taken:
        number += 1
        slug = f"{stem}-{number}"
    return slug


def publish(*, activity: Activity, now: datetime) -> Activity:
    """Shows a draft to parents, at once if its provider is verified. Raises `InvalidState`, naming what is missing.

    It needs no session yet: "dates to follow" is something to find, too.
    """
    with transaction.atomic():
        activity = lock_activity(activity)
        check_fit_for_parents(activity)
        # The first time counts: unpublishing and publishing again makes nothing newer.
        activity.move(Activity.Status.PUBLISHED, published_at=activity.published_at or now)
        return activity


def unpublish(*, activity: Activity) -> Activity:
    """Takes an activity out of the catalogue, back to a draft; what is booked stays booked. Raises `InvalidState`."""
    if activity.status != Activity.Status.PUBLISHED:
        raise InvalidState(f"This activity is {activity.get_status_display().lower()}, not published.")
    return activity.move(Activity.Status.DRAFT)


def archive(*, activity: Activity, now: datetime) -> Activity:
    """Puts an activity away. Raises `InvalidState` while somebody has a seat in a session to come."""
    with transaction.atomic():
        activity = lock_activity(activity)
        if upcoming(now=now).filter(activity=activity, enrolled__gt=0).exists():
            raise InvalidState("Children are booked into sessions to come. Cancel these sessions first.")
        activity.move(Activity.Status.ARCHIVED)
        return activity


def restore(*, activity: Activity) -> Activity:
    """Takes an activity out of the archive, as a draft. Raises `InvalidState`."""
    if activity.status != Activity.Status.ARCHIVED:
        raise InvalidState("This activity is not archived.")
    return activity.move(Activity.Status.DRAFT)


def remove_activity(*, activity: Activity) -> None:
    """Deletes an activity that nobody ever booked, with all that belongs to it. Raises `InvalidState` for others."""
    try:
        with transaction.atomic():
            activity = lock_activity(activity)
            images = list(activity.images.values_list("pk", flat=True))
            activity.delete()
            after_commit("marketplace.tasks.delete_image_files", *images)
    except (ProtectedError, IntegrityError):
        # By Django's own look, or by the foreign key of a booking that was made in this very moment.
        raise InvalidState("This activity has been booked. Archive it instead.") from None


def upcoming(*, now: datetime) -> QuerySet[Session]:
    return Session.objects.filter(status=Session.Status.SCHEDULED, starts_at__gt=now)


def lock_activity(activity: Activity) -> Activity:
    """The activity as it is now, locked until commit, its account before it. Raises `NotFound` if it is gone."""
    lock_account(activity.provider_id)
    found = Activity.objects.select_for_update(no_key=True).filter(pk=activity.pk).first()
    if found is None:
        raise NotFound
    return found


def refuse_archived(activity: Activity) -> None:
    if activity.status == Activity.Status.ARCHIVED:
        raise InvalidState("This activity is archived. Restore it first.")


def check_fit_for_parents(activity: Activity) -> None:
    """Raises `InvalidState`, with all that is missing in its details."""
    missing = list(missing_for_parents(activity))
    if missing:
        raise InvalidState("Parents need more than this before they see it.", details=missing)


def missing_for_parents(activity: Activity) -> Any:
    """What an activity lacks before parents can see it, as `{"field", "message"}`."""
    if not activity.description.strip():
        yield {"field": "description", "message": "Describe what the children do."}
    if not open_categories().filter(pk=activity.category_id).exists():
        yield {"field": "categoryId", "message": "Choose a category that is open and has none below it."}
    if not activity.offerings.filter(status=Offering.Status.ACTIVE).exists():
        yield {"field": "offerings", "message": "Add an offering, so that there is a price."}
    if not Location.objects.filter(provider=activity.provider_id).exists():
        yield {"field": "locations", "message": "Add a location, so that it can be found in its city."}


# --- Offerings ------------------------------------------------------------------------------------------------------


def add_offering(*, activity: Activity, **fields: Any) -> Offering:
    """A new way to buy an activity. Raises `InvalidState` for one in the archive."""
    with transaction.atomic():
        refuse_archived(lock_activity(activity))
        return Offering.objects.create(activity=activity, **fields)


def change_offering(*, offering: Offering, now: datetime, **fields: Any) -> Offering:
    """Changes an offering. Bookings keep the price that they were made at.

    Raises `InvalidState` where a published activity would lose its last active one, or where the number of sessions
    would change while children are booked into them.
    """
    with transaction.atomic():
        activity, offering = lock_offering(offering)
        refuse_archived(activity)
        resized = fields.get("session_count", offering.session_count) != offering.session_count
        if resized and upcoming(now=now).filter(offering=offering, enrolled__gt=0).exists():
            raise InvalidState("Children are booked for this number of sessions. Add another offering instead.")
        if fields.get("status") == Offering.Status.INACTIVE:
            keep_one_active(activity, offering)
        for name, value in fields.items():
            setattr(offering, name, value)
        offering.save(update_fields=[*fields, "updated_at"])
        return offering


def remove_offering(*, offering: Offering) -> None:
    """Deletes an offering with its sessions, or makes it inactive where it was ever booked. Raises `InvalidState`."""
    try:
        with transaction.atomic():
            activity, found = lock_offering(offering)
            keep_one_active(activity, found)
            found.delete()
    except (ProtectedError, IntegrityError):
        # By Django's own look, or at the commit by the foreign key of a booking that was made in this very moment.
        with transaction.atomic():
            activity, offering = lock_offering(offering)
            keep_one_active(activity, offering)
            offering.status = Offering.Status.INACTIVE
            offering.save(update_fields=["status", "updated_at"])


def lock_offering(offering: Offering) -> tuple[Activity, Offering]:
    """Its activity, locked until commit, and the offering as it is then. Raises `NotFound` if it is gone."""
    activity = lock_activity(offering.activity)
    found = Offering.objects.filter(pk=offering.pk).first()
    if found is None:
        raise NotFound
    return activity, found


def keep_one_active(activity: Activity, offering: Offering) -> None:
    others = activity.offerings.filter(status=Offering.Status.ACTIVE).exclude(pk=offering.pk)
    if activity.status == Activity.Status.PUBLISHED and not others.exists():
        raise InvalidState("A published activity needs an active offering. Unpublish it first.")


# --- Locations ------------------------------------------------------------------------------------------------------


def change_location(*, location: Location, **fields: Any) -> Location:
    """Changes a place. It stays in its city while it has sessions, whose clock is the city's.

    Raises `LocationInUse`, and what `locations.change` raises.
    """
    with transaction.atomic():
        location = locations.lock_location(location)
        moved = fields.get("city", location.city) != location.city
        if moved and Session.objects.filter(location=location).exists():
            raise locations.LocationInUse("Its sessions keep it in its city. Add another location for the other city.")
        return locations.change(location=location, **fields)
