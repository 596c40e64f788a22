"""Every path of `/api/v1`: no trailing slash."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

from accounts.api.usage import CallListView, UsageView
from accounts.api.views import BalanceView
from campaigns.api.views import BulkView, CampaignListView, CampaignView
from messaging.api.views import SendView
from reports.api.views import ReportListView, ReportView
from smsapp.api.health import HealthView, LiveView, ReadyView
from smsapp.api.metrics import metrics
from uploads.api.views import FileUploadView, UploadErrorsView, UploadNumbersView, UploadView

_open = {"authentication_classes": (), "permission_classes": (AllowAny,)}

urlpatterns = [
    path("sms/send", SendView.as_view(), name="api-sms-send"),
    path("sms/bulk", BulkView.as_view(), name="api-sms-bulk"),
    path("sms/reports", ReportListView.as_view(), name="api-sms-reports"),
    path("sms/reports/<str:message_id>", ReportView.as_view(), name="api-sms-report"),
    path("files/upload", FileUploadView.as_view(), name="api-files-upload"),
    path("uploads/<str:upload_id>", UploadView.as_view(), name="api-upload"),
    path("uploads/<str:upload_id>/errors", UploadErrorsView.as_view(), name="api-upload-errors"),
    path("uploads/<str:upload_id>/numbers", UploadNumbersView.as_view(), name="api-upload-numbers"),
    path("campaigns", CampaignListView.as_view(), name="api-campaigns"),
    path("campaigns/<str:bulk_id>", CampaignView.as_view(), name="api-campaign"),
    path("account/balance", BalanceView.as_view(), name="api-balance"),
    path("account/usage", UsageView.as_view(), name="api-usage"),
    path("account/requests", CallListView.as_view(), name="api-requests"),
    path("health", HealthView.as_view(), name="api-health"),
    path("health/live", LiveView.as_view(), name="api-health-live"),
    path("health/ready", ReadyView.as_view(), name="api-health-ready"),
    path("metrics", metrics, name="api-metrics"),
    path("schema", SpectacularAPIView.as_view(**_open), name="api-schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="api-schema", **_open), name="api-docs"),
]
