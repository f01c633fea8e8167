"""The tour: what each region does for its own people, what it refuses to others, and what both share."""

import base64
import io
import json
import secrets
import string
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis
import requests

from local.demo import (
    PATIENCE_SECONDS,
    DemoFailed,
    Parent,
    add_child,
    book,
    check,
    find_session,
    get_token,
    pay,
    shorten,
    sign_up,
)
from local.servers import CHECKOUT
from local.two_regions.search import Person, Search
from local.two_regions.world import Region, World

# What the sandbox's processors tell of whoever pays; with real ones it is the card's owner.
PAYER = Person("", {"payer's name": "Zoë Parent", "payer's e-mail": "zoe.parent@", "payer's phone": "+15125550123"})
FLAG, CONFIG = "MESSAGING_ENABLED", "DEMO_REGIONS"


@dataclass
class Family:
    """A parent with a child, at home in one region, and what they said and did there."""

    region: Region
    app: Parent
    person: Person
    child: dict[str, Any]

    @property
    def api(self) -> str:
        return self.region.site.api


def tour(world: World, search: Search) -> None:
    us, india = (sign_up_in(region) for region in world.regions)
    people = [us.person, india.person, refuse(world, us, india), refuse(world, india, us), PAYER]
    steps = [
        partial(tell_where_home_is, us, india),
        partial(read_across, us, india),
        partial(book_across, us, india),
        partial(share_slugs, us, india),
        partial(share_switches, world, us, india),
        partial(book_and_pay, us),
        partial(book_and_pay, india),
        partial(write_to_provider, us, india),
        partial(share_ratings, world, us, india),
        partial(export, us, india),
        partial(export, india, us),
    ]
    for step in steps:
        step()
        search.global_layer(people)
    look_everywhere(us, search, people, "Search everything for everybody")
    for family in (us, india):
        erase(family)
        search.global_layer(people)
    free_slug(us, india)
    look_everywhere(us, search, people, "Search everything once more: whoever was erased is nowhere")
    prove_search(world, us, search)


def somebody(region: str) -> Person:
    """A person with details that nobody else in the world has."""
    mark = "".join(secrets.choice(string.ascii_lowercase) for _ in range(10))
    digits = "".join(secrets.choice("123456789") for _ in range(7))
    known = {
        "e-mail": f"ana.{mark}@example.com",
        "first name": f"Ana{mark}",
        "last name": f"Lopez{mark}",
        "phone": f"+91987{digits}" if region == "in" else f"+1512{digits}",
        "child's name": f"Mia{mark}",
        "message": f"allergic to nuts {mark}",
        "review": f"lovely pool {mark}",
    }
    return Person(region, known, known_at_home=tuple(known) if region else ())


def refused(app: Parent, method: str, url: str, body: Any = None, *, how: str, **headers: Any) -> Any:
    """The error of a request that is refused as `how` says: status and code."""
    status, code = how.split()
    error = app.call(method, url, body, expect=int(status), **headers)["error"]
    check(error["code"] == code, f"refused with {code}")
    return error


# --- People ----------------------------------------------------------------------------------------------------------


def sign_up_in(region: Region) -> Family:
    person, app = somebody(region.site.region), Parent(region.site)
    known = person.canaries
    # What they will have said is looked for only once it is said.
    person.known_at_home = ("e-mail", "first name", "last name", "phone", "child's name")
    sign_up(app, known["e-mail"])
    profile = {"firstName": known["first name"], "lastName": known["last name"], "phone": known["phone"]}
    app.call("PATCH", f"{region.site.api}/v1/me", profile, expect=200)
    return Family(region, app, person, add_child(app, known["child's name"], known["last name"]))


def refuse(world: World, home: Family, other: Family) -> Person:
    """Somebody who chooses the wrong region: at their own project's API, and at the other's."""
    person, app = somebody(""), Parent(home.region.site)
    app.step(f"Choose the wrong region, with an account at the Supabase project of {home.region.name}")
    get_token(app, person.canaries["e-mail"])
    before = [region.sql("SELECT count(*) FROM users_user") for region in world.regions]
    wrong = {"home_region": other.region.site.region}
    error = refused(app, "POST", f"{home.api}/v1/auth/sync", wrong, how="403 REGION_MISMATCH")
    check(error["details"][0]["correctApiUrl"] == other.api, f"the answer names the API of {other.region.name}")
    error = refused(app, "POST", f"{other.api}/v1/auth/sync", wrong, how="403 REGION_MISMATCH")
    check(error["details"][0]["correctApiUrl"] == home.api, "whose project it is, there it belongs")
    after = [region.sql("SELECT count(*) FROM users_user") for region in world.regions]
    check(before == after, "neither database has a new row")
    return person


