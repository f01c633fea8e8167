"""People. Parents and children are shown with initials only; staff accounts are made and suspended here."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminEmailInputWidget

from core.admin import (
    Admin,
    LargeAdmin,
    NoDelete,
    ReadOnlyAdmin,
    code,
    link,
    links,
    list_url,
    masked,
    masked_email,
    masked_phone,
    reveal,
    verb,
)
from users import second_factor
from users.models import AccountTombstone, Child, Consent, Parent, User


class StaffEmail:
    """An e-mail address that no other member of staff signs in with."""

    def clean_email(self: Any) -> str:
        email = self.cleaned_data["email"]
        if not email:
            raise ValidationError("Staff sign in with their e-mail address.")
        if User.objects.filter(is_staff=True, email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise ValidationError("A member of staff has this e-mail address already.")
        return email


class StaffCreationForm(StaffEmail, UserCreationForm):
    """A new member of staff of this region, without any permission yet."""

    email = forms.EmailField(widget=UnfoldAdminEmailInputWidget)

    class Meta:
        model = User
        fields = ["email"]

    def save(self, commit: bool = True) -> User:
        self.instance.is_staff = True
        self.instance.role = User.Role.ADMIN
        self.instance.home_region = settings.REGION
        return super().save(commit=commit)


class StaffChangeForm(StaffEmail, UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


def set_active(value: bool) -> Any:
    def run(user: User, *, now: Any, **_: Any) -> None:
        user.is_active = value
        user.save(update_fields=["is_active", "updated_at"])

    return run


class Masked:
    """People, whose names and contacts are shown one at a time, to those who may."""

    def has_reveal_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("users.reveal_pii")


@admin.register(User)
class UserAdmin(Masked, NoDelete, BaseUserAdmin, Admin):  # type: ignore[misc]
    """Deleting an account is erasure, with rules of its own.

    Administrators make staff accounts and hand out groups; only superusers make superusers.
    """

    form = StaffChangeForm
    add_form = StaffCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["short_id", "who", "role", "home_region", "active", "last_seen_at", "created_at"]
    list_filter = ["role", "is_staff", "is_active"]
    search_fields = ["email__exact"]
    search_help_text = "The whole e-mail address, our id, or the id at Supabase"
    nothing = "Nobody like this. Search by the whole e-mail address; only a part of it is not looked up."
    sortable_by: ClassVar[Any] = ()
    search_ids = ["id", "auth_id"]
    search_email = "email"
    ordering = ["-id"]
    filter_horizontal = ["groups", "user_permissions"]
    compressed_fields = False  # the two-column choosers need the width
    readonly_fields = [
        "who", "auth_id", "home_region", "country", "role", "is_staff", "is_active", "last_seen_at", "last_login",
        "related",
    ]  # fmt: skip
    add_fieldsets = [(None, {"fields": ["email", "password1", "password2"]})]
    actions = ["suspend", "reinstate"]
    actions_detail = ["reveal", "suspend", "reinstate", "reset_factor"]
    reveal = reveal(
        lambda user: {"E-mail": user.email, "Id at Supabase": user.auth_id}, when=lambda user: not user.is_staff
    )
    suspend = verb(
        title="Suspend",
        past="Suspended",
        when=lambda user: user.is_active,
        run=set_active(False),
        reason="Kept in the history of this account.",
        permission="suspend",
        icon="block",
        variant=ActionVariant.DANGER,
    )
    reinstate = verb(
        title="Reinstate",
        past="Reinstated",
        when=lambda user: not user.is_active,
        run=set_active(True),
        permission="suspend",
        icon="undo",
        variant=ActionVariant.SUCCESS,
    )

    reset_factor = verb(
        title="Reset second factor",
        past="Second factor reset",
        when=lambda user: user.is_staff and second_factor.is_set_up(user),
        run=lambda user, **_: second_factor.reset(user),
        reason="How you made sure that it is really them who ask. Kept in the history of this account.",
        permission="reset_factor",
        icon="phonelink_erase",
        variant=ActionVariant.DANGER,
    )

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        seen = (None, {"fields": ["is_active", "last_seen_at", *self.stamps]})
        place = (None, {"fields": ["role", "home_region", "country"]})
        if not obj.is_staff:
            return [(None, {"fields": ["who", "auth_id", "related"]}), place, seen]
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": ["who", "groups"]}), place, seen]
        rights = ["is_staff", "is_superuser", "groups", "user_permissions"] if request.user.is_superuser else ["groups"]
        return [(None, {"fields": ["email", "password"]}), ("Rights", {"fields": rights}), place, seen]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of other people's rows nothing is edited by hand; of a superuser's, only by superusers."""
        if isinstance(obj, User) and (not obj.is_staff or (obj.is_superuser and not request.user.is_superuser)):
            return False
        return super().has_change_permission(request, obj)

    def has_suspend_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if isinstance(obj, User) and (
            obj == request.user or (obj.is_staff and not self.has_change_permission(request, obj))
        ):
            return False
        return request.user.has_perm("users.suspend_user")

    def has_reset_factor_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One's own is renewed with a code, under Second factor."""
        if isinstance(obj, User) and (obj == request.user or (obj.is_superuser and not request.user.is_superuser)):
            return False
        return request.user.has_perm("users.reset_second_factor")

    def state_of(self, row: User) -> str:
        return "active" if row.is_active else "suspended"

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        user = self.get_object(request, unquote(id))
        if user is not None and not user.is_staff:
            # Parents and providers sign in with Supabase.
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    @display(description="E-mail", ordering="email")
    def who(self, row: User) -> str:
        return row.email if row.is_staff else masked_email(row.email)

    @display(description="Active", ordering="is_active", label={"Active": "success", "Suspended": "danger"})
    def active(self, row: User) -> str:
        return "Active" if row.is_active else "Suspended"

    @display(description="More")
    def related(self, row: User) -> SafeString:
        return links(
            Parent=list_url("users.Parent", user__id__exact=row.pk),
            Consents=list_url("users.Consent", user__id__exact=row.pk),
            Providers=list_url("providers.ProviderUser", user__id__exact=row.pk),
            Notifications=list_url("notifications.Notification", user__id__exact=row.pk),
        )


