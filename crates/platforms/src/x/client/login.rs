//! How an account comes to trust our app: OAuth 1.0a in three legs (X, "3-legged OAuth flow").

use percent_encoding::percent_decode_str;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};

use super::outcome::ApiError;
use super::{Auth, Body, Call, XClient};
use crate::x::oauth1::percent_encode;
use crate::x::secrets::UserCredentials;
use crate::x::wire;

/// The first leg: goes into the address to which the browser is sent.
#[derive(Debug, Clone)]
pub struct RequestToken {
    /// `oauth_token`, public.
    pub token: String,
    /// Stays here, for the third leg.
    pub secret: SecretString,
}

/// The third leg: lasting access to an account.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// What signs from now on.
    pub credentials: UserCredentials,
    /// X's id of the account.
    pub user_id: String,
    /// Its handle at that moment.
    pub screen_name: String,
}

/// The account that a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// X's id.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The handle without `@`.
    pub handle: String,
    /// The picture.
    pub avatar_url: Option<String>,
}

impl XClient {
    /// Asks for a request token; X will send the browser back to `callback`.
    ///
    /// # Errors
    /// [`ApiError`]; `Unexpected` also when X doesn't confirm the callback.
    pub async fn request_token(&self, callback: &str) -> Result<RequestToken, ApiError> {
        let call = Call {
            oauth: &[("oauth_callback", callback)],
            ..Call::post(&["oauth", "request_token"], Auth::App, Body::None)
        };
        let reply = self.fetch(call).await?;
        let fields = Fields::read(&reply.body);
        if fields.get("oauth_callback_confirmed") != Some("true") {
            return Err(ApiError::Unexpected("oauth_callback_confirmed"));
        }
        Ok(RequestToken {
            token: fields.need("oauth_token")?.to_owned(),
            secret: fields.need("oauth_token_secret")?.into(),
        })
    }

    /// Trades the verifier, which the browser brought back, for access.
    ///
    /// # Errors
    /// [`ApiError`]; `Refused` when the verifier is wrong or used.
    pub async fn access_token(
        &self,
        request: &RequestToken,
        verifier: &str,
    ) -> Result<AccessToken, ApiError> {
        let signer = UserCredentials {
            token: request.token.as_str().into(),
            secret: request.secret.clone(),
        };
        let call = Call {
            oauth: &[("oauth_verifier", verifier)],
            ..Call::post(&["oauth", "access_token"], Auth::User(&signer), Body::None)
        };
        let reply = self.fetch(call).await?;
        let fields = Fields::read(&reply.body);
        let user_id =
            wire::parse_id(fields.need("user_id")?).ok_or(ApiError::Unexpected("user_id"))?;
        Ok(AccessToken {
            credentials: UserCredentials {
                token: fields.need("oauth_token")?.into(),
                secret: fields.need("oauth_token_secret")?.into(),
            },
            user_id: user_id.to_string(),
            screen_name: fields.get("screen_name").unwrap_or_default().to_owned(),
        })
    }

    /// Whose token this is, which also proves that it works.
    ///
    /// # Errors
    /// [`ApiError`]; `Refused` with `reauth_required` for a dead token.
    pub async fn users_me(&self, user: &UserCredentials) -> Result<Me, ApiError> {
        let call = Call {
            query: &[("user.fields", "profile_image_url")],
            ..Call::get(&["2", "users", "me"], Auth::User(user))
        };
        let document = self.fetch_json(call).await?;
        let data = &document["data"];
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        let id = data["id"]
            .as_str()
            .and_then(wire::parse_id)
            .ok_or(ApiError::Unexpected("data.id"))?;
        Ok(Me {
            id: id.to_string(),
            name: text("name"),
            handle: text("username"),
            avatar_url: data["profile_image_url"].as_str().map(str::to_owned),
        })
    }

    /// The app's own bearer token, for webhook calls. Never valid for messages.
    ///
    /// # Errors
    /// [`ApiError`]; `Refused` when key or secret are wrong.
    pub async fn app_bearer(&self) -> Result<SecretString, ApiError> {
        let request = self
            .http
            .request(Method::POST, self.url(&["oauth2", "token"]))
            .basic_auth(
                percent_encode(&self.consumer_key),
                Some(percent_encode(self.consumer_secret.expose_secret())),
            )
            .form(&[("grant_type", "client_credentials")]);
        let document = Self::successful(Self::answer(request).await?)?.json()?;
        let token = document["access_token"]
            .as_str()
            .filter(|token| !token.is_empty());
        token
            .map(Into::into)
            .ok_or(ApiError::Unexpected("access_token"))
    }
}

/// An answer in the form encoding, which only the login calls use.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let decode = |text: &str| {
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = body
            .trim()
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    fn need(&self, name: &'static str) -> Result<&str, ApiError> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or(ApiError::Unexpected(name))
    }
}
