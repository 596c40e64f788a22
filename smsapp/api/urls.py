"""Every path of `/api/v1`: no trailing slash. Resources stand behind one router; the rest are single views."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api.credit import BalanceView, LedgerView
from accounts.api.keys import ApiKeyViewSet
from accounts.api.senders import SenderViewSet
from accounts.api.tokens import RefreshView, RevokeView, TokenView
from accounts.api.usage import CallListView, UsageView
from accounts.api.webhooks import CallbackSecretViewSet, WebhookDeliveryViewSet, WebhookViewSet
from campaigns.api.bulk import BulkViewSet
from campaigns.api.recurring import RecurringViewSet
from campaigns.api.templates import TemplateViewSet
from campaigns.api.views import CampaignViewSet
from messaging.api.inbound import InboundViewSet
from messaging.api.lookup import LookupView
from messaging.api.views import SendViewSet
from reports.api.messages import MessageViewSet
from reports.api.views import ReportViewSet
from smsapp.api.openapi.pages import DocumentView, RedocView, SwaggerView
from smsapp.monitoring.health import HealthView, LiveView, ReadyView
from smsapp.monitoring.metrics import metrics
from uploads.api.contacts import ContactListViewSet, ContactViewSet, SuppressionViewSet
from uploads.api.views import FileViewSet, UploadViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("sms", SendViewSet, "api-send")
router.register("sms", BulkViewSet, "api-bulk")
router.register("sms/reports", ReportViewSet, "api-report")
router.register("files", FileViewSet, "api-file")
router.register("uploads", UploadViewSet, "api-upload")
router.register("campaigns", CampaignViewSet, "api-campaign")
router.register("recurring-campaigns", RecurringViewSet, "api-recurring-campaign")
router.register("templates", TemplateViewSet, "api-template")
router.register("contact-lists", ContactListViewSet, "api-contact-list")
router.register("contact-lists/<str:list_id>/contacts", ContactViewSet, "api-contact")
router.register("suppressions", SuppressionViewSet, "api-suppression")
router.register("messages", MessageViewSet, "api-message")
router.register("inbound", InboundViewSet, "api-inbound")
router.register("senders", SenderViewSet, "api-sender")
router.register("api-keys", ApiKeyViewSet, "api-key")
router.register("webhooks", CallbackSecretViewSet, "api-callback-secret")  # before `webhooks/<endpoint_id>`
router.register("webhooks", WebhookViewSet, "api-webhook")
router.register("webhooks/<str:endpoint_id>/deliveries", WebhookDeliveryViewSet, "api-webhook-delivery")

urlpatterns = [
    *router.urls,
    path("account/balance", BalanceView.as_view(), name="api-balance"),
    path("account/ledger", LedgerView.as_view(), name="api-ledger"),
    path("account/usage", UsageView.as_view(), name="api-usage"),
    path("account/requests", CallListView.as_view(), name="api-requests"),
    path("lookup", LookupView.as_view(), name="api-lookup"),
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
