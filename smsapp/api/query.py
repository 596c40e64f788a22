"""Query parameters: named, bounded, and refused when nobody knows them. A misspelt filter never shows everything."""

from rest_framework.request import Request

from smsapp.exceptions import ValidationError


def require_known(request: Request, *names: str) -> None:
    """Raises ValidationError naming the first parameter that is not among `names` (or `format`)."""
    for name in request.query_params:
        if name not in names and name != "format":
            raise ValidationError("This parameter is not known.", name, request.query_params[name])


def whole_number(request: Request, name: str, default: int, lowest: int, highest: int) -> int:
    """A whole number within bounds; raises ValidationError naming it."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 10 or not lowest <= int(text) <= highest:
        raise ValidationError(f"This must be a whole number from {lowest} to {highest}.", name, text)
    return int(text)
