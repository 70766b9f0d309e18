from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import linebreaksbr
from django.utils import timezone
from django.utils.html import format_html, urlize
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from unfold.admin import ModelAdmin, checkbox
from unfold.decorators import display

from apps.accounts import outbox, second_factor, services
from apps.accounts.devices import device
from apps.accounts.enums import MailStatus
from apps.accounts.jwt import families
from apps.accounts.models import Mail, RefreshFamily, Session, User
from apps.core.admin import ConsoleAdmin
from apps.core.errors import DomainError
from apps.core.sealing import Unsealable

STATUS_COLORS = {"waiting": "info", "sent": "success", "failed": "danger"}

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


@admin.register(Mail)
class MailAdmin(ConsoleAdmin):
    """The outbox. Whoever reads a mail can follow its links, so only those that no server took can be read."""

    list_display = ["subject", "recipients", "status_label", "attempts", "reason", "created_at"]
    list_filter = ["status"]
    search_fields = ["subject", "message_id"]
    fields = [
        *("recipients", "subject", "message_id", "status", "attempts", "next_attempt_at", "last_error"),
        *("created_at", "sent_at", "text"),
    ]
    actions = ["send_again"]

    def get_readonly_fields(self, request: object, obj: object = None) -> list[str]:
        return self.fields

    def get_fields(self, request: object, obj: Mail | None = None) -> list[str]:
        """The next attempt is told while there is one, and the text where the operator is to read it."""
        absent = {
            "next_attempt_at": obj is None or obj.status != MailStatus.WAITING,
            "sent_at": obj is None or obj.sent_at is None,
            "text": obj is None or obj.status != MailStatus.KEPT,
        }
        return [name for name in self.fields if not absent.get(name)]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Mail], search_term: str
    ) -> tuple[QuerySet[Mail], bool]:
        rows, has_duplicates = super().get_search_results(request, queryset, search_term)
        return rows | queryset.filter(to__contains=[search_term.strip().lower()]), has_duplicates

    @admin.display(description="To")
    def recipients(self, row: Mail) -> str:
        return ", ".join(row.to)

    @display(description="Status", ordering="status", label=STATUS_COLORS)
    def status_label(self, row: Mail) -> tuple[str, str]:
        return row.status, row.get_status_display()

    @admin.display(description="Last error")
    def reason(self, row: Mail) -> str:
        return Truncator(row.last_error).chars(60)

    @admin.display(description="Text")
    def text(self, row: Mail) -> SafeString:
        try:
            text = outbox.content_of(row)["text"]
        except Unsealable:
            text = "It was sealed under another SECRET_KEY."
        linked = mark_safe(urlize(text, nofollow=True, autoescape=True))  # noqa: S308
        return format_html('<div class="grid grid-cols-1"><p class="break-words">{}</p></div>', linebreaksbr(linked))

    @admin.action(description="Send again")
    def send_again(self, request: HttpRequest, mails: QuerySet[Mail]) -> None:
        for row in mails:
            try:
                outbox.resend(row)
            except DomainError as refusal:
                self.message_user(request, f"{row.subject}: {refusal.message}", messages.ERROR)
            else:
                self.log_change(request, row, "Sent again")
                self.message_user(request, f"{row.subject}: on its way to {', '.join(row.to)}.")


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
            template, title = "admin/remove_second_factor.html", "Remove the second factor?"
            with_factors = people.prefetch_related("authenticator_set")
            return self.ask(request, template, title, people=with_factors, chosen=authenticators)
        for user in people:
            second_factor.remove(user)
            self.log_change(request, user, "Second factor removed")
            self.message_user(request, f"{user.email} signs in without a second factor now, and was told so by mail.")
        return None


@admin.register(Session)
class SessionAdmin(ConsoleAdmin):
    """Who is signed in with what and from where. Rows are chosen by id: what stands for a key stays in the database."""

    list_display = ["user", "program", "address", "created_at", "last_seen_at", "expires_at"]
    list_display_links = None
    list_filter = ["user__is_staff", "last_seen_at"]
    search_fields = ["user__email", "user__name", "=address"]
    ordering = ["-last_seen_at"]
    exclude = ["key_hash", "content"]
    actions = ["end"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        return super().get_queryset(request).filter(user__isnull=False, expires_at__gt=timezone.now())

    @admin.display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: Session) -> SafeString:
        return checkbox.render(ACTION_CHECKBOX_NAME, str(obj.id))

    def response_action(self, request: HttpRequest, queryset: QuerySet[Session]) -> HttpResponse | None:
        """The action looks rows up by what it knows: their primary key."""
        posted = request.POST.copy()
        chosen = queryset.filter(id__in=posted.getlist(ACTION_CHECKBOX_NAME))
        posted.setlist(ACTION_CHECKBOX_NAME, list(chosen.values_list("pk", flat=True)))
        request.POST = posted  # type: ignore[assignment]
        return super().response_action(request, queryset)

    @admin.display(description="Program", ordering="agent")
    def program(self, row: Session) -> str:
        return device(row.agent)

    @admin.action(description="End")
    def end(self, request: HttpRequest, sessions: QuerySet[Session]) -> None:
        for row in sessions:
            services.end_session(row)
            self.log_change(request, row.user, f"Session ended: {device(row.agent)} at {row.address}")
            self.message_user(request, f"{row.user}: {device(row.agent)} is signed out.")


@admin.register(RefreshFamily)
class RefreshFamilyAdmin(ConsoleAdmin):
    """The programs that are signed in as people."""

    list_display = ["user", "program", "address", "created_at", "last_used_at", "expires_at", "revoked_because"]
    list_filter = [("revoked_at", EmptyFieldListFilter)]
    search_fields = ["user__email", "user__name", "=address"]
    ordering = ["-last_used_at"]
    exclude = ["current_jti", "auth_hash"]
    actions = ["end"]

    @admin.display(description="Program", ordering="agent")
    def program(self, row: RefreshFamily) -> str:
        return device(row.agent)

    @admin.action(description="End")
    def end(self, request: HttpRequest, chosen: QuerySet[RefreshFamily]) -> None:
        for row in chosen.filter(revoked_at__isnull=True):
            families.revoke_family(row, because="ended_by_operator")
            self.log_change(request, row.user, f"Program signed out: {device(row.agent)} at {row.address}")
            self.message_user(request, f"{row.user}: {device(row.agent)} is signed out.")
