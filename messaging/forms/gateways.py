"""Forms of the console's pages on gateways."""

from typing import Any

from django import forms

from accounts.security.encryption import SecretUnreadable
from accounts.webhooks.destinations import leads_inside
from messaging.choices import GatewayKind
from messaging.gateways import registry
from messaging.gateways.factory import CREDENTIALS, make
from messaging.gateways.http import Defect
from messaging.gateways.registry import setup_from
from messaging.models import Gateway
from messaging.routing.coverage import reaches, warning_of
from smsapp.lib.phone import RefusedNumber, parse_number

EXAMPLE_RULES = """{
  "url": "https://api.example.com/messages",
  "headers": {"Authorization": "Bearer {token}"},
  "body": {"recipient": "{to}", "content": "{text}", "from": "{sender}", "callback": "{report_url}"},
  "id_path": "message.id",
  "status_path": "message.state",
  "error_path": "message.reason",
  "statuses": {"queued": "sent", "delivered": "delivered", "failed": "undelivered", "unknown": "unconfirmed"},
  "report_id_path": "id",
  "report_status_path": "state"
}"""


#: What decides where credentials are sent, and in what: whoever changes it gives them again.
WHERE = ("url", "method", "format", "headers", "body")

UNTESTED = "Save it first, then send a test: it can be switched on once the provider has taken one."
OFF_UNTIL_TESTED = (
    "Messages go by this gateway now. With this it is off, until a test has passed and it is switched on (again): what "
    "waits for it goes by other routes, or waits."
)


