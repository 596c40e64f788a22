from django.urls import path

from accounts.views import account, developers, invitations, profile, session

#: Of a person, in no account.
site_urlpatterns = [
    path("sign-in/", session.SignIn.as_view(), name="sign-in"),
    path("sign-out/", session.SignOut.as_view(), name="sign-out"),
    path("invitations/<str:secret>/", invitations.invitation, name="invitation"),
]

urlpatterns = [
    path("profile/", profile.profile, name="profile"),
    path("senders/", account.senders, name="senders"),
    path("senders/<int:sender_pk>/withdraw/", account.sender_withdraw, name="sender-withdraw"),
    path("usage/", account.usage, name="usage"),
    path("team/", account.team, name="team"),
    path("team/<int:membership_pk>/", account.team_change, name="team-change"),
    path("team/invitations/<int:invitation_pk>/withdraw/", account.invitation_withdraw, name="invitation-withdraw"),
    path("settings/", account.account_settings, name="account-settings"),
    path("developers/", developers.developers, name="developers"),
    path("developers/keys/new/", developers.key_new, name="key-new"),
    path("developers/keys/<str:prefix>/rotate/", developers.key_act, {"action": "rotate"}, name="key-rotate"),
    path("developers/keys/<str:prefix>/revoke/", developers.key_act, {"action": "revoke"}, name="key-revoke"),
    path("developers/requests/", developers.requests_log, name="requests"),
    path("developers/webhooks/new/", developers.webhook_new, name="webhook-new"),
    path("developers/webhooks/<str:endpoint_id>/", developers.webhook, name="webhook-detail"),
    path(
        "developers/webhooks/<str:endpoint_id>/test/", developers.webhook_act, {"action": "test"}, name="webhook-test"
    ),
    path(
        "developers/webhooks/<str:endpoint_id>/enable/",
        developers.webhook_act,
        {"action": "enable"},
        name="webhook-enable",
    ),
    path("developers/webhooks/<str:endpoint_id>/rotate/", developers.webhook_rotate, name="webhook-rotate"),
    path(
        "developers/webhooks/<str:endpoint_id>/remove/",
        developers.webhook_act,
        {"action": "remove"},
        name="webhook-remove",
    ),
    path(
        "developers/webhooks/<str:endpoint_id>/deliveries/<int:delivery_pk>/",
        developers.webhook_delivery,
        name="webhook-delivery",
    ),
]
