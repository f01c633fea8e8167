"""Money, days and times as people in each region write them. The zone is the place's, and always named."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

# For what happens at no place, such as the end of an invitation.
ZONES = {"us": "America/New_York", "in": "Asia/Kolkata"}
SYMBOLS = {"USD": "$", "INR": "₹"}


def money(cents: int, currency: str) -> str:
    """4500 cents are "$45.00"; 12500000 paise are "₹1,25,000.00": thousands, and from there on groups of two."""
    whole, part = divmod(cents, 100)
    shown = f"{whole:,}"
    if currency == "INR":
        lakhs, rest = divmod(whole, 1000)
        shown = f"{in_pairs(lakhs)},{rest:03}" if lakhs else str(rest)
    return f"{SYMBOLS.get(currency, f'{currency} ')}{shown}.{part:02}"


def in_pairs(number: int) -> str:
    """1234567 is "1,23,45,67"."""
    head, pair = divmod(number, 100)
    return f"{in_pairs(head)},{pair:02}" if head else str(pair)


def day(when: datetime | date, *, region: str, since: datetime) -> str:
    """ "Sat, Mar 7" or "Sat 7 Mar", with the year where it is not that of `since`, the moment of writing."""
    year = "" if when.year == since.year else f"{when:%Y}"
    if region == "in":
        return f"{when:%a} {when.day} {when:%b} {year}".rstrip()
    return f"{when:%a, %b} {when.day}" + (f", {year}" if year else "")


def clock(when: datetime, *, region: str) -> str:
    """ "10:00 AM" or "10:00 am"."""
    shown = f"{(when.hour + 11) % 12 + 1}:{when:%M} {'AM' if when.hour < 12 else 'PM'}"
    return shown.lower() if region == "in" else shown


def zone_name(when: datetime) -> str:
    """ "CST", "IST"; of a zone without letters of its own, "UTC+05:30"."""
    name = when.tzname() or ""
    return name if name.isalpha() else f"UTC{when.isoformat()[-6:]}"


def moment(at: datetime, zone: str, *, region: str, since: datetime) -> str:
    """ "Sat, Mar 7 at 10:00 AM CST" or "Sat 7 Mar, 10:00 am IST"."""
    when = at.astimezone(ZoneInfo(zone))
    joint = ", " if region == "in" else " at "
    shown = day(when, region=region, since=since.astimezone(ZoneInfo(zone)))
    return f"{shown}{joint}{clock(when, region=region)} {zone_name(when)}"


def span(starts_at: datetime, ends_at: datetime, zone: str, *, region: str, since: datetime) -> str:
    """ "Sat, Mar 7, 10:00 AM to 10:45 AM CST"; over midnight, or a change of the clock, both ends in full."""
    first, last = starts_at.astimezone(ZoneInfo(zone)), ends_at.astimezone(ZoneInfo(zone))
    if first.date() != last.date() or first.utcoffset() != last.utcoffset():
        ends = (moment(each, zone, region=region, since=since) for each in (starts_at, ends_at))
        return " to ".join(ends)
    shown = day(first, region=region, since=since.astimezone(ZoneInfo(zone)))
    return f"{shown}, {clock(first, region=region)} to {clock(last, region=region)} {zone_name(first)}"
