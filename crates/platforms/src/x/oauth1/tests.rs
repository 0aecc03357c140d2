use proptest::prelude::*;

use super::*;

struct Account {
    consumer_secret: SecretString,
    token: SecretString,
    token_secret: SecretString,
}

/// The example of X's page "Creating a signature".
fn example_account() -> Account {
    Account {
        consumer_secret: "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw".into(),
        token: "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb".into(),
        token_secret: "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE".into(),
    }
}

fn example(url: &str) -> String {
    let account = example_account();
    let credentials = Credentials {
        consumer_key: "xvz1evFS4wEEPTGEFPHBog",
        consumer_secret: &account.consumer_secret,
        token: Some((&account.token, &account.token_secret)),
    };
    authorization(
        "post",
        &url.parse().unwrap(),
        &[(
            "status",
            "Hello Ladies + Gentlemen, a signed OAuth request!",
        )],
        &credentials,
        "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
        1_318_622_958,
    )
}

#[test]
fn published_vectors_are_reproduced_on_both_hosts() {
    for (host, signature) in [
        ("api.x.com", "Ls93hJiZbQ3akF3HF3x1Bz8/zU4="),
        ("api.twitter.com", "hCtSmYh+iHYCEqBWrE7C7hYmtUk="),
    ] {
        let header = example(&format!(
            "https://{host}/1.1/statuses/update.json?include_entities=true"
        ));
        let want = format!("oauth_signature=\"{}\"", percent_encode(signature));
        assert!(header.contains(&want), "{header}");
    }
}

#[test]
fn the_header_carries_protocol_parameters_and_no_others() {
    let header = example("https://api.x.com/1.1/statuses/update.json?include_entities=true");
    assert!(
        header.starts_with("OAuth oauth_consumer_key=\"xvz1evFS4wEEPTGEFPHBog\", oauth_nonce="),
        "{header}"
    );
    assert!(
        !header.contains("status") && !header.contains("include_entities"),
        "{header}"
    );
    assert!(
        !header.contains("LswwdoUa") && !header.contains("kAcSOqF2"),
        "{header}"
    );
}

#[test]
fn a_callback_is_signed_and_put_into_the_header() {
    let secret: SecretString = "secret".into();
    let credentials = Credentials {
        consumer_key: "key",
        consumer_secret: &secret,
        token: None,
    };
    let url: Url = "https://api.x.com/oauth/request_token".parse().unwrap();
    let callback = |value| {
        authorization(
            "POST",
            &url,
            &[("oauth_callback", value)],
            &credentials,
            "n",
            1,
        )
    };
    let header = callback("https://roost.example/oauth/x/callback?a=1");
    assert!(
        header.contains(
            "oauth_callback=\"https%3A%2F%2Froost.example%2Foauth%2Fx%2Fcallback%3Fa%3D1\""
        ),
        "{header}"
    );
    assert!(!header.contains("oauth_token="), "{header}");
    assert_ne!(
        header.split("oauth_signature").nth(1),
        callback("https://roost.example/")
            .split("oauth_signature")
            .nth(1)
    );
}

#[test]
fn the_base_string_follows_the_rfc_example() {
    // RFC 5849 §3.4.1.1, whose parameters include duplicates, empty values and encoded names.
    let url: Url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
        .parse()
        .unwrap();
    let params = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
        ("c2", ""),
        ("a3", "2 q"),
    ];
    assert_eq!(
        base_string("POST", &url, &params),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26\
         c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26\
         oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    );
}

proptest! {
    #[test]
    fn percent_encoding_leaves_unreserved_alone_and_escapes_every_other_byte(text in "\\PC{0,40}|.{0,10}") {
        let encoded = percent_encode(&text);
        let mut rest = encoded.as_bytes();
        let mut decoded = Vec::new();
        while let Some((&byte, tail)) = rest.split_first() {
            if byte == b'%' {
                let hex = std::str::from_utf8(&tail[..2]).unwrap();
                prop_assert_eq!(hex.to_uppercase(), hex);
                let value = u8::from_str_radix(hex, 16).unwrap();
                prop_assert!(!(value.is_ascii_alphanumeric() || b"-._~".contains(&value)));
                decoded.push(value);
                rest = &tail[2..];
            } else {
                prop_assert!(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
                decoded.push(byte);
                rest = tail;
            }
        }
        prop_assert_eq!(decoded, text.into_bytes());
    }

    #[test]
    fn the_order_of_parameters_does_not_matter(
        mut params in prop::collection::vec(("[a-c%&= ]{1,3}", "[a-z+%&= ]{0,4}"), 0..6)
    ) {
        let url: Url = "https://api.x.com/x".parse().unwrap();
        let base = |params: &[(String, String)]| {
            let borrowed: Vec<(&str, &str)> = params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            base_string("GET", &url, &borrowed)
        };
        let forward = base(&params);
        params.reverse();
        prop_assert_eq!(forward, base(&params));
    }
}
