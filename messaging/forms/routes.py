"""The console's form of a route."""

from typing import Any

from django import forms

from messaging.gateways import registry
from messaging.models import Gateway, Route
from messaging.routing.coverage import reaches, warning_of


class RouteForm(forms.ModelForm):
    """Gateways are chosen by name, those of the environment too: one that has no row yet gets one that overrides
    nothing."""

    gateway = forms.ChoiceField()
    may_leave_out = forms.BooleanField(
        required=False,
        label="Other messages may wait",
        help_text="Asked for only where this leaves messages without any route.",
    )

    class Meta:
        model = Route
        fields = (
            "gateway",
            "account",
            "sender_id",
            "prefix",
            "priority",
            "weight",
            "cost_micro",
            "is_enabled",
            "note",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["prefix"] = forms.CharField(
            required=False, max_length=12, help_text="What the number begins with: +49, +1415. Empty: every number."
        )
        names = [name for name in registry.known() if name != registry.SIMULATOR or registry.preferred() == name]
        names += Gateway.objects.exclude(name__in=names).values_list("name", flat=True)
        self.fields["gateway"].choices = [("", "---------"), *((name, name) for name in names)]  # type: ignore[attr-defined]
        if self.instance.pk:
            self.initial["gateway"] = self.instance.gateway.name

    def clean_gateway(self) -> Gateway:
        name = self.cleaned_data["gateway"]
        row = Gateway.objects.filter(name=name).first()
        if row is None:
            setup = registry.setup_of(name)
            assert setup is not None  # it is one of the choices
            row = Gateway(name=name, kind=setup.kind, is_enabled=True)
        return row

    def clean_prefix(self) -> str:
        return str(self.cleaned_data["prefix"]).replace(" ", "").removeprefix("+")

    def _get_validation_exclusions(self) -> set[str]:
        """A gateway that has no row yet has no other route either."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        gateway = self.cleaned_data.get("gateway")
        return excluded | {"gateway"} if gateway is not None and gateway.pk is None else excluded

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors or self.cleaned_data.get("may_leave_out"):
            return
        if warning := warning_of(reaches(), reaches(changed=self.instance)):
            self.add_error("may_leave_out", f"{warning} Add a route for every number first, or tick here and save.")

    def save(self, commit: bool = True) -> Any:
        if self.instance.gateway.pk is None:
            self.instance.gateway.save()
            self.instance.gateway = self.instance.gateway  # with its number
        return super().save(commit)
