"""One activity, its sessions and one provider, each as finished JSON from one statement."""

from datetime import date
from typing import Any
from uuid import UUID

import orjson

from core.pagination import ListResponse
from marketplace.filters import AGE_BANDS
from marketplace.images import folder_url
from marketplace.reading import fetch

DETAIL = """
SELECT provider.slug, provider.business_name, left(row.card, -1)
    || ',"description":' || to_json(activity.description)
    || ',"offerings":' || coalesce((
        SELECT json_agg(offer ORDER BY offer."priceCents", offer.id)::text FROM (
            SELECT id, type, name, price_cents AS "priceCents", currency, session_count AS "sessionCount",
                refund_window_hours AS "refundWindowHours"
            FROM marketplace_offering WHERE activity_id = activity.id AND status = 'active') AS offer), '[]')
    || ',"locations":' || coalesce((
        SELECT json_agg(place ORDER BY place.name, place.id)::text FROM (
            SELECT location.id, location.name, location.address,
                json_build_object('name', city.name, 'slug', city.slug) AS city, city.timezone,
                location.latitude, location.longitude
            FROM providers_location AS location JOIN geography_city AS city ON city.id = location.city_id
            WHERE location.id IN (SELECT location_id FROM marketplace_session WHERE activity_id = activity.id)
        ) AS place), '[]')
    || ',"images":' || coalesce((
        SELECT json_agg(picture ORDER BY picture.position, picture.id)::text FROM (
            SELECT id, %(images)s::text || '/' || id || '.jpg' AS url, alt, width, height, position
            FROM marketplace_activityimage WHERE activity_id = activity.id AND status = 'ready') AS picture), '[]')
    || ',"nextSessions":' || coalesce((SELECT json_agg(upcoming)::text FROM ({sessions} LIMIT 5) AS upcoming), '[]')
    || ',"ratingBreakdown":' || (
        SELECT json_build_object('1', count(*) FILTER (WHERE rating = 1), '2', count(*) FILTER (WHERE rating = 2),
            '3', count(*) FILTER (WHERE rating = 3), '4', count(*) FILTER (WHERE rating = 4),
            '5', count(*) FILTER (WHERE rating = 5))::text
        FROM bookings_review AS review JOIN bookings_booking AS booking ON booking.id = review.booking_id
        JOIN marketplace_session AS session ON session.id = booking.session_id
        WHERE session.activity_id = activity.id AND review.status = 'published')
    || ',"ratingByAge":' || coalesce((
        SELECT json_agg(band ORDER BY band.min)::text FROM (
            SELECT bands.low AS min, bands.high AS max, round(avg(review.rating), 2)::float8 AS average,
                count(*) AS count
            FROM bookings_review AS review JOIN bookings_booking AS booking ON booking.id = review.booking_id
            JOIN marketplace_session AS session ON session.id = booking.session_id
            JOIN users_child AS child ON child.id = booking.child_id
            JOIN (VALUES {bands}) AS bands (low, high)
                ON extract(year FROM age(session.starts_at::date, child.birth_date)) BETWEEN bands.low AND bands.high
            WHERE session.activity_id = activity.id AND review.status = 'published'
            GROUP BY bands.low, bands.high
            -- Fewer would tell who said it.
            HAVING count(*) >= 3) AS band), '[]')
    || '}}'
FROM marketplace_activity AS activity
JOIN marketplace_searchrow AS row ON row.activity_id = activity.id AND row.is_primary
JOIN providers_provideraccount AS provider ON provider.id = activity.provider_id
WHERE {by} AND (%(provider)s::text IS NULL OR provider.slug = %(provider)s::text)
ORDER BY activity.id LIMIT 20
"""
SESSIONS = """
SELECT session.id, session.offering_id AS "offeringId", session.location_id AS "locationId",
    marketplace_json_time(session.starts_at) AS "startsAt", marketplace_json_time(session.ends_at) AS "endsAt",
    city.timezone, session.capacity, session.enrolled, session.capacity - session.enrolled AS "spotsLeft",
    session.status
FROM marketplace_session AS session
JOIN marketplace_offering AS offering ON offering.id = session.offering_id AND offering.status = 'active'
JOIN providers_location AS location ON location.id = session.location_id
JOIN geography_city AS city ON city.id = location.city_id
WHERE session.activity_id = {activity} AND session.status = 'scheduled' AND session.starts_at > now() {more}
ORDER BY session.starts_at, session.id
"""
SESSION_PAGE = """
WITH found AS ({sessions})
SELECT (SELECT count(*) FROM marketplace_searchrow WHERE activity_id = %(activity)s::uuid),
    (SELECT count(*) FROM found),
    (SELECT json_agg(page)::text FROM (SELECT * FROM found LIMIT %(limit)s OFFSET %(offset)s) AS page)
"""
PROVIDER = """
SELECT (SELECT row_to_json(shown)::text FROM (SELECT
    provider.id, provider.business_name AS "businessName", provider.slug, provider.type, provider.description,
    nullif(provider.website, '') AS website, marketplace_json_time(provider.verified_at) AS "verifiedAt",
    (SELECT coalesce(json_agg(row.card::json ORDER BY row.next_session_at, row.id), '[]') FROM (
        SELECT * FROM marketplace_searchrow WHERE provider_slug = provider.slug AND is_primary
        ORDER BY next_session_at, id LIMIT 100) AS row) AS activities,
    (SELECT json_build_object('average', round(avg(review.rating), 2)::float8, 'count', count(*))
        FROM bookings_review AS review JOIN bookings_booking AS booking ON booking.id = review.booking_id
        JOIN marketplace_session AS session ON session.id = booking.session_id
        JOIN marketplace_activity AS activity ON activity.id = session.activity_id
        WHERE activity.provider_id = provider.id AND review.status = 'published') AS rating
) AS shown)
FROM providers_provideraccount AS provider WHERE provider.slug = %(slug)s::text AND provider.status = 'verified'
"""