admin.site.login_template = "users/sign_in.html"
admin.site.unregister(Group)
# Secrets of staff: nobody reads or edits them. Resetting is a verb.
admin.site.unregister(TOTPDevice)
admin.site.unregister(StaticDevice)


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, Admin):  # type: ignore[misc]
    """Rights of staff; only superusers hand them out."""

    ordering = ["name"]
    compressed_fields = False
    search_ids: ClassVar[list[str]] = []
    stamps: ClassVar[list[str]] = []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(Parent)
class ParentAdmin(Masked, LargeAdmin):
    list_display = ["short_id", "name", "tel", "email", "user_link", "created_at"]
    list_select_related = ["user"]
    search_help_text = "The whole e-mail address, or an id"
    search_ids = ["id", "user_id"]
    search_email = "user__email"
    nothing = "No parent like this. Search by the whole e-mail address."
    exclude = ["first_name", "last_name", "phone"]
    readonly_fields = ["name", "tel", "email", "related"]
    actions_detail = ["reveal"]
    reveal = reveal(
        lambda parent: {
            "Name": f"{parent.first_name} {parent.last_name}".strip(),
            "Phone": parent.phone,
            "E-mail": parent.user.email,
        }
    )

    @display(description="Name")
    def name(self, row: Parent) -> str:
        return masked(row.first_name, row.last_name)

    @display(description="Phone")
    def tel(self, row: Parent) -> str:
        return masked_phone(row.phone)

    @display(description="E-mail")
    def email(self, row: Parent) -> str:
        return masked_email(row.user.email)

    @display(description="User", ordering="user_id")
    def user_link(self, row: Parent) -> SafeString | str:
        return link("users.User", row.user_id)

    @display(description="More")
    def related(self, row: Parent) -> SafeString:
        return links(
            Children=list_url("users.Child", parent__id__exact=row.pk),
            Bookings=list_url("bookings.Booking", parent__id__exact=row.pk),
            Conversations=list_url("messaging.Conversation", parent__id__exact=row.pk),
        )


@admin.register(Child)
class ChildAdmin(Masked, LargeAdmin):
    list_display = ["short_id", "name", "born", "parent_link", "removed_at", "created_at"]
    search_help_text = "The parent's e-mail address, or an id"
    nothing = "No child like this. Search by the parent's whole e-mail address."
    search_ids = ["id", "parent_id", "parent__user_id"]
    search_email = "parent__user__email"
    exclude = ["first_name", "last_name", "birth_date"]
    readonly_fields = ["name", "born", "removed_at"]
    actions_detail = ["reveal"]
    reveal = reveal(
        lambda child: {"Name": f"{child.first_name} {child.last_name}".strip(), "Born": str(child.birth_date or "")}
    )

    @display(description="Name")
    def name(self, row: Child) -> str:
        return masked(row.first_name, row.last_name)

    @display(description="Born")
    def born(self, row: Child) -> str:
        return str(row.birth_date.year) if row.birth_date else "–"

    @display(description="Parent", ordering="parent_id")
    def parent_link(self, row: Child) -> SafeString | str:
        return link("users.Parent", row.parent_id)


@admin.register(Consent)
class ConsentAdmin(LargeAdmin):
    list_display = ["short_id", "user_link", "kind", "version", "word", "created_at"]
    list_filter = ["kind", "granted"]
    search_help_text = "The whole e-mail address, or an id"
    search_ids = ["id", "user_id"]
    search_email = "user__email"

    @display(description="Granted", ordering="granted", boolean=True)
    def word(self, row: Consent) -> bool:
        return row.granted

    @display(description="User", ordering="user_id")
    def user_link(self, row: Consent) -> SafeString | str:
        return link("users.User", row.user_id)


@admin.register(AccountTombstone)
class AccountTombstoneAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "hashed", "deleted_at"]
    search_fields = ["auth_id_sha256__exact"]
    exclude = ["auth_id_sha256"]
    readonly_fields = ["hashed"]

    @display(description="SHA-256 of the Supabase id")
    def hashed(self, row: AccountTombstone) -> SafeString:
        return code(row.auth_id_sha256)
