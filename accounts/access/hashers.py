"""How passwords are hashed."""

from django.contrib.auth import hashers


class Argon2(hashers.Argon2PasswordHasher):
    """With OWASP's smallest memory instead of Django's 100 MiB, which four sign-ins at once made 400. A hash of before
    is made anew when its person signs in."""

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1
