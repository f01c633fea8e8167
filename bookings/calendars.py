"""Sessions as calendar programs read them (iCalendar, RFC 5545).

A feed's address is all the sign-in that a calendar program has, and what it fetches is kept on the servers of whoever
runs it. So nothing in it tells of a child: parents see how many places they booked, providers how many are taken.

Times are in UTC, which every program turns into its reader's clock. There is no METHOD, as in any calendar that is
fetched and not mailed; DTSTAMP then means the same as LAST-MODIFIED, and equal data give equal bytes.
"""

import hashlib
import secrets
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, Max, OuterRef, Q
from icalendar import Calendar, Event, Timezone, TimezoneStandard, vText

from bookings.models import CalendarFeed, Seat, SeatQuerySet
from core.errors import NotFound
from marketplace.models import Session
from providers.models import Location, ProviderAccount, ProviderUser
from users.models import User

BACK, AHEAD = timedelta(days=30), timedelta(days=366)
MOST_EVENTS = 1_000
REFRESH = timedelta(hours=1)

CONFIRMED, TENTATIVE, CANCELLED = "CONFIRMED", "TENTATIVE", "CANCELLED"


# --- Addresses -------------------------------------------------------------------------------------------------------


def open_feed(*, user: User, account: ProviderAccount | None = None, location: Location | None = None) -> str:
    """A new address for `user`'s own bookings, or the sessions of `account` or one of its places; the old one ends."""
    token = secrets.token_urlsafe(32)
    CalendarFeed.objects.update_or_create(
        user=user, provider_account=account, location=location, defaults={"token_sha256": digest(token)}
    )
    return f"{settings.REGION_API_URLS[settings.REGION]}/v1/calendars/{token}.ics"


def close_feed(*, user: User, account: ProviderAccount | None = None, location: Location | None = None) -> None:
    """Ends the address; without one nothing happens."""
    CalendarFeed.objects.filter(user=user, provider_account=account, location=location).delete()


def find_feed(token: str) -> CalendarFeed:
    """The feed behind `token`. Raises `NotFound`, also where its user is gone or no longer on the provider's staff."""
    staff = ProviderUser.objects.filter(user=OuterRef("user"), provider_account=OuterRef("provider_account"))
    feeds = CalendarFeed.objects.select_related("provider_account", "location")
    mine = feeds.filter(Q(provider_account=None) | Exists(staff), user__is_active=True)
    found = mine.filter(token_sha256=digest(token)).first()
    if found is None:
        raise NotFound
    return found


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# --- What they show --------------------------------------------------------------------------------------------------


def read(feed: CalendarFeed, *, now: datetime) -> bytes:
    """The feed as a calendar of at most `MOST_EVENTS` sessions, from a month ago to a year ahead."""
    if feed.provider_account is None:
        seats = known_seats(feed.user_id).filter(session__ends_at__gte=now - BACK, session__starts_at__lte=now + AHEAD)
        return calendar("Juniro", visits(session_by_session(seats)[:MOST_EVENTS]))
    name = feed.provider_account.business_name
    sessions = Session.objects.filter(
        activity__provider=feed.provider_account, ends_at__gte=now - BACK, starts_at__lte=now + AHEAD
    )
    if feed.location:
        sessions, name = sessions.filter(location=feed.location), f"{name}, {feed.location.name}"
    sessions = sessions.select_related("activity", "location__city").order_by("starts_at", "pk")
    sessions = sessions.annotate(seats_changed_at=Max("seats__updated_at"))
    return calendar(f"{name} · Juniro", (taught(each) for each in sessions[:MOST_EVENTS]))


def of_booking(booking_id: UUID) -> bytes:
    """The sessions that a booking holds seats in, as a file for a mail; the same events as in the feed.

    While it is not paid yet they are tentative.
    """
    return calendar("Juniro", visits(session_by_session(Seat.objects.held().filter(booking=booking_id))))


def known_seats(user_id: UUID) -> SeatQuerySet:
    """Seats that a parent knows of as theirs, given back ones included.

    Not those that were given back before their booking was confirmed: nobody ever had them in a calendar.
    """
    seats = Seat.objects.filter(booking__parent__user=user_id, booking__confirmed_at__isnull=False)
    return seats.filter(Q(released_at=None) | Q(released_at__gt=F("booking__confirmed_at")))


def session_by_session(seats: SeatQuerySet) -> SeatQuerySet:
    related = ("booking", "session__activity__provider", "session__location__city")
    return seats.select_related(*related).order_by("session__starts_at", "session", "pk")


