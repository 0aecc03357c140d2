"""xdk, the platform's own SDK: its models check the simulator's shapes.

The models let unknown fields pass, so `known` asks that there are none.
"""

import itertools

from pydantic import BaseModel
from requests.exceptions import HTTPError
from xdk import Client
from xdk.account_activity.models import CreateSubscriptionRequest as SubscribeAccount
from xdk.activity.models import CreateSubscriptionRequest, UpdateSubscriptionRequest
from xdk.direct_messages.models import CreateByConversationIdRequest, CreateByParticipantIdRequest
from xdk.oauth1_auth import OAuth1
from xdk.webhooks.models import CreateRequest

import stage

app = Client(bearer_token=stage.BEARER, base_url=stage.URL)
oauth1 = OAuth1(stage.CONSUMER_KEY, stage.CONSUMER_SECRET, "oob", stage.TOKEN, stage.TOKEN_SECRET)
by_oauth1 = Client(auth=oauth1, base_url=stage.URL)
by_oauth2 = Client(access_token=stage.OAUTH2_TOKEN, base_url=stage.URL)


def known(model: BaseModel, allowed: set[str] = frozenset()) -> None:
    """No part of an answer is unknown to its model."""
    extra = set(model.model_extra or {}) - set(allowed)
    assert not extra, f"{type(model).__name__} doesn't know {extra}"
    for value in dict(model).values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, BaseModel):
                known(item, allowed)


def users_have_the_documented_fields():
    me = by_oauth2.users.get_me(user_fields=["created_at", "verified", "public_metrics"])
    known(me, {"tweet_count"})  # the schema before this one
    assert me.data.id == stage.BRAND
    assert isinstance(me.data.public_metrics.followers_count, int)
    assert by_oauth1.users.get_me().data.username == me.data.username


def messages_are_sent_with_both_kinds_of_tokens():
    ids = []
    for client in (by_oauth1, by_oauth2):
        sent = client.direct_messages.create_by_participant_id(
            stage.CUSTOMER, CreateByParticipantIdRequest(text="typed https://example.com/x #tag")
        )
        known(sent)
        assert sent.data.dm_conversation_id == "-".join(
            sorted([stage.BRAND, stage.CUSTOMER], key=int)
        )
        ids.append(int(sent.data.dm_event_id))
    again = by_oauth1.direct_messages.create_by_conversation_id(
        sent.data.dm_conversation_id, CreateByConversationIdRequest(text="again")
    )
    known(again)
    assert ids == sorted(ids) and int(again.data.dm_event_id) > ids[-1]


def look_ups_page_and_expand():
    fields = [
        "id",
        "text",
        "event_type",
        "created_at",
        "dm_conversation_id",
        "sender_id",
        "entities",
        "attachments",
    ]
    stage.sim("/sim/dms", {"from": stage.CUSTOMER, "to": stage.BRAND, "photo": True})
    for client in (by_oauth1, by_oauth2):
        pages = client.direct_messages.get_events_by_participant_id(
            stage.CUSTOMER,
            max_results=2,
            dm_event_fields=fields,
            expansions=["sender_id", "attachments.media_keys"],
        )
        pages = list(itertools.islice(pages, 10))
        events = [event for page in pages for event in page.data]
        for page in pages:
            known(page)
        assert len(pages) == 2 and len(events) == 4, (len(pages), len(events))
        assert [int(e.id) for e in events] == sorted((int(e.id) for e in events), reverse=True)
        assert events[0].attachments.media_keys[0].startswith("3_")
        assert events[-1].entities.urls[0].expanded_url == "https://example.com/x"
        assert pages[0].includes.users[0].username
    one = by_oauth2.direct_messages.get_events_by_id(events[0].id, dm_event_fields=fields)
    known(one)
    assert one.data.event_type == "MessageCreate"


def webhooks_and_account_activity():
    made = app.webhooks.create(CreateRequest(url=stage.WEBHOOK_URL))
    known(made)
    assert made.data.valid is True
    listed = next(iter(listing)) if hasattr(listing := app.webhooks.get(), "__next__") else listing
    known(listed)
    assert [hook.id for hook in listed.data] == [made.data.id]
    known(app.webhooks.validate(made.data.id))

    subscribed = by_oauth1.account_activity.create_subscription(made.data.id, SubscribeAccount({}))
    known(subscribed)
    assert subscribed.data.subscribed is True
    known(by_oauth1.account_activity.validate_subscription(made.data.id))
    subscriptions = app.account_activity.get_subscriptions(made.data.id)
    known(subscriptions)
    assert [s.user_id for s in subscriptions.data.subscriptions] == [stage.BRAND]
    count = app.account_activity.get_subscription_count()
    known(count)
    assert count.data.subscriptions_count_all == "1"
    gone = app.account_activity.delete_subscription(made.data.id, stage.BRAND)
    known(gone)
    assert gone.data.subscribed is False


def activity_subscriptions():
    hook = app.webhooks.get()
    hook = next(iter(hook)) if hasattr(hook, "__next__") else hook
    wish = CreateSubscriptionRequest(
        event_type="dm.received",
        filter={"user_id": stage.BRAND},
        tag="inbox",
        webhook_id=hook.data[0].id,
    )
    made = by_oauth2.activity.create_subscription(wish)
    known(made, {"meta"})
    subscription = made.data.subscription
    assert (subscription.event_type, subscription.filter.user_id) == ("dm.received", stage.BRAND)
    pages = app.activity.get_subscriptions()
    page = next(iter(pages)) if hasattr(pages, "__next__") else pages
    known(page, {"meta"})
    assert page.data[0].subscription_id == subscription.subscription_id
    changed = app.activity.update_subscription(
        subscription.subscription_id, UpdateSubscriptionRequest(tag="renamed")
    )
    known(changed, {"meta"})
    assert changed.data.subscription.tag == "renamed"
    deleted = app.activity.delete_subscription(subscription.subscription_id)
    known(deleted, {"meta"})
    assert deleted.data.deleted is True
    assert app.webhooks.delete(hook.data[0].id).data.deleted is True


def refusals_raise():
    for client, call in (
        (app, lambda c: c.webhooks.create(CreateRequest(url="http://example.com/"))),
        (by_oauth2, lambda c: c.direct_messages.get_events_by_id("1")),
    ):
        try:
            call(client)
        except HTTPError as error:
            problem = error.response.json()
            assert problem["status"] == error.response.status_code, problem
            assert {"title", "detail", "type"} <= set(problem), problem
        else:
            raise AssertionError("the call should have failed")


stage.prove(
    users_have_the_documented_fields,
    messages_are_sent_with_both_kinds_of_tokens,
    look_ups_page_and_expand,
    webhooks_and_account_activity,
    activity_subscriptions,
    refusals_raise,
)
