//! Calls to addresses that users give: webhook endpoints, media.
//!
//! What it is for: that nobody can make this house call what only this house reaches. Names are resolved
//! here, every address is checked, and the connection goes to a checked address. What it must not know:
//! what is sent, to whom, and why.
//!
//! Start reading at [`Guard::check_url`] (when an address is saved), then [`Client::send`] (when it is
//! called).

mod address;
mod client;
mod error;
mod guard;
mod resolver;

pub use address::AddressClass;
pub use client::{Answer, BuildError, Client, Request, Settings};
pub use error::{Phase, SendError, TlsFault};
pub use guard::{BadOwnHost, Guard, RefusedUrl};
pub use reqwest::{Method, header};
