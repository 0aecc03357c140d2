//! What the platform of a channel takes, and what Roost makes of it.

use roost_platforms::sandbox;
use serde::Serialize;
use utoipa::ToSchema;

/// What can be sent over a channel. `available` says whether Roost sends it today; the limits are the
/// platform's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Capabilities {
    platform: &'static str,
    text: TextLimits,
    quick_replies: QuickReplyLimits,
    buttons: ButtonLimits,
    attachments: AttachmentLimits,
    /// The customer sees that somebody is typing.
    typing: Sign,
    /// The customer sees that a message was read.
    read_receipts: Sign,
    /// The customer's reading becomes known.
    customer_reads: Sign,
    edit: Sign,
    delete: Sign,
}

/// Whether Roost does it on this channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Sign {
    available: bool,
}

/// How long a text may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TextLimits {
    /// In characters (Unicode code points).
    max_length: u32,
}

/// Options from which the customer chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct QuickReplyLimits {
    available: bool,
    max_options: u32,
    max_label_length: u32,
    max_description_length: u32,
    max_metadata_length: u32,
}

/// Links under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ButtonLimits {
    available: bool,
    max_buttons: u32,
    max_label_length: u32,
}

/// Files on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AttachmentLimits {
    available: bool,
    max_per_message: u32,
    types: Vec<AttachmentType>,
}

/// A kind of file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AttachmentType {
    r#type: &'static str,
    content_types: Vec<&'static str>,
    max_bytes: u64,
}

const MIB: u64 = 1024 * 1024;

impl Capabilities {
    /// Of a channel of this platform.
    pub(crate) fn of(platform: &str) -> Self {
        if platform == sandbox::PLATFORM {
            Self::sandbox()
        } else {
            Self::x()
        }
    }

    /// X's legacy direct messages. Texts, options and files by X's pages "Create new direct message
    /// event" (10,000 characters, 20 options, one file), "Buttons" (three, 36 characters) and "Media
    /// best practices" (5, 15 and 512 MB); the lengths of options from memory of "Quick replies".
    /// Messages can't be edited, and deleted for oneself only.
    fn x() -> Self {
        let attachment = |r#type, content_types: &[&'static str], megabytes| AttachmentType {
            r#type,
            content_types: content_types.to_vec(),
            max_bytes: megabytes * MIB,
        };
        Self {
            platform: "x",
            text: TextLimits { max_length: 10_000 },
            quick_replies: QuickReplyLimits {
                available: false,
                max_options: 20,
                max_label_length: 36,
                max_description_length: 72,
                max_metadata_length: 1_000,
            },
            buttons: ButtonLimits {
                available: false,
                max_buttons: 3,
                max_label_length: 36,
            },
            attachments: AttachmentLimits {
                available: false,
                max_per_message: 1,
                types: vec![
                    attachment("photo", &["image/jpeg", "image/png", "image/webp"], 5),
                    attachment("animated_gif", &["image/gif"], 15),
                    attachment("video", &["video/mp4", "video/quicktime"], 512),
                ],
            },
            typing: Sign { available: false },
            read_receipts: Sign { available: false },
            customer_reads: Sign { available: true },
            edit: Sign { available: false },
            delete: Sign { available: false },
        }
    }

    /// The sandbox takes a text as long as X does, and nothing else.
    fn sandbox() -> Self {
        Self {
            platform: sandbox::PLATFORM,
            quick_replies: QuickReplyLimits {
                available: false,
                max_options: 0,
                max_label_length: 0,
                max_description_length: 0,
                max_metadata_length: 0,
            },
            buttons: ButtonLimits {
                available: false,
                max_buttons: 0,
                max_label_length: 0,
            },
            attachments: AttachmentLimits {
                available: false,
                max_per_message: 0,
                types: Vec::new(),
            },
            customer_reads: Sign { available: false },
            ..Self::x()
        }
    }
}
