from accounts.models import Setting
from messaging.ids import PREFIX_KEY, SEAL_KEYS, installation_prefix, seal


def put_installation_back() -> None:
    """Put the rows back by which an installation knows its message ids, as this process knows them: a test before may
    have emptied their table, and views and other processes read it."""
    prefix = installation_prefix() if installation_prefix.cache_info().currsize else "tests"
    Setting.objects.get_or_create(key=PREFIX_KEY, defaults={"value": prefix})
    known = (seal().after, *seal().keys) if seal.cache_info().currsize else (0, *range(1 << 29 | 1, 1 << 29 | 17, 2))
    for key, value in zip(SEAL_KEYS, known, strict=True):
        Setting.objects.get_or_create(key=key, defaults={"value": str(value)})
