"""The container's health check: `/health`, under the first name of ALLOWED_HOSTS; ends with 0 if it answers 200."""

import os
from urllib.request import Request, urlopen

host = os.environ.get("ALLOWED_HOSTS", "127.0.0.1").split(",")[0].strip().lstrip(".")
url = f"http://127.0.0.1:{os.environ.get('PORT', '5001')}/health"
urlopen(Request(url, headers={"Host": host, "X-Forwarded-Proto": "https"}), timeout=4)
