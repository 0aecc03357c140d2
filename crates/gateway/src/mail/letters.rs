//! What our mails say.

use roost_store::mails::NewMail;
use roost_store::seal::{Place, Sealer};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// A mail before it is sealed. No `Debug`: it holds a link that opens an account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
    #[serde(skip)]
    kind: &'static str,
}

impl Letter {
    fn new(kind: &'static str, to: &str, subject: &str, text: String) -> Self {
        Self {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text,
            kind,
        }
    }

    /// Proves an address.
    pub(crate) fn verification(public_url: &str, to: &str, token: &str) -> Self {
        let text = format!(
            "Hello,\n\n\
             please confirm that this is your address:\n\n\
             {public_url}/verify-email#token={token}\n\n\
             The link is good for 24 hours and works once. If you didn't sign up for Roost, ignore this mail.\n"
        );
        Self::new("verification", to, "Confirm your address", text)
    }

    /// Allows a new password.
    pub(crate) fn reset(public_url: &str, to: &str, token: &str) -> Self {
        let text = format!(
            "Hello,\n\n\
             somebody, probably you, asked for a new password for this address:\n\n\
             {public_url}/reset-password#token={token}\n\n\
             The link is good for 30 minutes and works once. Choosing a new password signs you out everywhere.\n\
             If it wasn't you, ignore this mail: nothing has changed.\n"
        );
        Self::new("reset", to, "Choose a new password", text)
    }

    /// Tells who signed up twice that they needn't.
    pub(crate) fn has_account(public_url: &str, to: &str) -> Self {
        let text = format!(
            "Hello,\n\n\
             somebody, probably you, tried to sign up for Roost with this address. It has an account already:\n\n\
             {public_url}/sign-in\n\n\
             If you forgot the password, ask for a new one there. If it wasn't you, ignore this mail.\n"
        );
        Self::new("has_account", to, "You have an account already", text)
    }

    /// Tells that the password is another one now.
    pub(crate) fn password_changed(public_url: &str, to: &str) -> Self {
        let text = format!(
            "Hello,\n\n\
             the password of your account was changed just now, and other sessions were ended.\n\n\
             If it wasn't you, ask for a new password at once: {public_url}/sign-in\n"
        );
        Self::new("password_changed", to, "Your password was changed", text)
    }

    /// Invites to a brand.
    pub(crate) fn invitation(
        public_url: &str,
        to: &str,
        token: &str,
        brand_name: &str,
        inviter: &str,
    ) -> Self {
        let (brand, inviter) = (plain(brand_name), plain(inviter));
        let text = format!(
            "Hello,\n\n\
             {inviter} invites you to answer customers of {brand} with Roost:\n\n\
             {public_url}/accept-invitation#token={token}\n\n\
             The link is good for 72 hours and works once. If you don't know them, ignore this mail.\n"
        );
        Self::new("invitation", to, "You are invited to Roost", text)
    }

    /// As it is kept until it is sent.
    pub(crate) fn seal(&self, sealer: &Sealer) -> Result<NewMail, Problem> {
        let id = Uuid::now_v7();
        let bytes = serde_json::to_vec(self).map_err(|e| Problem::caused(Code::Internal, e))?;
        Ok(NewMail {
            id,
            kind: self.kind,
            body: sealer
                .install()
                .seal(&Place::new("mails", "body", &[id.as_bytes()]), &bytes)?,
        })
    }

    /// What was sealed.
    pub(super) fn open(sealer: &Sealer, id: Uuid, sealed: &[u8]) -> Result<Self, Problem> {
        let place = [id.as_bytes().as_slice()];
        let place = Place::new("mails", "body", &place);
        let bytes = sealer.install().open(&place, sealed)?;
        serde_json::from_slice(&bytes).map_err(|e| Problem::caused(Code::Internal, e))
    }
}

/// A name without what could become a link or a second line.
fn plain(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(|c| {
            let is_plain = c.is_alphanumeric() || matches!(c, '-' | '\'' | '&' | '(' | ')');
            if is_plain { c } else { ' ' }
        })
        .take(80)
        .collect();
    let words: Vec<&str> = kept.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brands_name_smuggles_no_link_into_a_mail() {
        let letter = Letter::invitation(
            "https://roost.example",
            "a@b.example",
            "secret",
            "Win https://evil.example/x\r\nnow",
            "Olivia <o@evil.example>",
        );
        assert_eq!(letter.text.matches("https://").count(), 1);
        assert!(!letter.text.contains("evil.example"));
        assert!(
            letter
                .text
                .contains("customers of Win https evil example x now with")
        );
    }
}
