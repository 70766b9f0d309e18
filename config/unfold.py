"""The look and the navigation of the operator's console."""

from django.templatetags.static import static
from django.urls import reverse_lazy

UNFOLD = {
    "SITE_TITLE": "Modelyard console",
    "SITE_HEADER": "Modelyard",
    "SITE_SUBHEADER": "Operator's console",
    "SITE_URL": "/",
    "DASHBOARD_CALLBACK": "apps.console.dashboard.dashboard",
    "SHOW_HISTORY": False,
    "STYLES": [lambda _: static("console/css/console.css")],
    # Around the product's accent: 600 for links and buttons on white, 500 for links on the dark theme's surfaces.
    "COLORS": {
        "primary": {
            "50": "#eef0fe",
            "100": "#e0e4fd",
            "200": "#c9cffa",
            "300": "#b3bdfc",
            "400": "#9ba8ff",
            "500": "#7685f7",
            "600": "#3f51d9",
            "700": "#3343bf",
            "800": "#2b389c",
            "900": "#262f7a",
            "950": "#1d2140",
        },
    },
    "SIDEBAR": {
        "navigation": [
            {
                "title": "Tenants",
                "items": [
                    {
                        "title": "Organizations",
                        "icon": "domain",
                        "link": reverse_lazy("admin:organizations_organization_changelist"),
                    },
                    {
                        "title": "Closed organizations",
                        "icon": "domain_disabled",
                        "link": reverse_lazy("admin:console_closedorganization_changelist"),
                    },
                    {
                        "title": "Erasure receipts",
                        "icon": "receipt",
                        "link": reverse_lazy("admin:console_erasurereceipt_changelist"),
                    },
                    {
                        "title": "Largest users",
                        "icon": "bar_chart",
                        "link": reverse_lazy("admin:usage_organizationusage_changelist"),
                    },
                    {
                        "title": "Overridden amounts",
                        "icon": "tune",
                        "link": reverse_lazy("admin:usage_override_changelist"),
                    },
                    {"title": "Users", "icon": "person", "link": reverse_lazy("admin:accounts_user_changelist")},
                    {"title": "Sessions", "icon": "devices", "link": reverse_lazy("admin:accounts_session_changelist")},
                    {"title": "Mails", "icon": "mail", "link": reverse_lazy("admin:accounts_mail_changelist")},
                    {
                        "title": "Webhook deliveries",
                        "icon": "webhook",
                        "link": reverse_lazy("admin:notifications_delivery_changelist"),
                    },
                    {
                        "title": "Audit entries",
                        "icon": "history",
                        "link": reverse_lazy("admin:audit_auditentry_changelist"),
                    },
                ],
            },
            {
                "title": "Installation",
                "items": [
                    {
                        "title": "Feature flags",
                        "icon": "toggle_on",
                        "link": reverse_lazy("admin:organizations_featureflag_changelist"),
                    },
                    {
                        "title": "Guards",
                        "icon": "shield",
                        "link": reverse_lazy("admin:ratelimits_guard_changelist"),
                    },
                    {
                        "title": "Entitlements",
                        "icon": "confirmation_number",
                        "link": reverse_lazy("admin:usage_entitlement_changelist"),
                    },
                    {"title": "Status", "icon": "monitor_heart", "link": reverse_lazy("status:status")},
                ],
            },
            {
                "title": "Work",
                "items": [
                    {"title": "Jobs", "icon": "checklist", "link": reverse_lazy("admin:jobs_job_changelist")},
                    {"title": "Queues", "icon": "low_priority", "link": reverse_lazy("admin:jobs_queue_changelist")},
                    {"title": "Workers", "icon": "memory", "link": reverse_lazy("admin:jobs_worker_changelist")},
                    {
                        "title": "Load by organization",
                        "icon": "stacked_bar_chart",
                        "link": reverse_lazy("admin:console_organizationload_changelist"),
                    },
                    {
                        "title": "Deployments",
                        "icon": "rocket_launch",
                        "link": reverse_lazy("admin:deployments_deployment_changelist"),
                    },
                    {
                        "title": "Call records",
                        "icon": "call_made",
                        "link": reverse_lazy("admin:logs_callrecord_changelist"),
                    },
                    {
                        "title": "Upstreams",
                        "icon": "dns",
                        "link": reverse_lazy("admin:gateway_upstream_changelist"),
                    },
                    {
                        "title": "Routes",
                        "icon": "alt_route",
                        "link": reverse_lazy("admin:gateway_route_changelist"),
                    },
                    {
                        "title": "Model calls",
                        "icon": "smart_toy",
                        "link": reverse_lazy("admin:gateway_modelcall_changelist"),
                    },
                    {
                        "title": "Limits",
                        "icon": "traffic",
                        "link": reverse_lazy("admin:ratelimits_policy_changelist"),
                    },
                    {
                        "title": "Overridden rate limits",
                        "icon": "tune",
                        "link": reverse_lazy("admin:ratelimits_planlimitoverride_changelist"),
                    },
                    {
                        "title": "Usage events",
                        "icon": "receipt_long",
                        "link": reverse_lazy("admin:usage_usageevent_changelist"),
                    },
                    {
                        "title": "Events not stored",
                        "icon": "inventory_2",
                        "link": reverse_lazy("dead:dead-letters"),
                    },
                ],
            },
        ],
    },
}
