"""Signing in to the admin, staff accounts, and how little is shown of parents and children."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client

from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import ChildFactory, ConsentFactory, UserFactory
from users.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "a long walk by the sea"


@pytest.fixture(autouse=True)
def _by_password_alone(settings):
    """The second factor has tests of its own."""
    settings.SECOND_FACTOR = False


LIST = "/admin/users/user/"


def sign_in(email: str, password: str) -> bool:
    client = Client()
    client.post("/admin/login/", {"username": email, "password": password})
    return client.get("/admin/").status_code == 200


def with_password(user: User) -> User:
    user.set_password(PASSWORD)
    user.save()
    return user


def page(user: User, verb: str = "change") -> str:
    return f"{LIST}{user.pk}/{verb}/"


@pytest.fixture
def support():
    """A member of staff who may see and suspend people, and no superuser."""
    user = staff(email="support@juniro.example")
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_user", "suspend_user"]))
    return user


def test_staff_sign_in_with_e_mail_and_password():
    with_password(staff(email="Ops@juniro.example"))
    assert sign_in("ops@juniro.example", PASSWORD)
    assert not sign_in("ops@juniro.example", "wrong")
    assert not sign_in("nobody@juniro.example", PASSWORD)


def test_suspended_staff_cannot_sign_in_and_are_signed_out():
    user = with_password(staff(email="ops@juniro.example"))
    client = signed_in(user)
    assert client.get("/admin/").status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/admin/").status_code == 302
    assert not sign_in("ops@juniro.example", PASSWORD)


def test_parents_and_providers_cannot_sign_in_even_with_a_password():
    for role in ("parent", "provider", "admin"):
        user = with_password(UserFactory(email=f"{role}@example.com", role=role))
        assert not sign_in(user.email, PASSWORD)
    without = UserFactory(email="ana@example.com")
    assert not sign_in(without.email, "")


def test_a_parent_with_the_e_mail_of_a_member_of_staff_is_not_mistaken_for_them():
    with_password(staff(email="both@juniro.example"))
    UserFactory(email="both@juniro.example")
    assert sign_in("both@juniro.example", PASSWORD)


def test_a_superuser_creates_a_member_of_staff(ops):
    form = {"email": "New@juniro.example", "password1": PASSWORD, "password2": PASSWORD}
    response = ops.post(f"{LIST}add/", form)
    user = User.objects.get(email__iexact="new@juniro.example")
    assert response.headers["Location"] == page(user)
    assert (user.is_staff, user.is_superuser, user.role, user.home_region) == (True, False, "admin", "us")
    assert user.auth_id is None
    assert sign_in("new@juniro.example", PASSWORD)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("email", {"email": "BOSS@juniro.example"}),
        ("email", {"email": ""}),
        ("password2", {"password2": "another"}),
        ("password2", {"password1": "12345678", "password2": "12345678"}),
    ],
)
def test_staff_need_an_e_mail_of_their_own_and_a_good_password(ops, field, change):
    form = {"email": "new@juniro.example", "password1": PASSWORD, "password2": PASSWORD}
    response = ops.post(f"{LIST}add/", form | change)
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert User.objects.count() == 1


def test_a_superuser_gives_rights_and_a_new_password(ops):
    user, group = staff(email="ops@juniro.example"), Group.objects.create(name="Support")
    response = ops.post(page(user), {"email": "ops2@juniro.example", "groups": [group.pk], "is_superuser": "on"})
    assert response.status_code == 302, response.context["adminform"].form.errors
    user.refresh_from_db()
    assert (user.email, user.is_superuser, list(user.groups.all())) == ("ops2@juniro.example", True, [group])
    form = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert ops.get(page(user, "password")).status_code == 200
    assert ops.post(page(user, "password"), form).status_code == 302
    assert sign_in("ops2@juniro.example", PASSWORD)


def test_the_e_mail_of_another_member_of_staff_cannot_be_taken(ops):
    user = staff(email="ops@juniro.example")
    response = ops.post(page(user), {"email": "Boss@juniro.example"})
    assert list(response.context["adminform"].form.errors) == ["email"]


@pytest.mark.parametrize("who", ["parent", "staff"])
def test_region_identity_and_role_are_not_editable(ops, who):
    user = UserFactory() if who == "parent" else staff(email="ops@juniro.example")
    before = User.objects.filter(pk=user.pk).values("home_region", "auth_id", "role", "is_staff", "is_active").get()
    forged = {
        "email": user.email,
        "home_region": "in",
        "auth_id": "forged",
        "role": "provider",
        "is_staff": "" if user.is_staff else "on",
        "is_active": "",
    }
    ops.post(page(user), forged)
    assert User.objects.filter(pk=user.pk).values(*before).get() == before


def test_nobody_gives_a_parent_a_password_or_deletes_them(ops):
    user = UserFactory()
    assert ops.get(page(user, "password")).status_code == 403
    assert ops.post(page(user, "delete"), {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=user.pk).exists()


def test_support_suspends_and_reinstates_a_parent_with_a_reason_in_the_log(support, messages_of):
    client, user = signed_in(support), UserFactory()
    assert client.post(page(user, "suspend"), {"apply": "yes", "reason": ""}).status_code == 200
    user.refresh_from_db()
    assert user.is_active

    client.post(page(user, "suspend"), {"apply": "yes", "reason": "Chargebacks"})
    user.refresh_from_db()
    assert not user.is_active
    response = client.post(page(user, "suspend"), {"apply": "yes", "reason": "Again"}, follow=True)
    assert f"Suspend is not possible for {user} (suspended)." in messages_of(response)

    client.post(page(user, "reinstate"), {"apply": "yes"})
    user.refresh_from_db()
    assert user.is_active
    log = LogEntry.objects.filter(object_id=str(user.pk)).order_by("id").values_list("change_message", flat=True)
    assert list(log) == ["Suspended: Chargebacks", "Reinstated."]


def test_who_is_no_superuser_has_no_hand_on_staff(support):
    client, boss = signed_in(support), with_password(staff(is_superuser=True))
    assert client.get(page(boss)).status_code == 200
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(page(support), {"email": support.email, "is_superuser": "on"}).status_code == 403
    assert client.post(page(boss, "password"), {"password1": PASSWORD, "password2": PASSWORD}).status_code == 403
    client.post(page(boss, "suspend"), {"apply": "yes", "reason": "Mutiny"})
    boss.refresh_from_db()
    support.refresh_from_db()
    assert (boss.is_active, support.is_superuser) == (True, False)
    assert boss.password not in client.get(page(boss)).content.decode()


def test_nobody_suspends_themselves(ops, superuser):
    ops.post(page(superuser, "suspend"), {"apply": "yes", "reason": "Holiday"})
    superuser.refresh_from_db()
    assert superuser.is_active


def test_parents_and_children_are_shown_by_initials(ops):
    child = ChildFactory(first_name="Miriam", last_name="Lopezova")
    parent = child.parent
    parent.first_name, parent.last_name, parent.phone = "Anabel", "Lopezova", "+15125550123"
    parent.save()
    parent.user.email = "anabel@example.com"
    parent.user.save()
    ConsentFactory(user=parent.user)
    born = child.birth_date
    rows = [("user", parent.user), ("parent", parent), ("child", child), ("consent", parent.user.consents.get())]
    for model, row in rows:
        for path in (f"/admin/users/{model}/", f"/admin/users/{model}/{row.pk}/change/"):
            text = ops.get(path).content.decode()
            for secret in ("Miriam", "Anabel", "Lopezova", "anabel@", "5550123", born.isoformat(), f"{born:%B}"):
                assert secret not in text, (path, secret)
    assert "M… L…" in ops.get("/admin/users/child/").content.decode()
    text = ops.get("/admin/users/parent/").content.decode()
    assert all(shown in text for shown in ("A… L…", "a…@example.com", "+1…23"))


def test_a_user_is_found_by_the_whole_e_mail_only(ops):
    user = UserFactory(email="anabel@example.com")
    found = ops.get(LIST, {"q": "Anabel@example.com"}).context["cl"].result_list
    assert list(found) == [user]
    assert list(ops.get(LIST, {"q": "anabel"}).context["cl"].result_list) == []
    assert list(ops.get("/admin/users/parent/", {"q": "anabel@example.com"}).context["cl"].result_list) == [user.parent]
    assert list(ops.get(LIST, {"q": user.auth_id}).context["cl"].result_list) == [user]
