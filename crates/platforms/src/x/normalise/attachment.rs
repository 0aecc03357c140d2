//! What hangs on a message: a picture, a film, a place.

use serde_json::Value;

/// The kind of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentKind {
    /// A picture.
    Photo,
    /// A GIF, delivered as a film without sound.
    AnimatedGif,
    /// A film.
    Video,
    /// A place.
    Location,
    /// A kind that X introduced later, by X's name.
    Other(String),
}

impl AttachmentKind {
    fn named(name: &str) -> Self {
        match name {
            "photo" => Self::Photo,
            "animated_gif" => Self::AnimatedGif,
            "video" => Self::Video,
            "location" => Self::Location,
            other => Self::Other(other.chars().take(64).collect()),
        }
    }

    /// X's name for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Photo => "photo",
            Self::AnimatedGif => "animated_gif",
            Self::Video => "video",
            Self::Location => "location",
            Self::Other(name) => name,
        }
    }
}

/// One attachment of a message. X allows one.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// What it is.
    pub kind: AttachmentKind,
    /// X's id of the medium; a place has none.
    pub media_id: Option<String>,
    /// Where the best version lies. Pictures of DMs need a request signed for a participant (X,
    /// "Retrieving media"), so this is never an address for a browser.
    pub source_url: Option<String>,
    /// The still of a film.
    pub preview_url: Option<String>,
    /// The MIME type, where X names it.
    pub content_type: Option<String>,
    /// Pixels of the largest size.
    pub width: Option<u32>,
    /// Pixels of the largest size.
    pub height: Option<u32>,
    /// The `t.co` link by which the text names this attachment.
    pub text_link: Option<String>,
    /// The attachment as X sent it.
    pub raw: Value,
}

/// Reads `message_data.attachment`. Something of an unknown shape is still an attachment.
pub(super) fn read(raw: Value) -> Option<Attachment> {
    if !raw.is_object() {
        return None;
    }
    let declared = raw["type"].as_str().unwrap_or("unknown").to_owned();
    let media = &raw["media"];
    if !media.is_object() {
        return Some(Attachment {
            kind: AttachmentKind::named(&declared),
            media_id: None,
            source_url: None,
            preview_url: None,
            content_type: None,
            width: None,
            height: None,
            text_link: None,
            raw,
        });
    }
    let still = url_in(&media["media_url_https"]).or_else(|| url_in(&media["media_url"]));
    let film = best_variant(&media["video_info"]["variants"]);
    let (width, height) = largest(&media["sizes"]);
    Some(Attachment {
        kind: AttachmentKind::named(media["type"].as_str().unwrap_or(&declared)),
        media_id: media_id(media),
        source_url: film
            .as_ref()
            .map(|(url, _)| url.clone())
            .or_else(|| still.clone()),
        preview_url: film.as_ref().and(still),
        content_type: film.and_then(|(_, content_type)| content_type),
        width,
        height,
        text_link: url_in(&media["url"]),
        raw,
    })
}

/// `id_str` alone is exact: the number beside it was rounded in some captures.
fn media_id(media: &Value) -> Option<String> {
    let id = media["id_str"].as_str().map(str::to_owned);
    id.or_else(|| media["id"].as_str().map(str::to_owned))
        .or_else(|| media["id"].as_u64().map(|id| id.to_string()))
        .filter(|id| (1..=32).contains(&id.len()))
}

/// The MP4 of the highest bit rate, for variants come unsorted and playlists have none; else whatever
/// comes first.
fn best_variant(variants: &Value) -> Option<(String, Option<String>)> {
    let usable = variants.as_array()?.iter().filter_map(|variant| {
        let content_type = variant["content_type"].as_str().map(str::to_owned);
        let is_mp4 = content_type.as_deref() == Some("video/mp4");
        let rate = variant["bitrate"].as_u64().unwrap_or(0);
        Some(((is_mp4, rate), (url_in(&variant["url"])?, content_type)))
    });
    usable
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, variant)| variant)
}

fn largest(sizes: &Value) -> (Option<u32>, Option<u32>) {
    let pixels = |size: &Value| {
        let side = |name: &str| size[name].as_u64().and_then(|px| u32::try_from(px).ok());
        side("w").zip(side("h"))
    };
    let found = ["large", "medium", "small"]
        .iter()
        .find_map(|name| pixels(&sizes[*name]));
    found.unzip()
}

fn url_in(value: &Value) -> Option<String> {
    let url = value.as_str()?;
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    (is_web && url.len() <= 2048).then(|| url.to_owned())
}
