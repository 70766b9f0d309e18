from __future__ import annotations

import factory

from apps.accounts.models import User

PASSWORD = "a-password-for-tests"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda number: f"person{number}@example.test")
    password = factory.django.Password(PASSWORD)
