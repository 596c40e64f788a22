"""Passwords are hashed in little memory, and those that were hashed otherwise are hashed anew."""

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from smsapp.settings import base
from tests.support.factories import UserFactory

PASSWORD = "correct horse battery"


@pytest.mark.django_db
def test_a_hash_of_before_is_made_anew_at_the_next_sign_in(settings) -> None:
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS
    user = UserFactory.create()
    user.password = Argon2PasswordHasher().encode(PASSWORD, "saltsaltsalt")
    user.save()
    assert "m=102400" in user.password
    assert not user.check_password("wrong")
    assert user.check_password(PASSWORD)
    user.refresh_from_db()
    assert "m=19456" in user.password
    assert user.check_password(PASSWORD)
