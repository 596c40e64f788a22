"""How passwords are hashed."""

from django.contrib.auth import hashers


class Argon2(hashers.Argon2PasswordHasher):
    """Argon2 with OWASP's smallest memory instead of Django's 100 MiB, of which four sign-ins at once took 400.

    An older hash is replaced when its person signs in.
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1
