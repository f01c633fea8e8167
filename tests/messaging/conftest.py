"""A parent and a provider's staff who may write to each other."""

from types import SimpleNamespace

import pytest

from messaging.models import Conversation
from regions import flags
from tests.factories import ProviderUserFactory, UserFactory

CONVERSATIONS = "/v1/conversations"


@pytest.fixture
def two(api, db):
    """Ana, the owner of a swim school, and both as callers."""
    flags.switch("MESSAGING_ENABLED", True)
    ana, owner = UserFactory(), ProviderUserFactory()
    return SimpleNamespace(
        ana=api.as_user(ana),
        ana_user=ana,
        owner=api.as_user(owner.user),
        owner_user=owner.user,
        provider=owner.provider_account,
    )


@pytest.fixture
def conversation(two) -> Conversation:
    """Ana's conversation with the swim school, with her first message in it."""
    answer = two.ana.post(CONVERSATIONS, {"providerId": str(two.provider.pk), "content": "Is there parking?"})
    assert answer.status == 201
    return Conversation.objects.get(pk=answer.data["id"])
