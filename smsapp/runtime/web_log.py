"""The web server's own log: addresses without their secrets and queries."""

from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from smsapp.core.log_redaction import RedactingFormatter, redacted


class Logger(GunicornLogger):  # type: ignore[misc]
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                if handler.formatter:
                    own = handler.formatter
                    handler.setFormatter(RedactingFormatter(own._fmt, own.datefmt, own._style.default_format[0]))

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> dict[str, Any]:
        path = redacted(environ.get("PATH_INFO") or "")
        hidden = {"q": "", "f": "-", "U": path, "r": f"{environ['REQUEST_METHOD']} {path} {environ['SERVER_PROTOCOL']}"}
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return atoms | hidden
