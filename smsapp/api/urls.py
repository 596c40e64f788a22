"""Every path of `/api/v1`: no trailing slash."""

from django.urls import path

from accounts.api.credit import BalanceView, LedgerView
from accounts.api.keys import ApiKeyViewSet
from accounts.api.senders import SenderViewSet
from accounts.api.tokens import RefreshView, RevokeView, TokenView
from accounts.api.usage import CallListView, UsageView
from accounts.api.webhooks import CallbackSecretViewSet, WebhookDeliveryViewSet, WebhookViewSet
from campaigns.api.recurring import RecurringViewSet
from campaigns.api.templates import TemplateViewSet
from campaigns.api.views import BulkView, CampaignViewSet
from messaging.api.inbound import InboundViewSet
from messaging.api.lookup import LookupView
from messaging.api.views import SendView
from reports.api.messages import MessageListView, MessageView
from reports.api.views import ReportListView, ReportView
from smsapp.api.openapi.pages import DocumentView, RedocView, SwaggerView
from smsapp.monitoring.health import HealthView, LiveView, ReadyView
from smsapp.monitoring.metrics import metrics
from uploads.api.contacts import ContactListViewSet, ContactViewSet, SuppressionViewSet
from uploads.api.views import FileUploadView, UploadErrorsView, UploadListView, UploadNumbersView, UploadView

