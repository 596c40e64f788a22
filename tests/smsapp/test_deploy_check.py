"""The example of a production installation lacks nothing, and what is taken out of it is missed."""

import pytest

from tests.deploy_check import check

pytestmark = pytest.mark.once


def test_the_example_lacks_nothing() -> None:
    done = check()
    assert (done.returncode, "no issues" in done.stdout) == (0, True), done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("METRICS_TOKEN", "smsapp.W119"),
        ("INSTANCE_ID", "smsapp.W124"),
        ("ENCRYPTION_KEYS", "smsapp.E104"),
        ("TRUSTED_PROXY_COUNT", "smsapp.W116"),
        ("PUBLIC_URL", "smsapp.E114"),
        ("INFOBIP_BASE_URL", "smsapp.E131"),
    ],
)
def test_what_is_left_out_is_missed(name: str, expected: str) -> None:
    done = check((name,))
    assert done.returncode
    assert expected in done.stderr
