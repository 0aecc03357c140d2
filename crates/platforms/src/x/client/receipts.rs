//! Typing and read receipts, which exist in v1.1 only.

use super::outcome::ApiError;
use super::{Auth, Body, Call, XClient};
use crate::x::secrets::UserCredentials;

impl XClient {
    /// Shows the customer that somebody types, for about three seconds.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn indicate_typing(
        &self,
        user: &UserCredentials,
        recipient_id: &str,
    ) -> Result<(), ApiError> {
        let form = [("recipient_id", recipient_id)];
        let path = ["1.1", "direct_messages", "indicate_typing.json"];
        self.fetch(Call::post(&path, Auth::User(user), Body::Form(&form)))
            .await?;
        Ok(())
    }

    /// Shows the customer that everything up to a message of theirs was read.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn mark_read(
        &self,
        user: &UserCredentials,
        last_read_event_id: &str,
        author_id: &str,
    ) -> Result<(), ApiError> {
        let form = [
            ("last_read_event_id", last_read_event_id),
            ("recipient_id", author_id),
        ];
        let path = ["1.1", "direct_messages", "mark_read.json"];
        self.fetch(Call::post(&path, Auth::User(user), Body::Form(&form)))
            .await?;
        Ok(())
    }
}
