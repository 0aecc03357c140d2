//! The one door for changes: the transaction of the effect also keeps the answer, so that a request
//! that is repeated with the same `Idempotency-Key` has its effect once and gets the same answer.

use actix_web::http::header::{ETAG, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use roost_store::idempotency::{self, Begun, KeptAnswer, RequestKey};
use roost_store::seal::{Place, Sealer};
use roost_store::tx::Work;
use roost_store::{BrandTx, StoreError};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::actor::Actor;
use crate::app::App;
use crate::problem::{Code, Problem};

/// The SHA-256 of a request's body, left by who read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyHash(pub(crate) [u8; 32]);

const HEADER: &str = "idempotency-key";
/// Longest key, in bytes.
const MAX_KEY: usize = 255;

/// What a change answers.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Option<Value>,
    etag: Option<String>,
    once: &'static [&'static str],
}

impl Answer {
    /// 200 with a body.
    pub(crate) fn ok(view: &impl Serialize) -> Result<Self, Problem> {
        Self::with(StatusCode::OK, view)
    }

    /// 201 with a body.
    pub(crate) fn created(view: &impl Serialize) -> Result<Self, Problem> {
        Self::with(StatusCode::CREATED, view)
    }

    /// 204.
    pub(crate) fn nothing() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: None,
            etag: None,
            once: &[],
        }
    }

    /// A status with a body.
    pub(crate) fn with(status: StatusCode, view: &impl Serialize) -> Result<Self, Problem> {
        let body =
            serde_json::to_value(view).map_err(|error| Problem::caused(Code::Internal, error))?;
        Ok(Self {
            status,
            body: Some(body),
            etag: None,
            once: &[],
        })
    }

    /// With the version of the thing as its `ETag`.
    pub(crate) fn version(self, version: i64) -> Self {
        Self {
            etag: Some(format!("\"{version}\"")),
            ..self
        }
    }

    /// These fields are secrets, shown now and never again: a repeated request is answered without
    /// them, and with `secret_shown_once`.
    pub(crate) fn shown_once(self, fields: &'static [&'static str]) -> Self {
        Self {
            once: fields,
            ..self
        }
    }

    fn kept(&self) -> Option<Value> {
        let mut body = self.body.clone()?;
        if let Some(body) = body.as_object_mut().filter(|_| !self.once.is_empty()) {
            for field in self.once {
                body.remove(*field);
            }
            body.insert("secret_shown_once".to_owned(), Value::Bool(true));
        }
        Some(body)
    }

    /// The response, where nothing was changed.
    pub(crate) fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(etag) = self.etag {
            response.insert_header((ETAG, etag));
        }
        match self.body {
            Some(body) => response.json(body),
            None => response.finish(),
        }
    }
}

/// How the work of a request ended in its transaction.
enum Ended {
    Answered(Answer),
    /// Refused after it had begun: its effects are undone, the refusal is kept.
    Refused(Problem),
    /// It was answered before: with this, and this body.
    Before(KeptAnswer, Option<Vec<u8>>),
}

impl Actor {
    /// Runs the work of a request in one transaction of the caller's brand and makes its answer.
    ///
    /// With an `Idempotency-Key` on a POST the answer is kept for 24 h, refusals too; a fault of ours
    /// keeps nothing. The work must have no effect outside of the transaction.
    pub(crate) async fn write<F>(&self, app: &App, work: F) -> Result<HttpResponse, Problem>
    where
        F: for<'t> FnOnce(&'t mut BrandTx) -> Work<'t, Answer, Problem> + Send + 'static,
    {
        let Some(key) = self.request_key()? else {
            let answer = app.store.brand(self.brand, work).await?;
            return Ok(answer.response());
        };
        let sealer = app.sealer.clone();
        let request_id = self.request_id.clone();
        let ended = app
            .store
            .brand(self.brand, move |tx| {
                Box::pin(async move {
                    match idempotency::begin(tx, &key).await {
                        Ok(Begun::First) => {}
                        Ok(Begun::Answered(kept)) => {
                            let body = open(tx, &sealer, &key, &kept).await?;
                            return Ok(Ended::Before(kept, body));
                        }
                        Ok(Begun::Reused) => {
                            return Err(Problem::new(Code::IdempotencyKeyReused));
                        }
                        Err(StoreError::Conflict(_)) => {
                            return Err(Problem::new(Code::IdempotencyInProgress).retry_after(1));
                        }
                        Err(error) => return Err(error.into()),
                    }
                    tx.mark().await?;
                    let ended = match work(tx).await {
                        Ok(answer) => Ended::Answered(answer),
                        Err(problem) if problem.is_final() => {
                            tx.undo().await?;
                            Ended::Refused(problem)
                        }
                        Err(problem) => return Err(problem),
                    };
                    let kept = keep(tx, &sealer, &key, &ended, &request_id).await?;
                    idempotency::keep(tx, &key, &kept).await?;
                    Ok::<_, Problem>(ended)
                })
            })
            .await?;
        match ended {
            Ended::Answered(answer) => Ok(answer.response()),
            Ended::Refused(problem) => Err(problem),
            Ended::Before(kept, body) => repeat(kept, body),
        }
    }

    /// The request's key, where it has one that counts.
    fn request_key(&self) -> Result<Option<RequestKey>, Problem> {
        let request = &self.request;
        let Some(key) = key_of(request)? else {
            return Ok(None);
        };
        let body = request.extensions().get::<BodyHash>().copied();
        let mut hash = Sha256::new();
        hash.update(request.uri().to_string());
        hash.update([0]);
        hash.update(body.map_or([0; 32], |hash| hash.0));
        Ok(Some(RequestKey {
            actor: self.member,
            route: format!("POST {}", request.match_pattern().unwrap_or_default()),
            key: key.to_owned(),
            hash: hash.finalize().to_vec(),
        }))
    }
}