def tell_where_home_is(us: Family, india: Family) -> None:
    for family, other in ((us, india), (india, us)):
        family.app.step(f"A parent of {family.region.name} at the API of {other.region.name}")
        answer = family.app.call("GET", f"{other.api}/v1/me/region", expect=200)
        check(
            (answer["isCorrectRegion"], answer["userHomeRegion"], answer["correctApiUrl"])
            == (False, family.region.site.region, family.api),
            "an app learns where to go instead",
        )
        error = refused(family.app, "PATCH", f"{other.api}/v1/me", {"firstName": "Somebody"}, how="403 REGION_MISMATCH")
        check(error["details"][0]["correctApiUrl"] == family.api, "writes are sent home")


# --- Across ----------------------------------------------------------------------------------------------------------


def read_across(us: Family, india: Family) -> None:
    us.app.step("Anybody may look at either catalogue")
    for family, other, currency in ((us, india, "INR"), (india, us, "USD")):
        found = family.app.call("GET", f"{other.api}/v1/activities?limit=2", expect=200)
        check({each["currency"] for each in found} == {currency}, f"prices of {other.region.name} are in {currency}")


def book_across(us: Family, india: Family) -> None:
    for family, other in ((us, india), (india, us)):
        theirs = find_session(other.app)
        family.app.step(f"A parent of {family.region.name} tries to book it")
        body = {"sessionId": theirs["id"], "childId": family.child["id"]}
        key = {"Idempotency_Key": secrets.token_hex(8)}
        refused(family.app, "POST", f"{other.api}/v1/me/bookings", body, how="403 REGION_MISMATCH", **key)
        refused(family.app, "POST", f"{family.api}/v1/me/bookings", body, how="404 NOT_FOUND", **key)
        mine = find_session(family.app)
        family.app.step("A place that somebody put into the wrong country")
        # Providers cannot do this, so it is done by hand.
        city = "SELECT city.id FROM geography_city AS city JOIN geography_country AS country ON country.id = country_id"
        place = "UPDATE providers_location SET city_id = %s WHERE id = %s"
        [(wrong,)] = family.region.sql(f"{city} WHERE country.region = %s LIMIT 1", other.region.site.region)
        [(right,)] = family.region.sql("SELECT city_id FROM providers_location WHERE id = %s", mine["locationId"])
        family.region.sql(place, wrong, mine["locationId"])
        body = {"sessionId": mine["id"], "childId": family.child["id"]}
        refused(family.app, "POST", f"{family.api}/v1/me/bookings", body, how="409 CROSS_REGION_BOOKING", **key)
        family.region.sql(place, right, mine["locationId"])


# --- Shared ----------------------------------------------------------------------------------------------------------


def slug_of(family: Family) -> str:
    return f"blue-fin-{family.child['id'][-12:]}"


def business(family: Family, slug: str) -> dict[str, str]:
    known = family.person.canaries
    return {
        "businessName": "Blue Fin Swim School",
        "slug": slug,
        "type": "individual",
        "email": known["e-mail"],
        "phone": known["phone"],
    }


def share_slugs(us: Family, india: Family) -> None:
    us.app.step("A provider's slug is taken once, over both regions")
    slug = slug_of(us)
    us.app.call("POST", f"{us.api}/v1/provider/profile", business(us, slug), expect=201)
    refused(india.app, "POST", f"{india.api}/v1/provider/profile", business(india, slug), how="409 SLUG_TAKEN")


