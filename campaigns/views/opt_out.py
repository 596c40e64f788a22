"""The page behind `{opt_out_link}`: for whoever got a message, without an account here."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import Account
from campaigns.texts.opt_out_links import read_token
from uploads.choices import OptOutSource
from uploads.suppressions import opt_out_hash


@never_cache
@require_http_methods(["GET", "POST"])
def opt_out(request: HttpRequest, token: str) -> HttpResponse:
    """A GET changes nothing: programs open links, too, to look what is behind them."""
    read = read_token(token)
    account = Account.objects.filter(pk=read[0]).first() if read else None
    if read is None or account is None:
        return render(request, "campaigns/opt_out.html", {"is_unknown": True}, status=404)
    if request.method == "POST":
        opt_out_hash(account, read[1], OptOutSource.LINK)
    return render(request, "campaigns/opt_out.html", {"account": account, "is_done": request.method == "POST"})
