from django.contrib import admin
from django.urls import include, path

import accounts.urls
from campaigns.views.opt_out import opt_out
from messaging.views.callbacks import delivery_reports, inbound_messages
from messaging.views.hold import sending
from smsapp.dashboard.pwa import manifest, offline, service_worker
from smsapp.monitoring.health import HealthView, LiveView, ReadyView
from smsapp.monitoring.metrics import metrics

urlpatterns = [
    path("admin/sending/", sending, name="sending"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("smsapp.api.urls")),
    path("callbacks/<slug:gateway>/<str:token>", delivery_reports, name="delivery-reports"),
    path("callbacks/<slug:gateway>/<str:token>/inbound", inbound_messages, name="inbound-messages"),
    path("callbacks/<slug:gateway>/<str:token>/<slug:message_id>", delivery_reports, name="message-reports"),
    path("health", HealthView.as_view(schema=None), name="health"),  # documented under /api/v1
    path("health/live", LiveView.as_view(schema=None), name="health-live"),
    path("health/ready", ReadyView.as_view(schema=None), name="health-ready"),
    path("metrics", metrics, name="metrics"),
    path("o/<str:token>", opt_out, name="opt-out"),
    path("accounts/", include(accounts.urls.site_urlpatterns)),
    path("manifest.webmanifest", manifest, name="manifest"),
    path("sw.js", service_worker, name="service-worker"),
    path("offline/", offline, name="offline"),
    path("", include("smsapp.dashboard.urls")),  # leads to the workspace where the person was last
]

handler400 = "smsapp.api.errors.bad_request"
handler404 = "smsapp.api.errors.not_found"
handler500 = "smsapp.api.errors.server_error"
