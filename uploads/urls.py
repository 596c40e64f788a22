from django.urls import path

from uploads.views import contacts, files, opt_outs

urlpatterns = [
    path("uploads/", files.upload_list, name="upload-list"),
    path("uploads/<str:upload_id>/", files.upload_detail, name="upload-detail"),
    path("uploads/<str:upload_id>/refused.csv", files.refused_csv, name="upload-refused-csv"),
    path("contacts/", contacts.lists, name="contact-lists"),
    path("contacts/<str:list_id>/", contacts.contact_list, name="contact-list"),
    path("contacts/<str:list_id>/fill/", contacts.fill, name="contact-list-fill"),
    path("contacts/<str:list_id>/remove/", contacts.remove, name="contact-remove"),
    path("contacts/<str:list_id>/settings/", contacts.settings, name="contact-list-settings"),
    path("opt-outs/", opt_outs.opt_outs, name="opt-outs"),
    path("opt-outs/allow/", opt_outs.allow, name="opt-outs-allow"),
    path("opt-outs/from-file/", opt_outs.from_upload, name="opt-outs-from-upload"),
]
