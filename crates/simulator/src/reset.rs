//! Breaking off: the connection is reset (RST) without a byte of an answer.
//!
//! Each connection keeps a second handle of its socket. Zero linger is set on it, then the answer's
//! body fails: the server drops the connection before it has written the head, and with zero
//! linger a close is a reset.

use std::any::Any;
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use actix_web::dev::Extensions;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

#[derive(Debug, Clone)]
struct Socket(Arc<TcpStream>);

/// To be called for each new connection.
pub(crate) fn remember_socket(connection: &dyn Any, data: &mut Extensions) {
    if let Some(tcp) = connection.downcast_ref::<actix_web::rt::net::TcpStream>()
        && let Ok(twin) = tcp.as_fd().try_clone_to_owned()
    {
        data.insert(Socket(Arc::new(TcpStream::from(twin))));
    }
}

/// An answer that resets the connection instead of answering.
pub(crate) fn answer(req: &HttpRequest) -> HttpResponse {
    if let Some(Socket(twin)) = req.conn_data::<Socket>()
        && let Ok(twin) = twin.try_clone()
        && let Ok(twin) = tokio::net::TcpStream::from_std(twin)
        && let Err(error) = twin.set_zero_linger()
    {
        tracing::warn!(%error, "cannot set zero linger, the peer will see a plain end");
    }
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    HttpResponse::Ok().streaming(stream::iter([Err::<actix_web::web::Bytes, _>(broken)]))
}