def visits(seats: Iterable[Seat]) -> Iterator["Entry"]:
    """One event for each session, however many children go there."""
    for _, group in groupby(seats, key=lambda seat: seat.session_id):
        yield visit(list(group))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One event of a calendar."""

    session: Session
    title: str
    notes: Sequence[str]
    path: str
    sequence: int
    changed_at: datetime
    status: str


def visit(seats: list[Seat]) -> Entry:
    """A family's seats in one session, first one first."""
    session = seats[0].session
    held = [seat for seat in seats if seat.released_at is None]
    places = f"{len(held)} places" if len(held) > 1 else ""
    return Entry(
        session=session,
        title=f"{session.activity.title} ({places})" if places else session.activity.title,
        notes=[session.activity.provider.business_name, places],
        path=f"/bookings/{(held or seats)[-1].booking_id}",
        # A seat that is taken or given back is a change that the session's own number does not count.
        sequence=session.sequence + len(seats) - 1 + sum(seat.released_at is not None for seat in seats),
        changed_at=max(changed_at(session), *(seat.updated_at for seat in seats)),
        status=CANCELLED if not held else status_of(session, is_paid=any(each.booking.confirmed_at for each in held)),
    )


def taught(session: Session) -> Entry:
    """A session as its provider's staff see it. Expects `seats_changed_at`."""
    taken = f"{session.enrolled} of {session.capacity} seats taken"
    seats_changed_at = session.seats_changed_at or session.updated_at  # type: ignore[attr-defined]
    return Entry(
        session=session,
        title=f"{session.activity.title} ({session.enrolled}/{session.capacity})",
        notes=[taken],
        path=f"/provider/sessions/{session.pk}",
        sequence=session.sequence,
        changed_at=max(changed_at(session), seats_changed_at),
        status=status_of(session),
    )


def status_of(session: Session, *, is_paid: bool = True) -> str:
    if session.status == Session.Status.CANCELLED:
        return CANCELLED
    return CONFIRMED if is_paid else TENTATIVE


def changed_at(session: Session) -> datetime:
    return max(session.updated_at, session.activity.updated_at, session.location.updated_at)


# --- How it is written -----------------------------------------------------------------------------------------------


def calendar(name: str, entries: Iterable[Entry]) -> bytes:
    found = Calendar()
    found.add("version", "2.0")
    found.add("prodid", "-//Juniro//Sessions//EN")
    found.add("calscale", "GREGORIAN")
    for label in ("name", "x-wr-calname"):
        # The library takes neither for a text, and would leave commas as they are.
        found.add(label, vText(one_line(name)))
    found.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    found.add("x-published-ttl", "PT1H")
    for entry in entries:
        found.add_component(event(entry))
    if not found.subcomponents:
        # A calendar must hold something.
        found.add_component(universal_time())
    return found.to_ical()


def event(entry: Entry) -> Event:
    session, location = entry.session, entry.session.location
    title = one_line(entry.title)
    properties: dict[str, Any] = {
        # The same in every feed and for ever, so that programs know a session again.
        "uid": f"{session.pk}@juniro",
        "sequence": entry.sequence,
        "dtstamp": entry.changed_at,
        "last-modified": entry.changed_at,
        "dtstart": session.starts_at,
        "dtend": session.ends_at,
        # Said in words as well: some programs show a cancelled event like any other.
        "summary": f"Cancelled: {title}" if entry.status == CANCELLED else title,
        "description": "\n".join([*map(one_line, filter(None, entry.notes)), f"{settings.APP_URL}{entry.path}"]),
        "location": one_line(f"{location.name}, {location.address}, {location.city.name}"),
        "url": f"{settings.APP_URL}{entry.path}",
        "status": entry.status,
        "transp": "TRANSPARENT" if entry.status == CANCELLED else "OPAQUE",
    }
    if location.latitude is not None and location.longitude is not None:
        properties["geo"] = (location.latitude, location.longitude)
    made = Event()
    for name, value in properties.items():
        made.add(name, value)
    return made


def universal_time() -> Timezone:
    standard = TimezoneStandard()
    standard.add("dtstart", datetime(1970, 1, 1))
    standard.add("tzoffsetfrom", timedelta(0))
    standard.add("tzoffsetto", timedelta(0))
    zone = Timezone()
    zone.add("tzid", "UTC")
    zone.add_component(standard)
    return zone


def one_line(text: str) -> str:
    """`text` without line breaks and without the control characters that a calendar may not hold."""
    return "".join(each for each in " ".join(text.split()) if unicodedata.category(each) != "Cc")
