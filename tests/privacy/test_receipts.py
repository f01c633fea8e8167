"""The receipt of an erased account, by a real mail server: the last mail, after which its address is gone."""

from datetime import timedelta

import pytest

from privacy import erasure, receipts
from privacy.models import ErasureRequest
from tests.factories import ChildFactory, UserFactory
from users import supabase

pytestmark = pytest.mark.django_db

ADDRESS = "ana@example.com"


@pytest.fixture
def user():
    return ChildFactory(parent__user__email=ADDRESS).parent.user


@pytest.fixture(autouse=True)
def _supabase(sandbox):
    """The sandbox's Supabase, where the user is gone already."""


def erase(user, now) -> ErasureRequest:
    request = erasure.request_erasure(user=user, now=now)
    erasure.take_next_step(request.pk, now=now)
    request.refresh_from_db()
    return request


def kept(request) -> tuple:
    request.refresh_from_db()
    return request.status, request.receipt_to, request.receipt_due_at


def test_the_former_user_is_told_once_and_the_address_forgotten(mailserver, user, now):
    request = erase(user, now)
    assert kept(request) == ("erased", "", None)
    [mail], [to] = mailserver.mails, mailserver.recipients
    assert (to, mail["Subject"]) == (ADDRESS, "Your Juniro account has been deleted")
    assert mail["Message-ID"].strip() == f"<{request.pk}@juniro.example>"
    assert mail["List-Unsubscribe"] is None
    text = mail.get_body(("plain",)).get_content()
    assert f"Receipt: {request.pk}" in text
    assert "Mia" not in text and "Ana" not in text
    erasure.take_next_step(request.pk, now=now + timedelta(minutes=6))
    assert kept(request) == ("done", "", None)
    assert len(mailserver.mails) == 1


def test_with_the_mail_server_down_it_comes_later_and_the_data_goes_at_once(mailserver, user, now):
    mailserver.stop()
    request = erase(user, now)
    user.refresh_from_db()
    assert (user.email, user.is_active) == ("", False)
    assert kept(request) == ("erased", ADDRESS, now + timedelta(minutes=5))
    # Not done before it is told.
    later = now + timedelta(minutes=6)
    erasure.take_next_step(request.pk, now=later)
    assert kept(request) == ("erased", ADDRESS, later + timedelta(minutes=6))
    mailserver.start()
    later += timedelta(minutes=6)
    erasure.take_next_step(request.pk, now=later)
    assert kept(request) == ("done", "", None)
    assert mailserver.recipients == [ADDRESS]


def test_after_a_day_it_is_given_up_and_the_address_forgotten_all_the_same(mailserver, user, now):
    mailserver.stop()
    request = erase(user, now)
    moment, tries = now, 0
    while kept(request)[0] != "done":
        moment, tries = request.next_step_at, tries + 1
        erasure.take_next_step(request.pk, now=moment)
    assert kept(request) == ("done", "", None)
    assert timedelta(days=1) <= moment - now < timedelta(days=2)
    assert tries < 15


@pytest.mark.parametrize(("answer", "status"), [("550 No such user", "done"), ("451 Try again", "erased")])
def test_an_address_that_is_refused_is_forgotten_and_one_that_may_be_tried_again_is_not(
    mailserver,
    user,
    now,
    answer,
    status,
):
    mailserver.refuse[ADDRESS] = answer
    request = erase(user, now)
    erasure.take_next_step(request.pk, now=now + timedelta(minutes=6))
    assert kept(request)[:2] == (status, "" if status == "done" else ADDRESS)
    assert mailserver.mails == []


def test_supabase_that_is_down_does_not_hold_it_up(mailserver, user, now, settings):
    settings.SUPABASE_URL = "http://127.0.0.1:9"
    assert kept(erase(user, now)) == ("erased", "", None)
    assert mailserver.recipients == [ADDRESS]


def test_who_has_no_address_gets_none(mailserver, now):
    request = erase(UserFactory(email=""), now)
    assert kept(request) == ("erased", "", None)
    assert mailserver.mails == []


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_that_dies_at_it_costs_the_lease(mailserver, user, now, monkeypatch, after):
    class Killed(BaseException):
        pass

    hand_over = receipts.hand_over

    def killed(mail):
        if after:
            hand_over(mail)
        raise Killed

    request = erasure.request_erasure(user=user, now=now)
    with monkeypatch.context() as patched:
        patched.setattr(receipts, "hand_over", killed)
        with pytest.raises(Killed):
            erasure.take_next_step(request.pk, now=now)
    erasure.take_next_step(request.pk, now=now + timedelta(minutes=4))
    assert len(mailserver.mails) == int(after)
    erasure.take_next_step(request.pk, now=now + timedelta(minutes=9, seconds=1))
    # A mail that the server had taken comes twice, with the same Message-ID.
    assert len(mailserver.mails) == 1 + int(after)
    assert len({mail["Message-ID"] for mail in mailserver.mails}) == 1
    assert kept(request)[1:] == ("", None)


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_send_one(mailserver, user, now, at_once, monkeypatch):
    request = erasure.request_erasure(user=user, now=now)
    with monkeypatch.context() as patched:
        patched.setattr(erasure, "send_receipt", lambda *_, **__: None)
        patched.setattr(supabase, "delete_user", lambda _: None)
        erasure.take_next_step(request.pk, now=now)
    at_once(lambda _: receipts.send_receipt(request.pk, now=now), [1, 2, 3, 4])
    assert len(mailserver.mails) == 1
    assert kept(request)[1:] == ("", None)
