"""State machines: what may follow what, and that of two who move a row at once one wins."""

import pytest
from django.apps import apps

from bookings.models import Booking
from core.errors import InvalidState
from core.models import Lifecycle
from payments.models import Payment
from providers.models import ProviderAccount
from tests.factories import BookingFactory, ProviderAccountFactory

pytestmark = pytest.mark.django_db

LIVING = [model for model in apps.get_models() if issubclass(model, Lifecycle)]


@pytest.mark.parametrize("model", LIVING, ids=lambda model: model.__name__)
def test_transitions_name_known_states_and_every_state_can_be_met(model):
    states = {value for value, _ in model._meta.get_field("status").choices}
    targets = {to for followers in model.TRANSITIONS.values() for to in followers}
    assert set(model.TRANSITIONS) <= states
    assert targets <= states
    assert states - targets <= {model._meta.get_field("status").default}
    assert not [state for state, followers in model.TRANSITIONS.items() if state in followers]


def test_bookings_move_as_the_contract_says():
    assert {state: set(followers) for state, followers in Booking.TRANSITIONS.items()} == {
        "pending_payment": {"confirmed", "expired", "cancelled"},
        "confirmed": {"completed", "cancelled", "no_show"},
        "expired": {"confirmed"},
    }


def test_a_paid_payment_can_only_be_refunded():
    assert Payment.TRANSITIONS["paid"] == {"refunded"}
    assert "created" not in {to for followers in Payment.TRANSITIONS.values() for to in followers}


def test_a_move_writes_the_state_and_what_comes_with_it(now):
    provider = ProviderAccountFactory(status="pending", verified_at=None)
    before = provider.updated_at
    assert provider.verify(now=now) is provider
    stored = ProviderAccount.objects.get()
    assert (stored.status, stored.verified_at, provider.status) == ("verified", now, "verified")
    assert stored.updated_at > before


def test_a_move_that_is_not_in_the_table_is_refused_and_changes_nothing():
    provider = ProviderAccountFactory(status="rejected")
    with pytest.raises(InvalidState, match="that is rejected cannot become suspended"):
        provider.suspend(reason="x")
    assert ProviderAccount.objects.values_list("status", "status_reason").get() == ("rejected", "")
    assert provider.status == "rejected"


def test_who_read_an_old_state_loses():
    booking = BookingFactory()
    stale = Booking.objects.get()
    booking.move("expired")
    with pytest.raises(InvalidState, match="changed by someone else"):
        stale.move("cancelled")
    assert Booking.objects.get().status == "expired"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_move_a_row_at_once_one_wins(at_once):
    booking = BookingFactory()
    copies = [Booking.objects.get(pk=booking.pk) for _ in range(6)]
    outcomes = at_once(lambda copy: copy.move("expired"), copies)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Booking"] + ["InvalidState"] * 5
