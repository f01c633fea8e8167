"""Invitations to a provider's staff: by e-mail, for one address, once, and for a week."""

import re
import threading
from datetime import timedelta

import pytest
import structlog
from django.core import mail
from django.db import connection

from providers import invitations
from providers.models import Invitation, ProviderUser
from providers.tasks import send_invitation, send_invitations
from tests.conftest import free_port
from tests.factories import ProviderAccountFactory, ProviderUserFactory, UserFactory

pytestmark = pytest.mark.django_db

STAFF = "/v1/provider/staff"
INVITATIONS = "/v1/provider/invitations"
REAL = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner():
    return ProviderUserFactory(provider_account__business_name="Blue Fin")


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Lets what waits for the commit happen at the end of the block."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def invite(api, owner, email="coach@example.com", role="staff"):
    return api.as_user(owner.user).post(STAFF, {"email": email, "role": role})


def written(owner, now, **fields) -> tuple[Invitation, str]:
    """An invitation, and the token that its mail carries."""
    given = {"email": "coach@example.com", "role": "staff", "now": now} | fields
    invitation = invitations.invite(by=owner, **given)
    return invitation, invitations.token_of(invitation)


def accept(api, user, token):
    return api.as_user(user).post(f"{INVITATIONS}/{token}/accept")


def token_in(message) -> str:
    [token] = re.findall(r"/invitations/(\S+)", message.body)
    return token


# --- Inviting -------------------------------------------------------------------------------------------------------


def test_an_invitation_is_written_and_mailed_after_commit(api, owner, tasks, committed, settings):
    settings.APP_URL = "https://juniro.example"
    with committed():
        answer = invite(api, owner)
    invitation = Invitation.objects.get()
    assert answer.status == 201
    assert answer.data == {
        "id": str(invitation.pk), "email": "coach@example.com", "role": "staff", "sentAt": None,
        "expiresAt": answer.data["expiresAt"], "createdAt": answer.data["createdAt"],
    }  # fmt: skip
    assert invitation.invited_by == owner.user
    assert tasks == [("providers.tasks.send_invitation", (str(invitation.pk),))]
    assert mail.outbox == []

    send_invitation(*tasks[0][1])
    [message] = mail.outbox
    assert message.to == ["coach@example.com"]
    assert message.subject == "Blue Fin invites you to Juniro"
    link = f"https://juniro.example/invitations/{invitations.token_of(invitation)}"
    assert link in message.body
    [(html, kind)] = message.alternatives
    assert (f'href="{link}"' in html, kind) == (True, "text/html")
    invitation.refresh_from_db()
    assert (invitation.sent_at is not None, invitation.next_attempt_at) == (True, None)


def test_the_mail_leads_to_a_place_on_the_staff(api, owner, tasks, committed):
    with committed():
        invite(api, owner, role="admin")
    send_invitation(*tasks[0][1])
    coach = UserFactory(email="Coach@Example.com")
    answer = accept(api, coach, token_in(mail.outbox[0]))
    account = owner.provider_account
    assert answer.status == 200
    assert answer.data == {
        "id": str(account.pk), "businessName": "Blue Fin", "slug": account.slug, "status": "verified", "role": "admin",
    }  # fmt: skip
    coach.refresh_from_db()
    assert coach.role == "provider"
    assert ProviderUser.objects.get(user=coach).role == "admin"
    assert api.as_user(coach).get("/v1/provider/profile").data["businessName"] == "Blue Fin"
    assert api.as_user(owner.user).get(INVITATIONS).data == []


def test_the_token_is_nowhere(api, owner, tasks, committed, now):
    with committed(), structlog.testing.capture_logs() as logs:
        answer = invite(api, owner)
    invitation = Invitation.objects.get()
    token = invitations.token_of(invitation)
    assert re.fullmatch(r"[\w-]{43}", token)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(providers_invitation)::text FROM providers_invitation")
        [(row,)] = cursor.fetchall()
    for place in (row, str(tasks), answer.content.decode(), str(logs)):
        assert token not in place
    assert invitation.token_sha256 == invitations.hash_of(token)


