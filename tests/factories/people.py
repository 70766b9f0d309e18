from __future__ import annotations

from typing import Any

import factory

from apps.accounts import services
from apps.accounts.models import User

PASSWORD = "a-password-for-tests"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda number: f"person{number}@example.test")
    password = factory.django.Password(PASSWORD)

    @factory.post_generation
    def proven(self: User, create: bool, extracted: bool | None, **_: Any) -> None:
        """Whether the address is verified, which it is unless `proven=False`."""
        if create and extracted is not False:
            services.confirm_address(self)