def share_switches(world: World, us: Family, india: Family) -> None:
    us.app.step("Flags and app config are switched once, and seen in both regions within seconds")
    for family in (us, india):
        refused(family.app, "GET", f"{family.api}/v1/conversations", how="403 FEATURE_DISABLED")
    world.sql("UPDATE regions_featureflag SET value = true WHERE key = %s", FLAG)
    print(f"   {FLAG} is on in the global database")
    for family in (us, india):
        url = f"{family.api}/v1/conversations"
        headers = {"Authorization": f"Bearer {family.app.token}"}
        seconds = wait_until(lambda: requests.get(url, headers=headers, timeout=10).status_code == 200, FLAG)  # noqa: B023
        check(True, f"{family.region.name} sees it after {seconds:.1f} s")
    world.sql(
        "INSERT INTO regions_appconfig (key, value) VALUES (%s, '[1, 2, 3]') "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        CONFIG,
    )
    program = f"from regions import config; print(config.get({CONFIG!r}, [0]))"
    readers = [
        subprocess.Popen(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", program],
            cwd=CHECKOUT,
            env=region.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for region in world.regions
    ]
    for region, reader in zip(world.regions, readers, strict=True):
        check(reader.communicate(timeout=60)[0].strip() == "[1, 2, 3]", f"{region.name} reads {CONFIG} = [1, 2, 3]")


def wait_until(done: Callable[[], bool], what: str) -> float:
    """Seconds until `done()`; raises `DemoFailed` after half a minute."""
    started = time.monotonic()
    while not done():
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise DemoFailed(f"not after {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.2)
    return time.monotonic() - started


def share_ratings(world: World, us: Family, india: Family) -> None:
    us.app.step("Averages of reviews are shared; who wrote them, and what, is not")
    for family in (us, india):
        [(booking, session, activity)] = family.region.sql(
            "SELECT booking.id, session.id, session.activity_id FROM bookings_booking AS booking "
            "JOIN marketplace_session AS session ON session.id = booking.session_id JOIN users_child AS child "
            "ON child.id = booking.child_id WHERE child.id = %s ORDER BY booking.id LIMIT 1",
            family.child["id"],
        )
        # Nobody wants to wait until it is over.
        family.region.sql(
            "UPDATE marketplace_session SET starts_at = now() - interval '3 days', "
            "ends_at = now() - interval '3 days' + interval '1 hour' WHERE id = %s",
            session,
        )
        family.region.task("bookings.tasks.complete_ended")
        url = f"{family.api}/v1/me/bookings/{booking}"
        family.app.wait_for(
            url, "completed (the session was moved to three days ago)", lambda it: it["status"] == "completed"
        )
        body = {"bookingId": str(booking), "rating": 4, "comment": family.person.canaries["review"]}
        family.app.call("POST", f"{family.api}/v1/reviews", body, expect=201)
        family.person.known_at_home += ("review",)
        wanted = (family.region.site.region, str(activity))
        aggregate = "SELECT count, average FROM regions_ratingaggregate WHERE (region, subject_id::text) = (%s, %s)"
        # The demo's catalogue may have brought some reviews along.
        [(count, average)] = at_home = family.region.sql(
            "SELECT count(*), round(avg(review.rating), 2) FROM bookings_review AS review "
            "JOIN bookings_booking AS booking ON booking.id = review.booking_id "
            "JOIN marketplace_session AS session ON session.id = booking.session_id "
            "WHERE session.activity_id = %s AND review.status = 'published'",
            activity,
        )
        wait_until(lambda: world.sql(aggregate, *wanted) == at_home, "the average in the global database")  # noqa: B023
        check(count >= 1, f"the global database knows: {wanted[0]}, {activity}, {count} reviews, {average}")


# --- At home ---------------------------------------------------------------------------------------------------------


def book_and_pay(family: Family) -> None:
    """Two bookings: one that will be over, and one that still lies ahead when the account ends."""
    for _ in range(2):
        booking = book(family.app, find_session(family.app), family.child)
        pay(family.app, booking)
        processor = family.region.sql("SELECT processor FROM payments_payment WHERE booking_id = %s", booking["id"])
        check(processor == [({"us": "stripe", "in": "razorpay"}[family.region.site.region],)], "by its own processor")
        # The next one is of another activity.
        family.region.sql("UPDATE marketplace_session SET capacity = enrolled WHERE id = %s", booking["sessionId"])


def write_to_provider(us: Family, india: Family) -> None:
    us.app.step("Each writes with a provider of their own region")
    for family in (us, india):
        [(provider,)] = family.region.sql(
            "SELECT activity.provider_id FROM bookings_booking AS booking JOIN marketplace_session AS session "
            "ON session.id = booking.session_id JOIN marketplace_activity AS activity ON activity.id = activity_id "
            "WHERE booking.child_id = %s LIMIT 1",
            family.child["id"],
        )
        body = {"providerId": str(provider), "content": f"Mind, {family.person.canaries['message']}"}
        family.app.call("POST", f"{family.api}/v1/conversations", body, expect=201)
        family.person.known_at_home += ("message",)


def export(family: Family, other: Family) -> None:
    family.app.step(f"Export: all that {family.region.name} knows of this parent")
    made = family.app.call("POST", f"{family.api}/v1/me/exports", expect=202)
    url = f"{family.api}/v1/me/exports/{made['id']}"
    ready = family.app.wait_for(url, "ready, 100 per cent", lambda it: it["status"] == "ready")
    archive = requests.get(f"{family.api}{ready['downloadUrl']}", timeout=15)
    with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
        text = files.read("juniro.json").decode()
    print(f"   GET {family.api}/v1/exports/…\n   ← {archive.status_code} {shorten(text.replace(chr(10), ' '))}")
    check(all(text.count(each) for each in family.person.canaries.values()), "everything they said is in it")
    check(not any(text.count(each) for each in other.person.canaries.values()), "and nothing about anybody else")
    data = json.loads(text)
    check(data["residency"]["region"] == family.region.site.region, data["residency"]["statement"])
    check([each["kind"] for each in data["consents"]] == ["child_data"], "with the receipts of their consents")


def look_everywhere(us: Family, search: Search, people: list[Person], title: str) -> None:
    us.app.step(title)
    looked = search.everywhere(people)
    check(True, f"{looked}: everybody is at home, and nowhere else")


def erase(family: Family) -> None:
    family.app.step(f"The parent of {family.region.name} leaves")
    app, api = family.app, family.api
    closing = "SELECT id FROM providers_provideraccount WHERE email = %s"
    check(app.call("DELETE", f"{api}/v1/auth/account", expect=200) is None, "the account is deleted")
    refused(app, "GET", f"{api}/v1/me", how="401 INVALID_TOKEN")
    refused(app, "POST", f"{api}/v1/auth/sync", {"home_region": family.region.site.region}, how="401 INVALID_TOKEN")
    wait_until(lambda: not family.region.sql(closing, family.person.canaries["e-mail"]), "the end of their business")
    check(True, "so is the business that was theirs alone")
    booked = "SELECT status FROM bookings_booking WHERE child_id = %s ORDER BY id"
    states = [state for (state,) in family.region.sql(booked, family.child["id"])]
    check(states == ["completed", "cancelled"], "what was over stays in the books, what lay ahead is cancelled")
    paid = (
        "SELECT payment.status FROM payments_payment AS payment JOIN bookings_booking AS booking "
        "ON booking.id = booking_id WHERE child_id = %s ORDER BY payment.id"
    )
    money = lambda: [state for (state,) in family.region.sql(paid, family.child["id"])]  # noqa: E731
    seconds = wait_until(lambda: money() == ["paid", "refunded"], "the refund")
    check(True, f"and refunded, confirmed by the processor's webhook after {seconds:.1f} s, without a name")
    [(receipt,)] = family.region.sql("SELECT id FROM privacy_erasurerequest ORDER BY id DESC LIMIT 1")
    app.wait_for(f"{api}/v1/erasures/{receipt}", "finished", lambda it: it["authDeletedAt"])
    check(True, "the receipt says that Supabase's user is gone, too")
    family.person.is_erased = True


def free_slug(us: Family, india: Family) -> None:
    us.app.step("The slug that the erased provider had is free again, in both regions")
    another = Parent(india.region.site)
    get_token(another, f"next-{secrets.token_hex(4)}@example.com")
    another.call("POST", f"{india.api}/v1/auth/sync", {"home_region": "in"}, expect=201, quiet=True)
    next_one = {"businessName": "Blue Fin of Pune", "slug": slug_of(us)}
    another.call("POST", f"{india.api}/v1/provider/profile", next_one, expect=201)


def prove_search(world: World, us: Family, search: Search) -> None:
    us.app.step("Would the search have found them? One detail into each kind of place, and out again")
    mail = us.person.canaries["e-mail"]
    queue = redis.Redis.from_url(world.india.env["CELERY_BROKER_URL"])
    strange = world.folder / "mail" / "in" / "strange.log"
    log = world.folder / "log" / "us" / "strange.log"
    config = "INSERT INTO regions_appconfig (key, value) VALUES ('strange', to_jsonb(%s::text))"
    bounce = "UPDATE users_user SET email = %s WHERE id = (SELECT id FROM users_user ORDER BY id DESC LIMIT 1)"
    cases: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        ("the global database", lambda: world.sql(config, mail), lambda: world.sql("DELETE FROM regions_appconfig")),
        ("the other region's database", lambda: world.india.sql(bounce, mail), lambda: world.india.sql(bounce, "")),
        ("a log", lambda: log.write_text(f"sent to {mail}"), log.unlink),
        ("the other region's mail", lambda: strange.write_text(f"To: {mail}"), strange.unlink),
        ("Redis", lambda: queue.set("strange", base64.b64encode(mail.encode())), lambda: queue.delete("strange")),
    ]
    for place, put, take_away in cases:
        put()
        try:
            search.everywhere([us.person])
        except DemoFailed as found:
            check("holds somebody's e-mail" in str(found), f"{place}: {found}")
        else:
            raise DemoFailed(f"the search is blind: it looks past {place}")
        finally:
            take_away()
