"""Taking over a provider's timetable from a file: activities, offerings and sessions, all of it or nothing.

What is there already is found by what people call it, and stays as it is, so that the same file twice does no more
than once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from rest_framework import serializers
from rest_framework.serializers import BaseSerializer, ValidationError

from core.envelope import camelize_key
from core.exceptions import flatten
from marketplace import catalogue, upkeep
from marketplace.import_file import Report, Row, read
from marketplace.models import Activity, Category, Offering, Session
from marketplace.provider_serializers import NewOfferingSerializer, ProviderActivitySerializer
from marketplace.schedule import HORIZON, LONGEST, MOST_SEATS, Slot, instant, slot
from marketplace.sessions import overlapping
from providers.models import Location, ProviderAccount
from providers.services import lock_account

# Columns that tell of an activity or an offering, by the field that they fill in.
ACTIVITY_FIELDS = {
    "category": "category_id",
    "summary": "summary",
    "description": "description",
    "ageMin": "age_min",
    "ageMax": "age_max",
}
OFFERING_FIELDS = {
    "price": "price_cents",
    "sessionCount": "session_count",
    "refundWindowHours": "refund_window_hours",
}
# And the other way round, as errors name fields.
COLUMN_OF = {camelize_key(field): column for column, field in (ACTIVITY_FIELDS | OFFERING_FIELDS).items()} | {
    "title": "activity",
    "name": "offering",
    "type": "offeringType",
}
STAYS = "It is there already with another value, and stays as it is."


@dataclass
class Told:
    """Something that rows of the file speak of: an activity or an offering, found or to be made."""

    row: int
    found: Any = None
    said: dict[str, Any] = field(default_factory=dict)
    said_in: dict[str, int] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    fields: dict[str, Any] = field(default_factory=dict)
    part_of: Any = None


@dataclass(kw_only=True)
class Outcome:
    """How much of the file was new, and what is worth a look."""

    rows: int
    activities: list[Activity]
    offerings: int
    sessions: int
    unchanged: int
    warnings: list[dict[str, Any]]


def import_timetable(*, account: ProviderAccount, file: bytes, dry_run: bool, now: datetime) -> Outcome:
    """Adds what the file has and the account has not; new activities are drafts. `dry_run` takes all of it back.

    Raises `ValidationFailed`, with row, column and message of each error.
    """
    report = Report()
    rows = read(file, report)
    with transaction.atomic():
        # Of two imports the second waits here, and finds what the first one made.
        lock_account(account.pk)
        reader = Reader(account, report, now=now)
        for row in rows:
            reader.take(row)
        reader.check_new()
        report.refuse_errors()
        outcome = reader.write(rows=len(rows))
        if dry_run:
            transaction.set_rollback(True)
    return outcome


class CategoryByName(serializers.Field):
    """A category that can be chosen, by slug or name, from those that the context has by their names."""

    default_error_messages = {"unknown": "There is no such category to choose."}

    def to_internal_value(self, data: str) -> Category:
        found = self.context["categories"].get(plain(data), [])
        if len(found) != 1:
            self.fail("unknown")
        return found[0]


class ImportedActivitySerializer(ProviderActivitySerializer):
    category_id = CategoryByName(source="category", write_only=True)  # type: ignore[assignment]


class Reader:
    """Goes through the rows of a file and collects what they speak of. The account's lock is held."""

    def __init__(self, account: ProviderAccount, report: Report, *, now: datetime):
        self.account, self.report, self.now = account, report, now
        self.categories = by_name(catalogue.open_categories(), lambda each: (each.slug, each.name))
        self.places = by_name(account.locations.select_related("city"), lambda each: (each.name,))
        own = list(Activity.objects.filter(provider=account).select_related("category"))
        self.by_slug = {each.slug: each for each in own}
        self.by_title = by_name(own, lambda each: (each.title,))
        self.own_offerings: dict[tuple, list[Offering]] = {}
        for offering in Offering.objects.filter(activity__provider=account):
            key = offering.activity_id, plain(offering.name or ""), offering.type
            self.own_offerings.setdefault(key, []).append(offering)
        self.activities: dict[Any, Told] = {}
        self.offerings: dict[Any, Told] = {}
        self.sessions: dict[tuple, tuple[Row, Told, Session]] = {}

    # --- Rows -------------------------------------------------------------------------------------------------------

    def take(self, row: Row) -> None:
        activity = self.activity_of(row) if row.get("activity") else None
        offering = self.offering_of(row, activity) if activity and row.get("offeringType") else None
        if row.wrong:
            # It has no session, but what it says of the others' activity is said.
            return
        place = self.place_of(row)
        made = self.slot_of(row, place) if place else None
        seats = row.get("capacity")
        if not 1 <= seats <= MOST_SEATS:
            self.report.error(row.number, "capacity", f"Must be from 1 to {MOST_SEATS}.")
        if activity is None or offering is None or place is None or made is None:
            return
        key = id(offering), place.pk, made.starts_at
        if key in self.sessions:
            twin = self.sessions[key][0].number
            self.report.error(row.number, "startTime", f"This is the same session as in row {twin}.")
            return
        session = Session(location=place, starts_at=made.starts_at, ends_at=made.ends_at, capacity=seats)
        self.sessions[key] = (row, offering, session)
        for note in made.notes:
            self.report.warn(row.number, "startTime", note)

    def activity_of(self, row: Row) -> Told | None:
        name = row.get("activity")
        found = [self.by_slug[name]] if name in self.by_slug else self.by_title.get(plain(name), [])
        if len(found) > 1:
            self.report.error(row.number, "activity", "Several of your activities are called so. Name its slug.")
            return None
        activity = found[0] if found else None
        if activity and activity.status == Activity.Status.ARCHIVED:
            self.report.error(row.number, "activity", "This activity is archived. Restore it first.")
            return None
        told = self.activities.setdefault(activity.pk if activity else plain(name), Told(row.number, activity))
        told.fields.setdefault("title", name)
        self.note(told, row, ACTIVITY_FIELDS)
        return told

    def offering_of(self, row: Row, activity: Told) -> Told | None:
        name, type_ = row.get("offering"), row.get("offeringType")
        found = self.own_offerings.get((activity.found.pk, plain(name or ""), type_), []) if activity.found else []
        if len(found) > 1:
            found = [each for each in found if each.status == Offering.Status.ACTIVE]
        if len(found) > 1:
            self.report.error(row.number, "offering", "Several of its offerings are called so. Give them names.")
            return None
        offering = found[0] if found else None
        if offering and offering.status != Offering.Status.ACTIVE:
            self.report.error(row.number, "offering", "This offering is no longer sold.")
            return None
        key = id(activity), plain(name or ""), type_
        told = self.offerings.setdefault(key, Told(row.number, offering))
        told.fields |= {"name": name, "type": type_}
        told.part_of = activity
        self.note(told, row, OFFERING_FIELDS)
        return told

    def note(self, told: Told, row: Row, columns: Iterable[str]) -> None:
        """Keeps what the row says, once for all rows; a later row may leave it out, but not say otherwise."""
        told.wrong |= row.wrong
        for column in columns:
            value = row.get(column)
            if value is None:
                continue
            if told.said.setdefault(column, value) != value:
                before = told.said_in[column]
                self.report.error(row.number, column, f"Row {before} says something else.")
            told.said_in.setdefault(column, row.number)

    def place_of(self, row: Row) -> Location | None:
        name = row.get("location")
        everywhere = [each for places in self.places.values() for each in places]
        if name is None:
            found = [each for each in everywhere if each.is_default] or everywhere
            message = "Name one of your locations." if found else "Add a location to your account first."
        else:
            found = self.places.get(plain(name), [])
            message = "Several of your locations are called so." if found else "You have no location of this name."
        if len(found) != 1:
            self.report.error(row.number, "location", message)
            return None
        return found[0]

    def slot_of(self, row: Row, place: Location) -> Slot | None:
        """When the row's session is, on the clock of its place."""
        zone = ZoneInfo(place.city.timezone)
        shown = datetime.combine(row.get("date"), row.get("startTime"))
        minutes, end = row.get("durationMinutes"), row.get("endTime")
        if (minutes is None) == (end is None):
            self.report.error(row.number, "durationMinutes", "Give either durationMinutes or endTime.")
            return None
        if end is None:
            if row.get("endDate"):
                self.report.error(row.number, "endDate", "durationMinutes says when it ends.")
                return None
            if not 1 <= minutes <= LONGEST / timedelta(minutes=1):
                self.report.error(row.number, "durationMinutes", f"Must be from a minute to {LONGEST.days} days.")
                return None
            return slot(shown, timedelta(minutes=minutes), zone)
        made = slot(shown, timedelta(minutes=1), zone)
        made = replace(made, ends_at=instant(datetime.combine(row.get("endDate") or row.get("date"), end), zone))
        if not made.starts_at < made.ends_at <= made.starts_at + LONGEST:
            message = f"Must come after the start, by at most {LONGEST.days} days. Does it lack an endDate?"
            self.report.error(row.number, "endTime", message)
            return None
        return made

    # --- All of it together -----------------------------------------------------------------------------------------

    def check_new(self) -> None:
        """Completes and checks what is to be made, and leaves out what is there already."""
        for all_told, columns, serializer in (
            (self.activities, ACTIVITY_FIELDS, ImportedActivitySerializer),
            (self.offerings, OFFERING_FIELDS, NewOfferingSerializer),
        ):
            for told in all_told.values():
                if told.found:
                    self.warn_of_changes(told, columns)
            self.check([told for told in all_told.values() if not told.found], columns, serializer)
        self.leave_out_known_sessions()

    def warn_of_changes(self, told: Told, columns: Mapping[str, str]) -> None:
        for column, value in told.said.items():
            if column == "category":
                same = plain(value) in (plain(told.found.category.name), told.found.category.slug)
            else:
                same = value == getattr(told.found, columns[column])
            if not same:
                self.report.warn(told.said_in[column], column, STAYS)

    def check(self, new: list[Told], columns: Mapping[str, str], serializer: type[BaseSerializer]) -> None:
        """Gives each the fields that the endpoint for one of them would take; its errors, by column."""
        # One for all of them: its own making takes longer than its work.
        checker = serializer(context={"categories": self.categories})
        for told in new:
            said = {columns[column]: value for column, value in told.said.items()}
            try:
                told.fields = checker.run_validation(told.fields | said)
            except ValidationError as error:
                for each in flatten(error.detail):
                    column = COLUMN_OF.get(each["field"], each["field"])
                    if column in told.wrong:
                        continue
                    cents = " Counted in cents." if column == "price" else ""
                    self.report.error(told.said_in.get(column, told.row), column, each["message"] + cents)

    def leave_out_known_sessions(self) -> None:
        known = self.known_sessions()
        for key, (row, offering, session) in list(self.sessions.items()):
            there = known.get((offering.found and offering.found.pk, session.location_id, session.starts_at))
            if there is not None:
                del self.sessions[key]
                for column, old, new in (
                    ("capacity", there.capacity, session.capacity),
                    ("endTime", there.ends_at, session.ends_at),
                ):
                    if old != new:
                        self.report.warn(row.number, column, STAYS)
            elif session.starts_at <= self.now:
                self.report.error(row.number, "date", "This session would begin in the past.")
            elif session.starts_at > self.now + HORIZON:
                self.report.error(row.number, "date", "Sessions are planned at most two years ahead.")

    def known_sessions(self) -> dict[tuple[UUID, UUID, datetime], Session]:
        """Those of the file's offerings that are there, cancelled ones included: an import brings none back."""
        offerings = [told.found for told in self.offerings.values() if told.found]
        starts = {session.starts_at for _, _, session in self.sessions.values()}
        found = Session.objects.filter(offering__in=offerings, starts_at__in=starts)
        return {(each.offering_id, each.location_id, each.starts_at): each for each in found}

    def write(self, *, rows: int) -> Outcome:
        with connection.cursor() as cursor:
            # The rows of search are written once, below, instead of after each statement.
            cursor.execute("SET LOCAL juniro.search = 'off'")
        new = [told for told in self.activities.values() if not told.found]
        made = catalogue.add_activities(provider=self.account, drafts=[told.fields for told in new])
        for told, activity in zip(new, made, strict=True):
            told.found = activity
        sold = [told for told in self.offerings.values() if not told.found]
        for told in sold:
            told.found = Offering(activity=told.part_of.found, **told.fields)
        Offering.objects.bulk_create(told.found for told in sold)
        for _, offering, session in self.sessions.values():
            session.offering, session.activity_id = offering.found, offering.found.activity_id
        self.warn_of_overlaps()
        sessions = Session.objects.bulk_create(session for _, _, session in self.sessions.values())
        upkeep.refresh([told.found.pk for told in self.activities.values()])
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL juniro.search = 'on'")
        return Outcome(
            rows=rows,
            activities=[told.found for told in new],
            offerings=len(sold),
            sessions=len(sessions),
            unchanged=rows - len(sessions),
            warnings=sorted(self.report.warnings, key=lambda each: each["row"]),
        )

    def warn_of_overlaps(self) -> None:
        by_place: dict[Location, list[tuple[Row, Slot]]] = {}
        for row, _, session in self.sessions.values():
            made = Slot(starts_at=session.starts_at, ends_at=session.ends_at)
            by_place.setdefault(session.location, []).append((row, made))
        for place, there in by_place.items():
            found = overlapping([made for _, made in there], location=place)
            for (row, _), others in zip(there, found, strict=True):
                if others:
                    plural = "s" * (len(others) > 1)
                    self.report.warn(row.number, "startTime", f"Overlaps {len(others)} other session{plural} there.")


def plain(name: str) -> str:
    """A name as people tell it from others: without case and extra blanks."""
    return " ".join(name.split()).casefold()


def by_name(rows: Iterable[Any], names: Callable[[Any], Iterable[str]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        for name in {plain(each) for each in names(row)}:
            found.setdefault(name, []).append(row)
    return found
