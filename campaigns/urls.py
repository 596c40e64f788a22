from django.urls import path

from campaigns import views

urlpatterns = [
    path("", views.campaign_list, name="campaign-list"),
    path("campaigns/<str:bulk_id>/", views.campaign_detail, name="campaign-detail"),
    path("campaigns/<str:bulk_id>/live/", views.campaign_live, name="campaign-live"),
    path("campaigns/<str:bulk_id>/refused/", views.campaign_refused, name="campaign-refused"),
    path("campaigns/<str:bulk_id>/pause/", views.campaign_act, {"action": "pause"}, name="campaign-pause"),
    path("campaigns/<str:bulk_id>/resume/", views.campaign_act, {"action": "resume"}, name="campaign-resume"),
    path("campaigns/<str:bulk_id>/cancel/", views.campaign_cancel, name="campaign-cancel"),
    path("campaigns/<str:bulk_id>/resend/", views.campaign_resend, name="campaign-resend"),
    path("messages/<str:message_id>/", views.message_detail, name="message-detail"),
]
