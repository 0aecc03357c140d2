//! One request as a handler sees it, and how handlers become routes.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, Resource, Route, web};
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::ids::AccountId;
use crate::limits::{Family, Quota};
use crate::oauth::decode_form;
use crate::oauth::verify::{self, Caller};
use crate::state::Sim;

/// What a handler answers.
pub(crate) type Answer = Result<HttpResponse, ApiError>;

/// A request with its whole body and the simulator it is for.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) sim: Arc<Sim>,
    pub(crate) req: HttpRequest,
    pub(crate) body: web::Bytes,
}

impl Call {
    /// Whoever calls, or the refusal.
    pub(crate) fn caller(&self) -> Result<Caller, ApiError> {
        verify::caller(&self.sim, &self.req, &self.body)
    }

    /// The account that calls; the app's own token is refused.
    pub(crate) fn user(&self) -> Result<AccountId, ApiError> {
        match self.caller()? {
            Caller::User(account) => Ok(account),
            Caller::App => Err(ApiError::wrong_auth_kind()),
        }
    }

    /// Only the app's own token is let in.
    pub(crate) fn app(&self) -> Result<(), ApiError> {
        match self.caller()? {
            Caller::App => Ok(()),
            Caller::User(_) => Err(ApiError::wrong_auth_kind()),
        }
    }

    /// Counts the call against a limit; every answer then carries the `x-rate-limit-*` headers.
    pub(crate) fn spend(&self, family: Family, account: AccountId) -> Result<(), ApiError> {
        let quota = self.sim.change(|world| world.limits.take(family, account));
        let refused = quota.is_exhausted();
        self.req.extensions_mut().insert(quota);
        if refused {
            Err(ApiError::rate_limited())
        } else {
            Ok(())
        }
    }

    /// The body as JSON of a known shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::invalid_request(format!("The body is invalid: {error}")))
    }

    /// The body as form fields, whatever its content type.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        decode_form(&String::from_utf8_lossy(&self.body))
    }

    /// A query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let pairs = decode_form(self.req.uri().query().unwrap_or_default());
        pairs
            .into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// A form field, else a query parameter: v1.1 takes both.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let form = self.form().into_iter().find(|(key, _)| key == name);
        form.map(|(_, value)| value).or_else(|| self.query(name))
    }

    /// A parsed query parameter, `None` when it isn't there.
    pub(crate) fn query_as<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.query(name) else {
            return Ok(None);
        };
        let bad = || {
            ApiError::invalid_request(format!(
                "The `{name}` query parameter value [{text}] is not valid"
            ))
        };
        text.parse().map(Some).map_err(|_| bad())
    }

    /// A parsed part of the path.
    pub(crate) fn path<T: FromStr>(&self, name: &str) -> Result<T, ApiError> {
        let text = self.req.match_info().get(name).unwrap_or_default();
        text.strip_suffix(".json")
            .unwrap_or(text)
            .parse()
            .map_err(|_| {
                ApiError::invalid_request(format!(
                    "The `{name}` path parameter value [{text}] is not valid"
                ))
            })
    }
}

/// A path with its routes; a method that it doesn't know gets the platform's kind of answer too.
pub(crate) fn resource(path: impl AsRef<str>) -> Resource {
    web::resource(path.as_ref()).default_service(web::to(|req: HttpRequest| async move {
        ApiError::method_not_allowed().response(req.path())
    }))
}

/// A route whose handler answers at once.
pub(crate) fn now(method: Method, handler: fn(&Call) -> Answer) -> Route {
    later(method, move |call| {
        let answer = handler(&call);
        async move { answer }
    })
}

/// A route whose handler waits for something.
pub(crate) fn later<F, Fut>(method: Method, handler: F) -> Route
where
    F: Fn(Call) -> Fut + Clone + 'static,
    Fut: Future<Output = Answer> + 'static,
{
    web::method(method).to(
        move |sim: web::Data<Sim>, req: HttpRequest, body: web::Bytes| {
            let answer = handler(Call {
                sim: sim.into_inner(),
                req: req.clone(),
                body,
            });
            async move {
                let mut response = answer
                    .await
                    .unwrap_or_else(|error| error.response(req.path()));
                if let Some(quota) = req.extensions().get::<Quota>() {
                    quota.stamp(response.headers_mut());
                }
                response
            }
        },
    )
}
