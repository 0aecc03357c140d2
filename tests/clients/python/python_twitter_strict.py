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


def a_wrong_secret_is_refused():
    other = twitter.Api(
        stage.CONSUMER_KEY, stage.CONSUMER_SECRET, stage.TOKEN, "wrong", base_url=stage.URL + "/1.1"
    )
    try:
        other.VerifyCredentials()
    except twitter.TwitterError as error:
        assert error.message[0]["code"] == 32, error
    else:
        raise AssertionError("the call should have failed")


stage.prove(credentials_are_verified, a_message_is_posted, a_wrong_secret_is_refused)
