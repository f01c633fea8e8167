"""An erasure whose process is killed (SIGKILL) at each of its steps: the account stays shut, and the sweep ends it."""

from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from bookings.models import Booking
from marketplace.models import Session
from messaging.attachments import file_name
from messaging.models import Attachment
from payments.models import Refund
from privacy import erasure
from privacy.models import ErasureRequest
from tests.factories import BookingFactory, PaymentFactory
from tests.payments import test_crashes as crashes
from tests.privacy.test_erase_account import ACCOUNT, CANARY, ana, everything, exists_at_supabase, supabase_user
from users.models import AccountTombstone, User

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])

nursery, dies = crashes.nursery, crashes.dies
__all__ = ["ana", "supabase_user"]

# Where it dies, and whether after having done it; then whether the person still has an account.
STEPS = [
    ("privacy.erasure.refuse_open", True, True),  # nothing is written
    ("privacy.erasure.close_door", True, True),  # written, not committed
    ("privacy.erasure.go_on", False, False),  # asked for, and the door is closed
    ("payments.cancellations.owe_refund", True, False),  # inside the first cancellation
    ("privacy.erasure.cancel_booking", True, False),  # one booking is cancelled, the other is not
    ("django.core.files.storage.FileSystemStorage.delete", True, False),  # one file is gone, its row is not
    ("privacy.erasure.scrub", True, False),  # all is blank, nothing committed
    ("users.supabase.delete_user", False, False),  # erased here, Supabase not asked
    ("users.supabase.delete_user", True, False),  # Supabase has deleted, we do not know it
    ("privacy.receipts.hand_over", True, False),  # the receipt is out, we do not know it
    ("core.envelope.EnvelopeRenderer.render", True, False),  # all is done, nobody was told
]


@pytest.mark.parametrize(("point", "after", "is_open"), STEPS, ids=lambda value: str(value).rpartition(".")[2])
def test_an_erasure_that_died_is_finished_by_the_sweep(api, ana, dies, settings, now, point, after, is_open):
    child = ana.parent.children.exclude(bookings=None).get()
    for _ in range(2):
        PaymentFactory(booking=BookingFactory(child=child, status="confirmed"), status="paid")
    auth_id, caller = ana.auth_id, api.as_user(ana)
    asked = crashes.request("DELETE", ACCOUNT, user=ana)
    dies(asked, at=point, after=after)

    assert caller.get("/v1/me").status == (200 if is_open else 401)
    if is_open:
        assert not ErasureRequest.objects.exists()
        assert not AccountTombstone.objects.exists()
        assert caller.delete(ACCOUNT).status == 200
    request = ErasureRequest.objects.get()
    # The dead process's leases end, and later comes the second look.
    for pause in (timedelta(minutes=6), timedelta(minutes=12)):
        erasure.go_on(request.pk, now=timezone.now() + pause)
    request.refresh_from_db()
    assert (request.status, request.error) == ("done", "")
    assert CANARY.lower() not in everything().lower()
    assert auth_id not in everything()
    assert not exists_at_supabase(settings, auth_id)
    # Once each: two bookings cancelled, two refunds owed beside the old one, every seat free.
    assert sorted(Booking.objects.values_list("status", flat=True)) == ["cancelled", "cancelled", "completed"]
    assert sorted(Refund.objects.values_list("amount_cents", "status")) == [
        (1, "succeeded"),
        (2500, "pending"),
        (2500, "pending"),
    ]
    assert set(Session.objects.filter(bookings__status="cancelled").values_list("enrolled", flat=True)) == {0}
    assert AccountTombstone.objects.count() == 1
    assert User.objects.get(pk=ana.pk).email == ""


def test_a_file_is_deleted_before_its_name_is_forgotten(ana, dies):
    row = Attachment.objects.earliest("pk")
    name = file_name(row.pk, row.content_type)
    assert default_storage.exists(name)
    dies(crashes.request("DELETE", ACCOUNT, user=ana), at="privacy.erasure.delete_files")
    assert default_storage.exists(name)
    request = ErasureRequest.objects.get()
    erasure.go_on(request.pk, now=timezone.now() + timedelta(minutes=3))
    assert not default_storage.exists(name)
