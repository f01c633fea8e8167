"""Rows for tests. Each has what its model needs and nothing that surprises: public, bookable, in the running region."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from django.conf import settings
from factory.django import DjangoModelFactory

from bookings.models import Booking, Review, Seat
from geography.models import City, Country
from marketplace.models import Activity, Category, Offering, Session
from messaging.models import Attachment
from payments.models import Payment
from providers.models import Location, ProviderAccount, ProviderUser
from users.models import Child, Consent, Parent, User


def in_days(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


class CountryFactory(DjangoModelFactory):
    class Meta:
        model = Country
        django_get_or_create = ["code"]

    region = factory.LazyFunction(lambda: settings.REGION)
    code = factory.LazyAttribute(lambda o: o.region.upper())
    name = factory.LazyAttribute(lambda o: {"us": "United States", "in": "India"}[o.region])
    currency = factory.LazyAttribute(lambda o: {"us": "USD", "in": "INR"}[o.region])
    phone_prefix = factory.LazyAttribute(lambda o: {"us": "+1", "in": "+91"}[o.region])
    is_active = True


class CityFactory(DjangoModelFactory):
    class Meta:
        model = City
        django_get_or_create = ["country", "slug"]

    country = factory.SubFactory(CountryFactory)
    name = factory.LazyAttribute(lambda o: {"us": "Austin", "in": "Bangalore"}[o.country.region])
    slug = factory.LazyAttribute(lambda o: o.name.lower())
    timezone = factory.LazyAttribute(lambda o: {"us": "America/Chicago", "in": "Asia/Kolkata"}[o.country.region])
    is_active = True


class UserFactory(DjangoModelFactory):
    """A synced user with an (empty) parent profile."""

    class Meta:
        model = User

    auth_id = factory.LazyFunction(lambda: str(uuid.uuid4()))
    email = factory.Sequence(lambda n: f"user{n}@example.com")
    home_region = factory.LazyFunction(lambda: settings.REGION)
    parent = factory.RelatedFactory("tests.factories.ParentFactory", factory_related_name="user")


class ParentFactory(DjangoModelFactory):
    class Meta:
        model = Parent

    user = factory.SubFactory(UserFactory, parent=None)
    first_name = "Ana"
    last_name = "Lopez"


class ChildFactory(DjangoModelFactory):
    """A child of eight."""

    class Meta:
        model = Child

    parent = factory.SubFactory(ParentFactory)
    first_name = "Mia"
    last_name = "Lopez"
    birth_date = factory.LazyFunction(lambda: in_days(-8 * 365.25 - 60).date())


class ConsentFactory(DjangoModelFactory):
    class Meta:
        model = Consent

    user = factory.SubFactory(UserFactory)
    kind = Consent.Kind.CHILD_DATA
    version = "2026-01"
    granted = True


class ProviderAccountFactory(DjangoModelFactory):
    class Meta:
        model = ProviderAccount

    business_name = factory.Sequence(lambda n: f"Swim School {n}")
    slug = factory.Sequence(lambda n: f"swim-school-{n}")
    status = ProviderAccount.Status.VERIFIED
    verified_at = factory.LazyFunction(lambda: in_days(-30))


class ProviderUserFactory(DjangoModelFactory):
    class Meta:
        model = ProviderUser

    provider_account = factory.SubFactory(ProviderAccountFactory)
    user = factory.SubFactory(UserFactory, role=User.Role.PROVIDER)
    role = "owner"


class LocationFactory(DjangoModelFactory):
    class Meta:
        model = Location

    provider = factory.SubFactory(ProviderAccountFactory)
    name = "Main pool"
    address = "1 Water Street"
    city = factory.SubFactory(CityFactory)


class CategoryFactory(DjangoModelFactory):
    class Meta:
        model = Category
        django_get_or_create = ["slug"]

    name = "Swimming"
    slug = factory.LazyAttribute(lambda o: o.name.lower().replace(" ", "-"))


class ActivityFactory(DjangoModelFactory):
    class Meta:
        model = Activity

    provider = factory.SubFactory(ProviderAccountFactory)
    title = factory.Sequence(lambda n: f"Swim Starters {n}")
    slug = factory.LazyAttribute(lambda o: o.title.lower().replace(" ", "-"))
    category = factory.SubFactory(CategoryFactory)
    age_min = 5
    age_max = 12
    duration = 45
    status = Activity.Status.PUBLISHED
    published_at = factory.LazyFunction(lambda: in_days(-10))


class OfferingFactory(DjangoModelFactory):
    class Meta:
        model = Offering

    activity = factory.SubFactory(ActivityFactory)
    type = Offering.Type.SINGLE_SESSION
    price_cents = 2500
    currency = factory.LazyFunction(lambda: settings.CURRENCY)


class SessionFactory(DjangoModelFactory):
    """A session of 45 minutes, a week from now, with ten seats."""

    class Meta:
        model = Session

    offering = factory.SubFactory(OfferingFactory)
    activity = factory.LazyAttribute(lambda o: o.offering.activity)
    location = factory.LazyAttribute(
        lambda o: o.activity.provider.locations.first() or LocationFactory(provider=o.activity.provider)
    )
    starts_at = factory.LazyFunction(lambda: in_days(7))
    ends_at = factory.LazyAttribute(lambda o: o.starts_at + timedelta(minutes=45))
    capacity = 10


class BookingFactory(DjangoModelFactory):
    """A booking with a hold of 35 minutes and its seat; `status="confirmed"` makes a confirmed one."""

    class Meta:
        model = Booking

    session = factory.SubFactory(SessionFactory)
    offering = factory.LazyAttribute(lambda o: o.session.offering)
    child = factory.SubFactory(ChildFactory)
    parent = factory.LazyAttribute(lambda o: o.child.parent)
    amount_cents = factory.LazyAttribute(lambda o: o.offering.price_cents)
    currency = factory.LazyAttribute(lambda o: o.offering.currency)
    status = Booking.Status.PENDING_PAYMENT
    expires_at = factory.LazyAttribute(lambda o: in_days(35 / 1440) if o.status == "pending_payment" else None)
    confirmed_at = factory.LazyAttribute(lambda o: in_days(0) if o.status == "confirmed" else None)
    refundable_until = factory.LazyAttribute(
        lambda o: o.session.starts_at - timedelta(hours=o.offering.refund_window_hours)
    )

    @factory.post_generation
    def seats(booking: Booking, create: bool, extracted: Any, **_: Any) -> None:  # noqa: N805
        """Holds a seat in each session (the booked one unless others are given) while the booking is alive."""
        alive = booking.status in ("pending_payment", "confirmed", "completed", "no_show")
        for session in extracted or [booking.session]:
            Seat.objects.create(
                booking=booking, session=session, child=booking.child, released_at=None if alive else in_days(0)
            )
            if alive:
                session.enrolled += 1
                session.save(update_fields=["enrolled"])
        if extracted:
            # Counted from the first session with a seat, which of a term need not be the chosen one.
            window = booking.session.starts_at - booking.refundable_until
            booking.refundable_until = min(each.starts_at for each in extracted) - window
            booking.save(update_fields=["refundable_until"])


class PaymentFactory(DjangoModelFactory):
    """An open Stripe checkout (Razorpay in India); `status="paid"` makes a paid one."""

    class Meta:
        model = Payment

    booking = factory.SubFactory(BookingFactory)
    amount_cents = factory.LazyAttribute(lambda o: o.booking.amount_cents)
    currency = factory.LazyAttribute(lambda o: o.booking.currency)
    processor = factory.LazyFunction(lambda: settings.PAYMENT_PROCESSORS[0])
    processor_checkout_id = factory.Sequence(lambda n: f"cs_test_{n}")
    processor_payment_id = factory.LazyAttributeSequence(lambda o, n: f"pi_{n}" if o.status == "paid" else None)
    checkout_url = "https://checkout.example/pay"
    checkout_expires_at = factory.LazyFunction(lambda: in_days(35 / 1440))
    status = Payment.Status.PENDING
    pending_at = factory.LazyFunction(lambda: in_days(0))
    paid_at = factory.LazyAttribute(lambda o: in_days(0) if o.status == "paid" else None)


class ReviewFactory(DjangoModelFactory):
    """Four stars for a completed booking."""

    class Meta:
        model = Review

    booking = factory.SubFactory(BookingFactory, status=Booking.Status.COMPLETED)
    parent = factory.LazyAttribute(lambda o: o.booking.parent)
    rating = 4


class AttachmentFactory(DjangoModelFactory):
    """A PDF that is ready, or sent where there is a `message`; its file is not there."""

    class Meta:
        model = Attachment

    content_type = "application/pdf"
    name = "Prices.pdf"
    size_bytes = 1
    status = factory.LazyAttribute(lambda o: "sent" if getattr(o, "message", None) else "ready")
