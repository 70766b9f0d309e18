from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import linebreaksbr
from django.utils.html import urlize
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import ModelAdmin

from apps.accounts import mail, second_factor, services
from apps.accounts.models import KeptMail, User
from apps.core.admin import ConsoleAdmin

for model in (Group, Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(ModelAdmin):
    list_display = ["email", "name", "is_staff", "is_active", "last_login", "created_at"]
    list_filter = ["is_staff", "is_active"]
    search_fields = ["email", "name"]
    fields = ["email", "name", "is_staff", "is_active", "last_login", "created_at"]
    readonly_fields = ["email", "last_login", "created_at"]

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        """An operator may do everything in the console; whoever is deactivated is out of every open page at once."""
        if "is_staff" in form.changed_data:
            obj.is_superuser = obj.is_staff
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            services.end_sessions(obj)

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_delete_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(KeptMail)
class KeptMailAdmin(ConsoleAdmin):
    """The mails that no server took. Whoever reads them can follow their links: this is the operator's mailbox."""

    list_display = ["subject", "recipients", "created_at"]
    ordering = ["-created_at"]
    search_fields = ["subject"]
    fields = ["recipients", "subject", "created_at", "text"]
    readonly_fields = fields

    def get_readonly_fields(self, request: object, obj: object = None) -> list[str]:
        return self.fields

    @admin.display(description="To")
    def recipients(self, row: KeptMail) -> str:
        return ", ".join(row.to)

    @admin.display(description="Text")
    def text(self, row: KeptMail) -> SafeString:
        text = mark_safe(urlize(mail.text_of(row), nofollow=True, autoescape=True))  # noqa: S308
        return linebreaksbr(text)


@admin.register(EmailAddress)
class EmailAddressAdmin(ConsoleAdmin):
    """Whose address is which, and whether it is proven."""

    list_display = ["email", "user", "verified", "primary"]
    list_filter = ["verified"]
    search_fields = ["email"]


@admin.register(SocialAccount)
class SocialAccountAdmin(ConsoleAdmin):
    """Who signs in through whom."""

    list_display = ["user", "provider", "uid", "date_joined", "last_login"]
    search_fields = ["user__email", "uid"]
    exclude = ["extra_data"]


@admin.register(Authenticator)
class AuthenticatorAdmin(ConsoleAdmin):
    """Who has which second factor, for somebody who has lost all of theirs."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    search_fields = ["user__email"]
    exclude = ["data"]
    actions = ["remove_second_factor"]

    @admin.action(description="Remove the second factor")
    def remove_second_factor(
        self, request: HttpRequest, authenticators: QuerySet[Authenticator]
    ) -> HttpResponse | None:
        """Asks first: it takes away all of a person's, and not only what was chosen."""
        people = User.objects.filter(authenticator__in=authenticators).distinct()
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.model._meta,
                "title": "Remove the second factor?",
                "people": people.prefetch_related("authenticator_set"),
                "chosen": authenticators,
            }
            return render(request, "admin/remove_second_factor.html", context)
        for user in people:
            second_factor.remove(user)
            self.log_change(request, user, "Second factor removed")
            self.message_user(request, f"{user.email} signs in without a second factor now, and was told so by mail.")
        return None