class GatewayForm(forms.ModelForm):
    """Credentials are written and never shown: what is left empty stays as it is, unless it would be sent elsewhere."""

    may_be_inside = False  # whether the address may lead into our own network; the page says so for superusers

    api_key = forms.CharField(required=False, help_text="Of Infobip.")
    account_sid = forms.CharField(required=False, help_text="Of Twilio: AC…")
    auth_token = forms.CharField(required=False, help_text="Of Twilio: also what its reports are signed with.")
    key_sid = forms.CharField(required=False, help_text="Of Twilio, optional: an API key (SK…) to send with.")
    key_secret = forms.CharField(required=False, help_text="Of Twilio, optional: the secret of that key.")
    messaging_service_sid = forms.CharField(required=False, help_text="Of Twilio, optional: MG…")
    other_credentials = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
        help_text="Of a custom gateway: a line for each, name=value. The name is a placeholder: {name}. `user` and "
        "`password` also make {basic}; `callback` is the secret of pushed reports. Given anew, they replace all.",
    )

    base_url = forms.URLField(
        required=False, max_length=300, assume_scheme="https", help_text="Empty: the provider's usual address."
    )

    may_stop = forms.BooleanField(
        required=False,
        label="Messages may wait",
        help_text="Asked for only where what is saved stops messages that go by this gateway now.",
    )

    class Meta:
        model = Gateway
        fields = ("name", "kind", "is_enabled", "base_url", "rate", "max_batch", "validity", "rules")
        widgets = {"rules": forms.Textarea(attrs={"rows": 16, "cols": 90, "class": "vLargeTextField"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = self._held()
        self._calls_before = self._calls()
        for name in SECRET_FIELDS:
            field = self.fields[name]
            field.widget.attrs["autocomplete"] = "off"
            if name in held:
                field.widget.attrs["placeholder"] = "stored; leave empty to keep it"
        if "rules" in self.fields:
            self.fields["rules"].help_text = f"Of a custom gateway, for example:\n{EXAMPLE_RULES}"
            self.fields["rules"].required = False
        if self.instance.pk:
            for name in ("name", "kind"):
                self.fields[name].disabled = True

    def clean_rules(self) -> dict[str, Any]:
        rules = self.cleaned_data["rules"] or {}
        if not isinstance(rules, dict):
            raise forms.ValidationError("Rules are a JSON object.")
        return rules

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        kind = data.get("kind") or self.instance.kind
        if self.errors or not kind:
            return data
        held = self._held()
        if self._leads_elsewhere(kind, data):
            self._require_public(kind, data)
            self._require_again(kind, data, held)
            if self.errors:
                return data
            held = {}
        if kind == GatewayKind.HTTP:
            secrets = self._other_credentials(data["other_credentials"]) or held
        else:
            required, optional = CREDENTIALS[GatewayKind(kind)]
            secrets = {name: data[name].strip() or held.get(name, "") for name in (*required, *optional)}
            data["rules"] = {}
        self.instance.secrets = {name: value for name, value in secrets.items() if value}
        return data

    def _post_clean(self) -> None:
        """With everything in place: try to make it, as the pipeline will."""
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            setup = setup_from(self.instance)
            if setup.kind is GatewayKind.INFOBIP and not setup.base_url:
                self.add_error("base_url", "Infobip gives each account an address of its own.")
                return
            make(setup).close()
            self._decide_whether_on()
        except Defect as defect:
            self.add_error("rules", f"{defect.field}: {defect}")
        except (ValueError, SecretUnreadable) as error:
            self.add_error(None, str(error)[:300])

    def _leads_elsewhere(self, kind: str, data: dict[str, Any]) -> bool:
        """Whether calls would go to another address, or carry the credentials in another way, than before."""
        if kind == GatewayKind.HTTP:
            before = self.initial.get("rules") or {}
            return any(data["rules"].get(name) != before.get(name) for name in WHERE)
        return bool(data["base_url"] != (self.initial.get("base_url") or ""))

    def _require_again(self, kind: str, data: dict[str, Any], held: dict[str, str]) -> None:
        if kind == GatewayKind.HTTP:
            missing = ["other_credentials"] if held and not data["other_credentials"].strip() else []
        else:
            missing = [name for name in held if name in self.fields and not data[name].strip()]
        for name in missing:
            self.add_error(name, "Give it again: what is stored would be sent elsewhere, or in another way.")

    def _require_public(self, kind: str, data: dict[str, Any]) -> None:
        is_http = kind == GatewayKind.HTTP
        field, address = ("rules", data.get("rules", {}).get("url")) if is_http else ("base_url", data["base_url"])
        if address and not self.may_be_inside and leads_inside(str(address)):
            self.add_error(field, "This address cannot be found, or is not public: only a superuser may set it.")

    def _decide_whether_on(self) -> None:
        """Nothing is live before a test has passed with the very settings that would be live."""
        row = self.instance
        was_on = bool(self.initial.get("is_enabled")) if row.pk else row.name in registry.names()
        is_new = row.pk is None or self._calls() != self._calls_before
        if row.is_enabled and not was_on and (is_new or row.tested_at is None):
            self.add_error("is_enabled", UNTESTED)
        if is_new:
            row.tested_at, row.is_enabled = None, False
        if was_on and not row.is_enabled and not self.cleaned_data.get("may_stop"):
            self._ask_before_stopping(row.name)

    def _calls(self) -> tuple[Any, ...]:
        """All that decides where a call goes and what is in it."""
        return self.instance.base_url, self.instance.rules, self._held()

    def _ask_before_stopping(self, name: str) -> None:
        left_out = warning_of(reaches(), reaches(without=name))
        words = f"{OFF_UNTIL_TESTED} {left_out}".strip()
        self.add_error("may_stop", f"{words} Tick here and save, if that is meant.")

    def _held(self) -> dict[str, str]:
        try:
            return self.instance.secrets
        except SecretUnreadable:
            return {}

    def _other_credentials(self, text: str) -> dict[str, str]:
        found = {}
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if line.strip() and not (equals and name.strip().isidentifier() and name.strip().islower()):
                self.add_error("other_credentials", "Each line is name=value, the name in small letters.")
            elif line.strip():
                found[name.strip()] = value.strip()
        return found


SECRET_FIELDS = (
    "api_key",
    "account_sid",
    "auth_token",
    "key_sid",
    "key_secret",
    "messaging_service_sid",
    "other_credentials",
)


class TrialForm(forms.Form):
    """One real message, past the pipeline."""

    phone_number = forms.CharField(max_length=30, help_text="International, with plus. It is a real text message.")
    text = forms.CharField(max_length=160, initial="Test message")
    sender = forms.CharField(max_length=16, required=False)

    def clean_phone_number(self) -> str:
        try:
            return parse_number(self.cleaned_data["phone_number"], "ZZ")
        except RefusedNumber as refused:
            raise forms.ValidationError("This is no mobile number in international format.") from refused
