"""What people can do with organizations, members, invitations, projects and tokens: one module for each noun."""

from apps.organizations.services.accounts import delete_account
from apps.organizations.services.acting import end_acting, start_acting
from apps.organizations.services.invitations import (
    accept_invitation,
    invite_member,
    resend_invitation,
    revoke_invitation,
)
from apps.organizations.services.members import (
    change_role,
    leave_from_outside,
    leave_organization,
    remove_member,
    transfer_ownership,
)
from apps.organizations.services.organizations import (
    cancel_deletion,
    create_organization,
    request_deletion,
    resume_organization,
    set_plan,
    suspend_organization,
    update_organization,
)
from apps.organizations.services.passes import issue_pass
from apps.organizations.services.projects import create_project, delete_project, update_project
from apps.organizations.services.tokens import (
    admit_token,
    create_token,
    edit_token,
    publish_tokens_of,
    revoke_token,
    rotate_token,
)

__all__ = [
    "accept_invitation",
    "admit_token",
    "cancel_deletion",
    "change_role",
    "create_organization",
    "create_project",
    "create_token",
    "delete_account",
    "delete_project",
    "edit_token",
    "end_acting",
    "invite_member",
    "issue_pass",
    "leave_from_outside",
    "leave_organization",
    "publish_tokens_of",
    "remove_member",
    "request_deletion",
    "resend_invitation",
    "resume_organization",
    "revoke_invitation",
    "revoke_token",
    "rotate_token",
    "set_plan",
    "start_acting",
    "suspend_organization",
    "transfer_ownership",
    "update_organization",
    "update_project",
]
