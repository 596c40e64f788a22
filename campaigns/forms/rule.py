"""How often something is sent, as people say it: every day, on Mondays and Thursdays, on the first of the month."""

from datetime import time
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from campaigns.scheduling.rule import Every, Rule
from smsapp.dashboard.forms import DashboardForm, ZoneField

WEEKDAYS = [
    ("1", _("Monday")),
    ("2", _("Tuesday")),
    ("3", _("Wednesday")),
    ("4", _("Thursday")),
    ("5", _("Friday")),
    ("6", _("Saturday")),
    ("0", _("Sunday")),
]
EVERY = [
    (Every.DAY, _("Every day")),
    (Every.WEEKDAY, _("Monday to Friday")),
    (Every.WEEK, _("On days of the week")),
    (Every.MONTH, _("On a day of the month")),
    (Every.CRON, _("By a cron rule (for experts)")),
]


class RuleForm(DashboardForm):
    """The fields of a rule, for forms that ask for more. `rule_initial` is how a rule is put into them."""

    conditional: tuple[str, ...] = ("zone", "every", "clock", "weekdays", "month_day", "cron")
    zone = ZoneField(required=False, initial="UTC")
    every = forms.ChoiceField(label=_("How often?"), choices=EVERY, required=False, initial=Every.DAY)
    clock = forms.TimeField(
        label=_("At"), required=False, initial=time(9), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    weekdays = forms.MultipleChoiceField(
        label=_("Days"), choices=WEEKDAYS, required=False, widget=forms.CheckboxSelectMultiple
    )
    month_day = forms.IntegerField(label=_("Day of the month"), min_value=1, max_value=28, required=False, initial=1)
    cron = forms.CharField(
        label=_("Cron rule"),
        required=False,
        max_length=100,
        help_text=_("Minute, hour, day of month, month, day of week: “30 8 * * 1-5”."),
    )

    def clean_rule(self, data: dict[str, Any]) -> None:
        """What is missing becomes an error of its field."""
        if data.get("every") == Every.WEEK and not data.get("weekdays"):
            self.add_error("weekdays", _("Choose a day at least."))
        if data.get("every") == Every.CRON and len(str(data.get("cron", "")).split()) != 5:
            self.add_error("cron", _("A cron rule has five parts."))
        if data.get("every") != Every.CRON and "clock" in data and data["clock"] is None:
            self.add_error("clock", _("Give the time."))

    def stated_rule(self) -> Rule:
        data = self.cleaned_data
        zone, every = data["zone"] or "UTC", Every(data["every"] or Every.DAY)
        if every is Every.CRON:
            minute, hour, day_of_month, month_of_year, day_of_week = data["cron"].split()
            return Rule(minute, hour, day_of_month, month_of_year, day_of_week, zone)
        weekdays = tuple(int(day) for day in data["weekdays"])
        return Rule.at(every, zone, data["clock"], weekdays=weekdays, month_day=data["month_day"] or 1)


class QuietForm(DashboardForm):
    """When nothing is sent, for forms that ask for more."""

    quiet_from = forms.TimeField(
        label=_("Send nothing from"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text=_("On the recipient’s own clock, as far as the number tells."),
    )
    quiet_until = forms.TimeField(
        label=_("until"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text=_("Empty: the quiet hours of your account, or of the country."),
    )


def rule_initial(rule: Rule) -> dict[str, Any]:
    """Of a RuleForm: in the words of a person where there are any for it, else as cron."""
    values: dict[str, Any] = {"zone": rule.timezone, "cron": str(rule), "every": _every(rule)}
    if values["every"] is not Every.CRON:
        values["clock"] = time(int(rule.hour), int(rule.minute))
    if values["every"] is Every.WEEK:
        values["weekdays"] = rule.day_of_week.split(",")
    if values["every"] is Every.MONTH:
        values["month_day"] = int(rule.day_of_month)
    return values


def rule_words(rule: Rule) -> str:
    """“Monday, Thursday at 09:00, Europe/Berlin”; a cron rule as it is."""
    values = rule_initial(rule)
    every = values["every"]
    days = str(dict(EVERY)[every])
    if every is Every.CRON:
        days = _("Cron rule %(rule)s") % {"rule": rule}
    if every is Every.WEEK:
        days = ", ".join(str(label) for value, label in WEEKDAYS if value in values["weekdays"])
    if every is Every.MONTH:
        days = _("On day %(day)s of the month") % {"day": values["month_day"]}
    clock = "" if every is Every.CRON else f" {values['clock']:%H:%M}"
    return f"{days}{clock}, {rule.timezone.replace('_', ' ')}"


def _every(rule: Rule) -> Every:
    days = rule.day_of_month, rule.month_of_year, rule.day_of_week
    if not (rule.hour.isdigit() and rule.minute.isdigit()):
        return Every.CRON
    if days[:2] == ("*", "*"):
        if days[2] in ("*", "1-5"):
            return Every.DAY if days[2] == "*" else Every.WEEKDAY
        if set(days[2].split(",")) <= {value for value, _label in WEEKDAYS}:
            return Every.WEEK
    is_month_day = days[0].isdigit() and int(days[0]) <= 28 and days[1:] == ("*", "*")
    return Every.MONTH if is_month_day else Every.CRON