urlpatterns = [
    path("sms/send", SendView.as_view(), name="api-sms-send"),
    path("sms/bulk", BulkView.as_view(), name="api-sms-bulk"),
    path("sms/reports", ReportListView.as_view(), name="api-sms-reports"),
    path("sms/reports/<str:message_id>", ReportView.as_view(), name="api-sms-report"),
    path("files/upload", FileUploadView.as_view(), name="api-files-upload"),
    path("uploads", UploadListView.as_view(), name="api-uploads"),
    path("uploads/<str:upload_id>", UploadView.as_view(), name="api-upload"),
    path("uploads/<str:upload_id>/errors", UploadErrorsView.as_view(), name="api-upload-errors"),
    path("uploads/<str:upload_id>/numbers", UploadNumbersView.as_view(), name="api-upload-numbers"),
    path("campaigns", CampaignViewSet.as_view({"get": "list", "post": "create"}), name="api-campaigns"),
    path(
        "campaigns/<str:bulk_id>",
        CampaignViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-campaign",
    ),
    path("campaigns/<str:bulk_id>/preview", CampaignViewSet.as_view({"get": "preview"}), name="api-campaign-preview"),
    path(
        "campaigns/<str:bulk_id>/preflight",
        CampaignViewSet.as_view({"get": "receipt", "post": "count"}),
        name="api-campaign-preflight",
    ),
    path("campaigns/<str:bulk_id>/launch", CampaignViewSet.as_view({"post": "launch"}), name="api-campaign-launch"),
    path("campaigns/<str:bulk_id>/approve", CampaignViewSet.as_view({"post": "approve"}), name="api-campaign-approve"),
    path("campaigns/<str:bulk_id>/reject", CampaignViewSet.as_view({"post": "reject"}), name="api-campaign-reject"),
    path(
        "campaigns/<str:bulk_id>/withdraw",
        CampaignViewSet.as_view({"post": "withdraw"}),
        name="api-campaign-withdraw",
    ),
    path("campaigns/<str:bulk_id>/pause", CampaignViewSet.as_view({"post": "pause"}), name="api-campaign-pause"),
    path("campaigns/<str:bulk_id>/resume", CampaignViewSet.as_view({"post": "resume"}), name="api-campaign-resume"),
    path("campaigns/<str:bulk_id>/cancel", CampaignViewSet.as_view({"post": "cancel"}), name="api-campaign-cancel"),
    path(
        "campaigns/<str:bulk_id>/resend-failed",
        CampaignViewSet.as_view({"post": "resend_failed"}),
        name="api-campaign-resend-failed",
    ),
    path("campaigns/<str:bulk_id>/clone", CampaignViewSet.as_view({"post": "clone"}), name="api-campaign-clone"),
    path(
        "recurring-campaigns",
        RecurringViewSet.as_view({"get": "list", "post": "create"}),
        name="api-recurring-campaigns",
    ),
    path(
        "recurring-campaigns/<str:recurring_id>",
        RecurringViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-recurring-campaign",
    ),
    path(
        "recurring-campaigns/<str:recurring_id>/preview",
        RecurringViewSet.as_view({"get": "preview"}),
        name="api-recurring-campaign-preview",
    ),
    path(
        "recurring-campaigns/<str:recurring_id>/pause",
        RecurringViewSet.as_view({"post": "pause"}),
        name="api-recurring-campaign-pause",
    ),
    path(
        "recurring-campaigns/<str:recurring_id>/resume",
        RecurringViewSet.as_view({"post": "resume"}),
        name="api-recurring-campaign-resume",
    ),
    path("templates", TemplateViewSet.as_view({"get": "list", "post": "create"}), name="api-templates"),
    path(
        "templates/<str:template_id>",
        TemplateViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-template",
    ),
    path("account/balance", BalanceView.as_view(), name="api-balance"),
    path("account/ledger", LedgerView.as_view(), name="api-ledger"),
    path("contact-lists", ContactListViewSet.as_view({"get": "list", "post": "create"}), name="api-contact-lists"),
    path(
        "contact-lists/<str:list_id>",
        ContactListViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-contact-list",
    ),
    path(
        "contact-lists/<str:list_id>/import",
        ContactListViewSet.as_view({"post": "import_upload"}),
        name="api-contact-list-import",
    ),
    path(
        "contact-lists/<str:list_id>/contacts",
        ContactViewSet.as_view({"get": "list", "post": "create"}),
        name="api-contacts",
    ),
    path(
        "contact-lists/<str:list_id>/contacts/<str:phone_number>",
        ContactViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="api-contact",
    ),
    path("suppressions", SuppressionViewSet.as_view({"get": "list", "post": "create"}), name="api-suppressions"),
    path(
        "suppressions/import",
        SuppressionViewSet.as_view({"post": "import_upload"}),
        name="api-suppressions-import",
    ),
    path(
        "suppressions/<str:phone_number>",
        SuppressionViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="api-suppression",
    ),
    path("messages", MessageListView.as_view(), name="api-messages"),
    path("messages/<str:message_id>", MessageView.as_view(), name="api-message"),
    path("inbound", InboundViewSet.as_view({"get": "list"}), name="api-inbound"),
    path("inbound/<str:inbound_id>", InboundViewSet.as_view({"get": "retrieve"}), name="api-inbound-message"),
    path("lookup", LookupView.as_view(), name="api-lookup"),
    path("account/usage", UsageView.as_view(), name="api-usage"),
    path("account/requests", CallListView.as_view(), name="api-requests"),
    path("senders", SenderViewSet.as_view({"get": "list", "post": "create"}), name="api-senders"),
    path("senders/<str:sender_id>", SenderViewSet.as_view({"get": "retrieve", "delete": "destroy"}), name="api-sender"),
    path("api-keys", ApiKeyViewSet.as_view({"get": "list", "post": "create"}), name="api-keys"),
    path(
        "api-keys/<str:key_id>",
        ApiKeyViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-key",
    ),
    path("api-keys/<str:key_id>/rotate", ApiKeyViewSet.as_view({"post": "rotate"}), name="api-key-rotate"),
    path("webhooks", WebhookViewSet.as_view({"get": "list", "post": "create"}), name="api-webhooks"),
    path(
        "webhooks/callback-secret",
        CallbackSecretViewSet.as_view({"get": "retrieve", "post": "rotate"}),
        name="api-callback-secret",
    ),
    path(
        "webhooks/<str:endpoint_id>",
        WebhookViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="api-webhook",
    ),
    path(
        "webhooks/<str:endpoint_id>/rotate-secret",
        WebhookViewSet.as_view({"post": "rotate_secret"}),
        name="api-webhook-rotate-secret",
    ),
    path("webhooks/<str:endpoint_id>/test", WebhookViewSet.as_view({"post": "test"}), name="api-webhook-test"),
    path("webhooks/<str:endpoint_id>/enable", WebhookViewSet.as_view({"post": "enable"}), name="api-webhook-enable"),
    path("webhooks/<str:endpoint_id>/replay", WebhookViewSet.as_view({"post": "replay"}), name="api-webhook-replay"),
    path(
        "webhooks/<str:endpoint_id>/deliveries",
        WebhookDeliveryViewSet.as_view({"get": "list"}),
        name="api-webhook-deliveries",
    ),
    path(
        "webhooks/<str:endpoint_id>/deliveries/<str:event_id>",
        WebhookDeliveryViewSet.as_view({"get": "retrieve"}),
        name="api-webhook-delivery",
    ),
    path(
        "webhooks/<str:endpoint_id>/deliveries/<str:event_id>/replay",
        WebhookDeliveryViewSet.as_view({"post": "replay"}),
        name="api-webhook-delivery-replay",
    ),
    path("auth/token", TokenView.as_view(), name="api-token"),
    path("auth/token/refresh", RefreshView.as_view(), name="api-token-refresh"),
    path("auth/token/revoke", RevokeView.as_view(), name="api-token-revoke"),
    path("health", HealthView.as_view(), name="api-health"),
    path("health/live", LiveView.as_view(), name="api-health-live"),
    path("health/ready", ReadyView.as_view(), name="api-health-ready"),
    path("metrics", metrics, name="api-metrics"),
    path("schema", DocumentView.as_view(), name="api-schema"),
    path("docs", SwaggerView.as_view(), name="api-docs"),
    path("redoc", RedocView.as_view(), name="api-redoc"),
]
