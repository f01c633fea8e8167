"""After the booking, in both regions: the API, a real Celery worker and beat on a real broker, and a real mail server.

Each sweep comes by several times a second, so that whatever could be told twice would be.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from types import SimpleNamespace
from urllib.parse import urlsplit

import icalendar
import pytest
from celery import Celery
from django.db import connections
from redis import Redis

from bookings.models import Booking
from juniro.celery import app
from marketplace.models import Session
from notifications.models import Notification
from payments.models import Payment
from regions.models import RatingAggregate
from tests.conftest import ROOT, WORKER
from tests.factories import (
    ChildFactory,
    CityFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
)
from tests.payments import signed

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])

PATIENCE = 60  # seconds, on a machine with much else to do; it takes some ten
CELERY = [sys.executable, "-m", "celery", "--quiet", "--app", "tests.notifications.hasty"]
WORK = ["worker", "--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]


@pytest.fixture(params=["us", "in"])
def region(request, sandbox):
    if request.param == "in":
        request.getfixturevalue("india")
    return request.param


@pytest.fixture
def machine(region, sandbox, mailserver, monkeypatch, tasks, tmp_path):
    """A Celery worker and beat on this test's database, mail server and broker; `send_task` really sends."""
    broker = f"{os.environ['CELERY_BROKER_URL'].rpartition('/')[0]}/{40 + WORKER}"
    env = os.environ | {
        "REGION": region,
        "CELERY_BROKER_URL": broker,
        "EMAIL_URL": f"smtp://127.0.0.1:{mailserver.port}",
        "DEFAULT_FROM_EMAIL": "Juniro <hello@juniro.example>",
        "LOG_LEVEL": "WARNING",
    }
    for name, alias in (("DATABASE_URL", "default"), ("GLOBAL_DATABASE_URL", "global")):
        database = connections[alias].settings_dict["NAME"]
        env[name] = urlsplit(os.environ[name])._replace(path=f"/{database}").geturl()
    commands = [[*CELERY, *WORK], [*CELERY, "beat", "--schedule", str(tmp_path / "beat")]]
    send_task = Celery.send_task.__get__(app)
    with Redis.from_url(broker) as redis, app.connection_for_write(broker) as connection:
        redis.flushdb()
        monkeypatch.setattr(app, "send_task", lambda name, args=(), **_: send_task(name, args, connection=connection))
        processes = [
            subprocess.Popen([*command, "--loglevel", "warning"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
            for command in commands
        ]
        yield SimpleNamespace(processes=processes, mails=mailserver)
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(30)
        redis.flushdb()


def mails_to(machine, user) -> list[EmailMessage]:
    pairs = zip(machine.mails.mails, machine.mails.recipients, strict=True)
    return [mail for mail, to in pairs if to == user.email]


def until(condition, machine):
    """Waits for what worker and beat bring about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert [process.poll() for process in machine.processes] == [None, None], "a process ended"
        assert time.monotonic() < end, f"not in time: {[mail['Subject'] for mail in machine.mails.mails]}"
        time.sleep(0.05)


def last_mail(machine, user, *, number: int) -> tuple[EmailMessage, str, str]:
    """The user's mail of this number, as the last one; with its text and its HTML."""
    until(lambda: len(mails_to(machine, user)) == number, machine)
    mail = mails_to(machine, user)[-1]
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert mail["To"] == user.email and mail["From"] == "Juniro <hello@juniro.example>"
    return mail, plain.get_content(), html.get_content()


@pytest.fixture
def people(region):
    """A session tomorrow about noon, where it is about noon now; its school's owner, and a parent with a child."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    ahead = 12 - now.hour
    city = CityFactory(name="Noon", timezone=f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT")
    offering = OfferingFactory(activity__title="Swim Starters", activity__provider__business_name="Blue Fin")
    location = LocationFactory(provider=offering.activity.provider, city=city)
    session = SessionFactory(offering=offering, location=location, starts_at=now + timedelta(days=1))
    child = ChildFactory(parent__user__email="priya@example.com", parent__first_name="Priya")
    owner = ProviderUserFactory(provider_account=offering.activity.provider, user__email="owner@example.com").user
    return SimpleNamespace(
        session=session, child=child, parent=child.parent.user, owner=owner, activity=offering.activity
    )


def pay(api, region, parent, booking_id) -> None:
    """Checks out, and has the processor's signed webhook come in, twice."""
    body = {"bookingId": booking_id}
    assert api.as_user(parent).post("/v1/payments/checkout", body, Idempotency_Key="pay").status == 201
    payment = Payment.objects.get(booking=booking_id)
    for _ in range(2):
        if region == "us":
            assert signed.post_stripe(api, signed.checkout(payment)).status == 200
        else:
            assert signed.post_razorpay(api, signed.captured(payment)).status == 200


def move(session, *, starts_at: datetime) -> None:
    """Time travel: the session has its other time as if it had always had it."""
    Session.objects.filter(pk=session.pk).update(starts_at=starts_at, ends_at=starts_at + timedelta(minutes=45))


def test_after_the_booking(api, region, machine, people):
    parent, owner, session = people.parent, people.owner, people.session
    money = {"us": "$25.00", "in": "₹25.00"}[region]
    body = {"sessionId": str(session.pk), "childId": str(people.child.pk)}
    answer = api.as_user(parent).post("/v1/me/bookings", body, Idempotency_Key="book")
    assert answer.data["status"] == "pending_payment"
    booking_id = answer.data["id"]
    assert machine.mails.mails == []

    # Paid by a signed webhook: the parent hears of it with the dates as a file, the provider without a name.
    pay(api, region, parent, booking_id)
    mail, text, html = last_mail(machine, parent, number=1)
    assert mail["Subject"].startswith("Booked: Swim Starters")
    assert money in text and money in html and "Mia" in text and "Hello Priya," in text
    [file] = mail.iter_attachments()
    assert (file.get_content_type(), file.get_filename()) == ("text/calendar", "booking.ics")
    [event] = icalendar.Calendar.from_ical(file.get_content()).walk("VEVENT")
    assert event.decoded("dtstart") == session.starts_at and "Swim Starters" in event["summary"]
    assert "Mia" not in file.get_content()
    mail, text, html = last_mail(machine, owner, number=1)
    assert mail["Subject"].startswith("New booking")
    assert "Mia" not in text + html and "Priya" not in text + html

    # At nine this morning they would have been reminded: they had booked days before.
    Booking.objects.update(confirmed_at=session.starts_at - timedelta(days=3))
    mail, text, _ = last_mail(machine, parent, number=2)
    assert mail["Subject"].startswith("Reminder")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    clock = f"12:{session.starts_at:%M} {'PM' if region == 'us' else 'pm'}"
    assert clock in text and "Main pool" in text

    # It begins, the child is there; a day after its end the booking is completed, and the parent is asked.
    move(session, starts_at=datetime.now(UTC) - timedelta(minutes=15))
    present = {"entries": [{"bookingId": booking_id, "status": "present"}]}
    assert api.as_user(owner).post(f"/v1/provider/sessions/{session.pk}/attendance", present).data["present"] == 1
    move(session, starts_at=datetime.now(UTC) - timedelta(days=2))
    mail, _, _ = last_mail(machine, parent, number=3)
    assert mail["Subject"] == "How was Swim Starters?"
    booking = Booking.objects.get()
    assert (booking.status, booking.session.status) == ("completed", "completed")

    # They write, the provider is told and responds, they are told.
    review = {"bookingId": booking_id, "rating": 4, "comment": "Warm water"}
    written = api.as_user(parent).post("/v1/reviews", review)
    assert written.status == 201
    mail, text, html = last_mail(machine, owner, number=2)
    assert mail["Subject"] == "New review of Swim Starters: 4 of 5 stars"
    assert "Warm water" in text and "Priya" not in text + html
    path = f"/v1/provider/reviews/{written.data['id']}/response"
    assert api.as_user(owner).post(path, {"response": "Thank you"}).status in (200, 201)
    mail, text, _ = last_mail(machine, parent, number=4)
    assert mail["Subject"] == "Blue Fin responded to your review" and "Thank you" in text

    # Both averages have reached the global layer.
    until(lambda: RatingAggregate.objects.filter(count=1).count() == 2, machine)
    assert set(RatingAggregate.objects.values_list("region", "average")) == {(region, Decimal("4.00"))}

    # And nobody hears anything twice, however often the sweeps have come by.
    time.sleep(1)
    assert len({mail["Message-ID"] for mail in machine.mails.mails}) == len(machine.mails.mails) == 6
    assert sorted(machine.mails.recipients) == [owner.email] * 2 + [parent.email] * 4
    assert sorted(Notification.objects.values_list("kind", "status", "attempts")) == [
        ("booking_confirmed", "sent", 1),
        ("booking_received", "sent", 1),
        ("response_received", "sent", 1),
        ("review_prompt", "sent", 1),
        ("review_received", "sent", 1),
        ("session_reminder", "sent", 1),
    ]
