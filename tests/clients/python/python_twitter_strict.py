"""python-twitter: a v1.1 client that insists on every field it reads."""

import twitter

import stage

api = twitter.Api(
    consumer_key=stage.CONSUMER_KEY,
    consumer_secret=stage.CONSUMER_SECRET,
    access_token_key=stage.TOKEN,
    access_token_secret=stage.TOKEN_SECRET,
    base_url=stage.URL + "/1.1",
    upload_url=stage.URL + "/1.1",
)


def credentials_are_verified():
    user = api.VerifyCredentials()
    assert user.screen_name == "acme" and str(user.id) == stage.BRAND


def a_message_is_posted():
    message = api.PostDirectMessage("strict & exact ✓", user_id=stage.CUSTOMER)
    assert message.text == "strict & exact ✓"
    assert str(message.sender_id) == stage.BRAND
    assert str(message.recipient_id) == stage.CUSTOMER
    assert int(message.created_at) > 1_600_000_000_000


def messages_are_listed():
    events = api.GetDirectMessages(count=5, return_json=True)["events"]
    assert events[0]["message_create"]["message_data"]["text"] == "strict & exact ✓"


def a_closed_inbox_is_refused():
    patch = stage.requests.patch(
        f"{stage.URL}/sim/accounts/{stage.CUSTOMER}", json={"inbox": "closed"}
    )
    assert patch.ok
    try:
        api.PostDirectMessage("x", user_id=stage.CUSTOMER)
    except twitter.TwitterError as error:
        assert error.message[0]["code"] == 349, error
    else:
        raise AssertionError("the call should have failed")


stage.prove(
    credentials_are_verified, a_message_is_posted, messages_are_listed, a_closed_inbox_is_refused
)