/// The `Idempotency-Key` of a POST; elsewhere it means nothing. The gate asks too, so that a bad one is
/// refused by every operation.
pub(super) fn key_of(request: &HttpRequest) -> Result<Option<&str>, Problem> {
    let key = request.headers().get(HEADER);
    let Some(key) = key.filter(|_| request.method() == Method::POST) else {
        return Ok(None);
    };
    let key = key.to_str().unwrap_or_default();
    let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > MAX_KEY || !is_plain {
        let detail = format!("Idempotency-Key must have 1 to {MAX_KEY} visible ASCII characters");
        return Err(Problem::with(Code::InvalidRequest, detail));
    }
    Ok(Some(key))
}

/// Where an answer's body is kept.
fn parts(key: &RequestKey) -> [&[u8]; 3] {
    let actor = key.actor.0.as_bytes().as_slice();
    [actor, key.route.as_bytes(), key.key.as_bytes()]
}

async fn keep(
    tx: &mut BrandTx,
    sealer: &Sealer,
    key: &RequestKey,
    ended: &Ended,
    request_id: &str,
) -> Result<KeptAnswer, Problem> {
    let (status, body, etag) = match ended {
        Ended::Answered(answer) => (answer.status.as_u16(), answer.kept(), answer.etag.clone()),
        Ended::Refused(problem) => (
            problem.code().status(),
            Some(problem.body(Some(request_id))),
            None,
        ),
        Ended::Before(kept, _) => return Ok(kept.clone()),
    };
    let body = match body {
        Some(body) => {
            let sealer = sealer.brand(tx).await?;
            let parts = parts(key);
            let place = Place::new("idempotency", "body", &parts);
            Some(sealer.seal(&place, body.to_string().as_bytes())?)
        }
        None => None,
    };
    Ok(KeptAnswer { status, body, etag })
}

async fn open(
    tx: &mut BrandTx,
    sealer: &Sealer,
    key: &RequestKey,
    kept: &KeptAnswer,
) -> Result<Option<Vec<u8>>, Problem> {
    let Some(sealed) = &kept.body else {
        return Ok(None);
    };
    let sealer = sealer.brand(tx).await?;
    let parts = parts(key);
    let place = Place::new("idempotency", "body", &parts);
    Ok(Some(sealer.open(&place, sealed)?))
}

fn repeat(kept: KeptAnswer, body: Option<Vec<u8>>) -> Result<HttpResponse, Problem> {
    let status = StatusCode::from_u16(kept.status)
        .map_err(|error| Problem::caused(Code::Internal, error))?;
    let mut response = HttpResponse::build(status);
    response.insert_header(("idempotency-replayed", HeaderValue::from_static("true")));
    if let Some(etag) = kept.etag {
        response.insert_header((ETAG, etag));
    }
    let Some(body) = body else {
        if status == StatusCode::NO_CONTENT {
            return Ok(response.finish());
        }
        // It spoke of somebody who was erased since; what it did stays done.
        return Err(Problem::with(
            Code::Erased,
            "It was done before; what was answered then was erased",
        ));
    };
    response.content_type(if status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    });
    Ok(response.body(body))
}
