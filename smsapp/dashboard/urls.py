"""The pages of the dashboard: each within a workspace, `/a/<account>/<mode>/…`. `accounts/dashboard/workspace.py`"""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("accounts.urls")),
    path("", include("reports.urls")),
    path("", include("messaging.urls")),
    path("", include("campaigns.urls")),
    path("", include("uploads.urls")),
]

handler400 = "smsapp.api.errors.bad_request"
handler404 = "smsapp.api.errors.not_found"
handler500 = "smsapp.api.errors.server_error"