def test_a_name_cannot_write_headers_or_html(owner, now):
    owner.provider_account.business_name = "Fins\r\nBcc: all@example.com <b>&"
    owner.provider_account.save()
    invitation, _ = written(owner, now)
    assert invitations.send(invitation.pk, now=now) is True
    [message] = mail.outbox
    assert message.subject == "Fins Bcc: all@example.com <b>& invites you to Juniro"
    assert message.recipients() == ["coach@example.com"]
    assert "<b>&" in message.body
    assert "&lt;b&gt;&amp;" in message.alternatives[0][0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "staff"}, "email"),
        ({"email": "coach", "role": "staff"}, "email"),
        ({"email": "coach@example.com"}, "role"),
        ({"email": "coach@example.com", "role": "owner"}, "role"),
        ({"email": "coach@example.com", "role": "staff", "token": "x"}, "token"),
        ({"email": "coach@example.com", "role": "staff", "expiresAt": "2099-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
def test_what_is_wrong_is_named(api, owner, body, field):
    answer = api.as_user(owner.user).post(STAFF, body)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]
    assert Invitation.objects.count() == 0


def test_one_address_has_one_open_invitation(api, owner):
    assert invite(api, owner).status == 201
    assert invite(api, owner, "COACH@example.com").code == (409, "INVALID_STATE")
    assert invite(api, owner, "other@example.com").status == 201
    assert invite(api, ProviderUserFactory()).status == 201


def test_an_expired_one_is_renewed(api, owner, now):
    old, token = written(owner, now - timedelta(days=8))
    answer = invite(api, owner, role="admin")
    assert (answer.status, answer.data["id"], answer.data["role"]) == (201, str(old.pk), "admin")
    assert accept(api, UserFactory(email="coach@example.com"), token).code == (404, "NOT_FOUND")


def test_colleagues_are_not_invited_again(api, owner):
    ProviderUserFactory(provider_account=owner.provider_account, user__email="coach@example.com")
    assert invite(api, owner, "Coach@example.com").code == (409, "INVALID_STATE")


def test_nobody_can_send_mail_without_end(api, owner, now):
    for number in range(invitations.MOST_OPEN):
        written(owner, now, email=f"coach{number}@example.com")
    assert invite(api, owner).code == (409, "INVALID_STATE")


# --- The list -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_and_for_three(api, owner, rows, now, django_assert_num_queries):
    for number in range(rows):
        written(owner, now, email=f"coach{number}@example.com")
    written(ProviderUserFactory(), now)
    with django_assert_num_queries(4):  # user, membership, count, invitations
        answer = api.as_user(owner.user).get(INVITATIONS)
    assert [each["email"] for each in answer.data] == [f"coach{number}@example.com" for number in reversed(range(rows))]


# --- Taking back, sending again -------------------------------------------------------------------------------------


def test_taking_it_back_kills_the_link_at_once(api, owner, now):
    invitation, token = written(owner, now)
    assert api.as_user(owner.user).delete(f"{INVITATIONS}/{invitation.pk}").body == {"success": True, "data": None}
    coach = UserFactory(email="coach@example.com")
    assert accept(api, coach, token).code == (404, "NOT_FOUND")
    assert (Invitation.objects.count(), coach.provider_users.count()) == (0, 0)


def test_sending_again_gives_a_new_link_and_a_new_week(api, owner, now, tasks, committed):
    invitation, old = written(owner, now - timedelta(days=6))
    with committed():
        answer = api.as_user(owner.user).post(f"{INVITATIONS}/{invitation.pk}/resend")
    assert answer.status == 200
    before = invitation.expires_at
    invitation.refresh_from_db()
    assert invitation.expires_at > before + timedelta(days=5)
    assert tasks == [("providers.tasks.send_invitation", (str(invitation.pk),))]
    coach = UserFactory(email="coach@example.com")
    assert accept(api, coach, old).code == (404, "NOT_FOUND")
    assert accept(api, coach, invitations.token_of(invitation)).status == 200


def test_it_is_not_sent_again_within_a_minute(api, owner):
    id_ = invite(api, owner).data["id"]
    answer = api.as_user(owner.user).post(f"{INVITATIONS}/{id_}/resend")
    assert answer.code == (429, "RATE_LIMITED")
    assert 0 < int(answer.headers["Retry-After"]) <= 61


def test_a_strangers_invitation_does_not_exist(api, owner, now):
    invitation, _ = written(ProviderUserFactory(), now - timedelta(hours=1))
    caller = api.as_user(owner.user)
    assert caller.delete(f"{INVITATIONS}/{invitation.pk}").code == (404, "NOT_FOUND")
    assert caller.post(f"{INVITATIONS}/{invitation.pk}/resend").code == (404, "NOT_FOUND")
    assert Invitation.objects.count() == 1


# --- Accepting ------------------------------------------------------------------------------------------------------


def test_it_works_once(api, owner, now):
    _, token = written(owner, now)
    coach = UserFactory(email="coach@example.com")
    assert accept(api, coach, token).status == 200
    assert accept(api, coach, token).code == (404, "NOT_FOUND")
    ProviderUser.objects.filter(user=coach).delete()
    assert accept(api, coach, token).code == (404, "NOT_FOUND")
    assert coach.provider_users.count() == 0


@pytest.mark.parametrize("email", ["other@example.com", "", "coach@example.com.evil.example", "%"])
def test_it_works_for_the_invited_address_only(api, owner, now, email):
    _, token = written(owner, now)
    stranger = UserFactory(email=email)
    assert accept(api, stranger, token).code == (404, "NOT_FOUND")
    stranger.refresh_from_db()
    assert (stranger.role, stranger.provider_users.count()) == ("parent", 0)


def test_it_works_for_a_week(api, owner, now):
    invitation, token = written(owner, now - timedelta(days=7))
    coach = UserFactory(email="coach@example.com")
    answer = accept(api, coach, token)
    assert answer.code == (409, "INVALID_STATE")
    assert "expired" in answer.error["message"]
    invitation.expires_at = now + timedelta(minutes=1)
    invitation.save()
    assert accept(api, coach, token).status == 200


def test_who_works_there_already_gains_nothing(api, owner, now):
    coach = ProviderUserFactory(provider_account=owner.provider_account, role="staff")
    _, token = written(owner, now, role="admin")
    coach.user.email = "coach@example.com"
    coach.user.save()
    assert accept(api, coach.user, token).code == (409, "INVALID_STATE")
    coach.refresh_from_db()
    assert coach.role == "staff"


@pytest.mark.parametrize("token", ["x", "x" * 43, "x" * 5000, "%00", "..", "नीला"])
def test_a_made_up_token_is_nothing(api, owner, now, token):
    written(owner, now)
    assert accept(api, UserFactory(email="coach@example.com"), token).status in (400, 404)


def test_it_is_accepted_by_somebody_who_is_signed_in_and_at_home_here(api, owner, now):
    _, token = written(owner, now)
    assert api.post(f"{INVITATIONS}/{token}/accept").code == (401, "UNAUTHORIZED")
    abroad = UserFactory(email="coach@example.com", home_region="in")
    assert accept(api, abroad, token).code == (403, "REGION_MISMATCH")
    assert ProviderUser.objects.count() == 1


def test_somebody_works_for_several_accounts(api, owner, now):
    coach = ProviderUserFactory(user__email="coach@example.com")
    _, token = written(owner, now)
    assert accept(api, coach.user, token).status == 200
    caller = api.as_user(coach.user)
    assert [each["role"] for each in caller.get("/v1/provider/accounts").data] == ["owner", "staff"]
    assert caller.get("/v1/provider/profile").code == (400, "VALIDATION_ERROR")
    named = caller.get("/v1/provider/profile", X_Provider_Account=str(owner.provider_account_id))
    assert named.data["businessName"] == "Blue Fin"


@REAL
def test_of_four_who_accept_at_once_one_does(api, at_once, now):
    owner = ProviderUserFactory(provider_account=ProviderAccountFactory())
    _, token = written(owner, now)
    # One mailbox, several accounts at the sign-in provider.
    coaches = [UserFactory(email="coach@example.com") for _ in range(4)]
    answers = at_once(lambda coach: accept(api, coach, token), coaches)
    assert sorted(answer.status for answer in answers) == [200, 404, 404, 404]
    assert ProviderUser.objects.filter(user__in=coaches).count() == 1


@REAL
def test_control_without_the_lock_all_four_do(api, at_once, now, monkeypatch):
    owner = ProviderUserFactory(provider_account=ProviderAccountFactory())
    _, token = written(owner, now)
    everybody_looked = threading.Barrier(4)

    def look(**which):
        found = Invitation.objects.open().get(**which)
        everybody_looked.wait(timeout=10)
        return found

    monkeypatch.setattr(invitations, "lock_invitation", look)
    coaches = [UserFactory(email="coach@example.com") for _ in range(4)]
    at_once(lambda coach: accept(api, coach, token), coaches)
    assert ProviderUser.objects.filter(user__in=coaches).count() == 4


@REAL
def test_a_double_click_invites_once(api, at_once):
    owner = ProviderUserFactory()
    answers = at_once(lambda _: invite(api, owner), [1, 2, 3])
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    assert Invitation.objects.count() == 1


# --- Sending --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mail_down(settings):
    """Nobody listens where the mail server was."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()


def test_a_mail_that_fails_is_tried_again_less_and_less_often(owner, now, mail_down):
    invitation, _ = written(owner, now)
    waits = []
    at = now
    for _ in range(4):
        assert invitations.send(invitation.pk, now=at) is False
        invitation.refresh_from_db()
        waits.append(invitation.next_attempt_at - at)
        at = invitation.next_attempt_at
    assert waits == [timedelta(minutes=minutes) for minutes in (5, 5, 10, 20)]
    assert invitation.sent_at is None


def test_the_sweep_sends_what_was_lost_and_nothing_twice(owner, now, tasks):
    lost, _ = written(owner, now - timedelta(hours=1))
    written(owner, now - timedelta(days=7), email="late@example.com")
    sent, _ = written(owner, now - timedelta(hours=1), email="sent@example.com")
    assert invitations.send(sent.pk, now=now) is True
    mail.outbox.clear()
    tasks.clear()
    send_invitations()
    assert tasks == [("providers.tasks.send_invitation", (str(lost.pk),))]
    send_invitation(str(lost.pk))
    send_invitation(str(lost.pk))
    assert [message.to for message in mail.outbox] == [["coach@example.com"]]


def test_no_mail_goes_out_for_what_was_taken_back_or_accepted(api, owner, now):
    invitation, token = written(owner, now)
    accept(api, UserFactory(email="coach@example.com"), token)
    assert invitations.send(invitation.pk, now=now) is False
    invitation.delete()
    assert invitations.send(invitation.pk, now=now) is False
    assert mail.outbox == []


@REAL
def test_of_four_workers_one_sends(at_once, now):
    invitation, _ = written(ProviderUserFactory(), now)
    done = at_once(lambda _: invitations.send(invitation.pk, now=now), [1, 2, 3, 4])
    assert sorted(done) == [False, False, False, True]
    assert len(mail.outbox) == 1


def test_a_new_secret_between_writing_and_sending_does_no_harm(api, owner, now, settings):
    invitation, old = written(owner, now)
    settings.SECRET_KEY = "another-secret-of-at-least-fifty-characters-for-this-one-test"
    assert invitations.send(invitation.pk, now=now) is True
    token = token_in(mail.outbox[0])
    assert token != old
    assert accept(api, UserFactory(email="coach@example.com"), token).status == 200


def test_addresses_of_those_who_never_came_are_forgotten(owner, now):
    written(owner, now - timedelta(days=38))
    written(owner, now - timedelta(days=36), email="young@example.com")
    assert invitations.purge(now=now) == 1
    assert Invitation.objects.get().email == "young@example.com"
