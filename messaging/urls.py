from django.urls import path

from messaging.views import messages, replies, send

urlpatterns = [
    path("send/", send.send_message, name="send"),
    path("send/composed/", send.composed, name="composed"),
    path("messages/", messages.search, name="message-search"),
    path("messages/<str:message_id>/", messages.detail, name="message-detail"),
    path("inbox/", replies.inbox, name="inbox"),
]
