from django.urls import path

from reports import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("reports/", views.reports, name="reports"),
    path("reports/days.csv", views.days_csv, name="days-csv"),
    path("reports/countries.csv", views.countries_csv, name="countries-csv"),
    path("reports/times.csv", views.times_csv, name="times-csv"),
]