def activity(key: str, *, provider: str | None) -> list[tuple[str, str, str]]:
    """The public activities with the slug or id `key`: provider's slug, provider's name, JSON."""
    try:
        parameters: dict[str, Any] = {"key": UUID(key), "provider": provider}
        by = "activity.id = %(key)s::uuid"
    except ValueError:
        parameters, by = {"key": key, "provider": provider}, "activity.slug = %(key)s::text"
    upcoming = SESSIONS.format(activity="activity.id", more="")
    bands = ", ".join(f"({low}, {high})" for low, high in AGE_BANDS)
    parameters["images"] = folder_url()
    return fetch(DETAIL.format(by=by, sessions=upcoming, bands=bands), parameters)


def sessions(
    activity_id: UUID, *, first: date | None, last: date | None, free_only: bool, page: int, limit: int
) -> ListResponse | None:
    """A page of upcoming sessions, soonest first, by days of the location's calendar; None if nothing is public."""
    more, parameters = "", {"activity": activity_id, "limit": limit, "offset": (page - 1) * limit}
    for day, comparison in ((first, ">="), (last, "<=")):
        if day:
            name = "first" if comparison == ">=" else "last"
            parameters[name] = day
            more += f" AND (session.starts_at AT TIME ZONE city.timezone)::date {comparison} %({name})s::date"
    if free_only:
        more += " AND session.enrolled < session.capacity"
    found = SESSIONS.format(activity="%(activity)s::uuid", more=more)
    [(rows, total, data)] = fetch(SESSION_PAGE.format(sessions=found), parameters)
    if not rows:
        return None
    return ListResponse(orjson.Fragment(data or "[]"), meta={"page": page, "limit": limit, "total": total})


def provider(slug: str) -> str | None:
    """A verified provider's public profile as JSON."""
    rows = fetch(PROVIDER, {"slug": slug})
    return rows[0][0] if rows else None
