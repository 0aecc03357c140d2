//! The role over HTTP, with a real broker and a real database.

#[cfg(test)]
mod apps;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod support;
#[cfg(test)]
mod webhooks;
