//! What the demo's customers have on their minds.

/// Someone who writes now and then.
#[derive(Debug)]
pub(super) struct Persona {
    pub(super) handle: &'static str,
    pub(super) name: &'static str,
    pub(super) stories: &'static [Story],
}

/// One matter: how it begins, and what is said after each reply.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) opening: &'static str,
    /// Sends a photo with the opening.
    pub(super) photo: bool,
    pub(super) lines: &'static [&'static str],
}

pub(super) const PERSONAS: [Persona; 5] = [
    Persona {
        handle: "maya_rides",
        name: "Maya Okafor",
        stories: &[
            Story {
                opening: "Hi! My parcel says \"out for delivery\" since Tuesday 📦 Order 48213. Any idea?",
                photo: false,
                lines: &[
                    "Oakfield Road 7, second floor. The bell works, promise 😅",
                    "Tomorrow before noon would be great.",
                    "Perfect, thank you so much!",
                ],
            },
            Story {
                opening: "Me again: can I add a second helmet to the order I placed this morning?",
                photo: false,
                lines: &["The red one, size M.", "You're the best 🚲"],
            },
        ],
    },
    Persona {
        handle: "jonas_lindt",
        name: "Jonas Lindt",
        stories: &[
            Story {
                opening: "The lamp arrived like this. What can we do?",
                photo: true,
                lines: &[
                    "I'd rather have a new one than the money back.",
                    "Order 47990, and the box is still here if you need it.",
                    "Great service, thanks!",
                ],
            },
            Story {
                opening: "Is the desk https://example.com/desks/oak-140 coming back in stock?",
                photo: false,
                lines: &["Then please tell me when it does.", "Thank you."],
            },
        ],
    },
    Persona {
        handle: "priya_codes",
        name: "Priya Raman",
        stories: &[
            Story {
                opening: "I was charged twice for my subscription this month 😕",
                photo: false,
                lines: &[
                    "Both on the 3rd, 9.99 each. The card ends in 4412.",
                    "Okay, how long does a refund take?",
                    "That works. Have a nice day!",
                ],
            },
            Story {
                opening: "How do I change the e-mail address of my account? The link in the settings goes nowhere.",
                photo: false,
                lines: &["I'm on the app, version 5.2.", "Found it, thanks 🙌"],
            },
        ],
    },
    Persona {
        handle: "sofiamarin_",
        name: "Sofía Marín",
        stories: &[
            Story {
                opening: "¡Hola! ¿Hacen envíos a Canarias? No lo veo en la web.",
                photo: false,
                lines: &[
                    "¿Y cuánto tarda más o menos?",
                    "Genial, ¡muchas gracias! 🌞",
                ],
            },
            Story {
                opening: "The voucher SUMMER15 says it has expired, but your post says it runs until Sunday?",
                photo: false,
                lines: &[
                    "Yes, with the app and on the site, both the same.",
                    "It works now. Gracias!",
                ],
            },
        ],
    },
    Persona {
        handle: "grumpy_gus",
        name: "Gus Weatherby",
        stories: &[
            Story {
                opening: "Third time I'm asking. Where is my refund??",
                photo: false,
                lines: &[
                    "I have sent the order number twice already. 45120. FORTY-FIVE ONE-TWENTY.",
                    "And when exactly is \"soon\"?",
                    "Fine. I'll wait until Friday.",
                ],
            },
            Story {
                opening: "Your phone line has been playing the same song for 40 minutes.",
                photo: false,
                lines: &[
                    "I just want to cancel the service visit on Monday.",
                    "Good. Bye.",
                ],
            },
        ],
    },
];
