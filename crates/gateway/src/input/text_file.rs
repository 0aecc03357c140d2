//! Bodies that are a file of text.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};

use super::body::read;
use crate::problem::{Code, Problem};

/// What kind of file an address takes.
pub(crate) trait FileKind: 'static {
    /// Its media type.
    const MEDIA_TYPE: &'static str;
    /// How large it may be, in bytes.
    const MAX_BYTES: usize;
}

/// A file of text in UTF-8.
#[derive(Debug)]
pub(crate) struct TextFile<K>(pub(crate) String, PhantomData<K>);

impl<K: FileKind> FromRequest for TextFile<K> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&request, payload, K::MAX_BYTES).await?;
            let is_of_kind = request.content_type().eq_ignore_ascii_case(K::MEDIA_TYPE);
            if request.headers().contains_key(CONTENT_TYPE) && !is_of_kind {
                let detail = format!("Send it as {}", K::MEDIA_TYPE);
                return Err(Problem::with(Code::UnsupportedMediaType, detail));
            }
            let text = String::from_utf8(bytes.to_vec()).map_err(|error| {
                Problem::at(
                    Code::InvalidRequest,
                    "",
                    format!("must be UTF-8: {}", error.utf8_error()),
                )
            })?;
            Ok(Self(text, PhantomData))
        })
    }
}
