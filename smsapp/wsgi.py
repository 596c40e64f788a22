"""WSGI entry point (gunicorn smsapp.wsgi)."""

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from smsapp.runtime.environment import choose_settings

choose_settings()
application = get_wsgi_application()

from django.conf import settings  # noqa: E402

from smsapp.monitoring import proxies  # noqa: E402
from smsapp.monitoring.key_prints import require_at_start  # noqa: E402  (models, which need the application)

require_at_start()
proxies.log_untrusted_at_start(settings.TRUSTED_PROXY_COUNT)
_ = get_resolver().url_patterns  # imports all views now, and not while the first requests wait for them
