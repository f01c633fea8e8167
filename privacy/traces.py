"""Which rows' history in the audit trail is part of a person's, and ends with their account."""

from collections.abc import Iterator
from uuid import UUID

from django.db.models import Q, QuerySet

from bookings.models import Booking, Review, ReviewReport
from marketplace.models import Activity, ActivityImage, Offering
from messaging.models import MessageReport
from payments.models import Payment, Refund, RefundRequest
from privacy.scrubbing import owned_alone
from providers.models import Location, ProviderAccount, ProviderUser
from users.models import Child, Parent, User


def traces_of(user: User) -> Iterator[UUID]:
    """The ids of the rows that are about `user`; asked before the erasure deletes some of them."""
    yield user.pk
    alone = [each.pk for each in owned_alone(user) if each.type == ProviderAccount.Type.INDIVIDUAL]
    # What they reported, and what others reported of what they wrote.
    reports = Q(reporter=user) | Q(message__conversation__parent__user=user)
    rows: tuple[QuerySet, ...] = (
        Parent.objects.filter(user=user),
        Child.objects.filter(parent__user=user),
        Booking.objects.filter(parent__user=user),
        Payment.objects.filter(booking__parent__user=user),
        Refund.objects.filter(payment__booking__parent__user=user),
        RefundRequest.objects.filter(payment__booking__parent__user=user),
        Review.objects.filter(parent__user=user),
        ReviewReport.objects.filter(Q(reporter=user) | Q(review__parent__user=user)),
        MessageReport.objects.filter(reports),
        ProviderUser.objects.filter(user=user),
        # Somebody who works alone is a person: their names and places are their own.
        ProviderAccount.objects.filter(pk__in=alone),
        Location.objects.filter(provider__in=alone),
        Activity.objects.filter(provider__in=alone),
        Offering.objects.filter(activity__provider__in=alone),
        ActivityImage.objects.filter(activity__provider__in=alone),
    )
    for each in rows:
        yield from each.values_list("pk", flat=True)
