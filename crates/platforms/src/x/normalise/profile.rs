//! The people of an event, in either of the two shapes that X writes.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::x::wire;

/// What X said about an account, as far as it said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// X's id.
    pub id: String,
    /// The display name.
    pub name: Option<String>,
    /// The handle without `@`.
    pub handle: Option<String>,
    /// The picture, always an `https` URL.
    pub avatar_url: Option<String>,
}

/// The profiles that came with an event. Empty when X sent none.
#[derive(Debug, Clone, Default)]
pub struct Profiles(HashMap<String, Profile>);

/// The flat v1.1 user of Account Activity and the v2 user have no field in common but `id` and `name`.
#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    screen_name: Option<&'a RawValue>,
    #[serde(borrow)]
    username: Option<&'a RawValue>,
    #[serde(borrow)]
    profile_image_url_https: Option<&'a RawValue>,
    #[serde(borrow)]
    profile_image_url: Option<&'a RawValue>,
}

impl Profiles {
    /// Reads a users map; entries that can't be used are left out.
    #[must_use]
    pub fn read(users: Option<&RawValue>) -> Self {
        let map = users.and_then(wire::map_of).unwrap_or_default();
        let profiles = map.iter().filter_map(|(key, user)| {
            let id = wire::parse_id(key)?.to_string();
            Some((id.clone(), profile(id, user)?))
        });
        Self(profiles.collect())
    }

    /// Of one account only.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        Self(HashMap::from([(profile.id.clone(), profile)]))
    }

    /// The profile of one account.
    #[must_use]
    pub fn profile(&self, id: &str) -> Option<&Profile> {
        self.0.get(id)
    }
}

fn profile(id: String, user: &RawValue) -> Option<Profile> {
    let outer: User<'_> = wire::object_of(user)?;
    let user = match outer.data {
        Some(data) => wire::object_of(data)?,
        None => outer,
    };
    let text = |raw: Option<&RawValue>| {
        raw.and_then(wire::text_of)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let picture = |raw| text(raw).filter(|url| url.starts_with("https://"));
    let profile = Profile {
        id,
        name: text(user.name),
        handle: text(user.screen_name).or_else(|| text(user.username)),
        avatar_url: picture(user.profile_image_url_https)
            .or_else(|| picture(user.profile_image_url)),
    };
    (profile.name.is_some() || profile.handle.is_some()).then_some(profile)
}
