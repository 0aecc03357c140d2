//! Bad days: what goes wrong on purpose, how often and for whom.
//!
//! A rule names one kind of fault. Rules about the answer of a send exclude each other (the first
//! that fires wins); rules about echoes and deliveries add up.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::ids::AccountId;
use crate::random::Dice;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// 429 with a spent budget; `ms` until the reset (default 2,000).
    #[serde(rename = "send_429")]
    Send429,
    /// 503 with code 130, and nothing was taken.
    #[serde(rename = "send_500_before")]
    Send500Before,
    /// 500 with code 131, though the message was taken.
    #[serde(rename = "send_500_after")]
    Send500After,
    /// The message is taken, the answer comes `ms` later (default 60,000).
    SendHangAfter,
    /// The message is taken, the connection is reset without an answer.
    SendResetAfter,
    /// The connection is reset and nothing was taken.
    SendResetBefore,
    /// The message is taken, the answer is 200 without a body.
    SendEmpty,
    /// The message is taken, the answer is 200 with half a document.
    SendGarbage,
    /// The sender's own copy of what it sends never comes.
    EchoWithhold,
    /// The echo comes `ms` later (default 5,000).
    EchoDelay,
    /// The echo comes before the answer.
    EchoFirst,
    /// Deliveries come `copies` times in all (default: 2 to 5 at random).
    DeliverDuplicate,
    /// Deliveries wait at random up to `ms` (default 2,000), so that they change places.
    DeliverReorder,
    /// Deliveries wait `ms` (default 2,000).
    DeliverDelay,
    /// Deliveries are lost: no attempt, no retry.
    DeliverDrop,
    /// Look-ups answer 429.
    #[serde(rename = "lookup_429")]
    Lookup429,
    /// Look-ups answer 503.
    #[serde(rename = "lookup_500")]
    Lookup500,
}

/// One rule of `/sim/faults`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    /// How often it may still fire; absent = for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    /// How likely it fires, 0 to 1; absent = 1.
    #[serde(default = "always")]
    probability: f64,
    /// Only for this account (the sender of a send, the receiver of a delivery); absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_id: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copies: Option<u64>,
    /// How often it fired.
    #[serde(default)]
    fired: u64,
}

fn always() -> f64 {
    1.0
}

/// What the answer of a send does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnswerFault {
    RateLimited,
    ErrorBefore,
    ErrorAfter,
    HangAfter,
    ResetAfter,
    ResetBefore,
    Empty,
    Garbage,
}

/// What happens around one send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SendPlan {
    pub(crate) answer: Option<AnswerFault>,
    /// Parameter of the answer's fault.
    pub(crate) answer_ms: u64,
    pub(crate) echo_withheld: bool,
    pub(crate) echo_delay_ms: u64,
    pub(crate) echo_first: bool,
}

impl SendPlan {
    /// The answer's fault for the log of sends.
    pub(crate) fn name(&self) -> Option<AnswerFault> {
        self.answer
    }
}

/// What happens to one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliveryPlan {
    /// Waits of each copy in milliseconds; none at all when the delivery is lost.
    pub(crate) delays_ms: Vec<u64>,
}

/// All rules.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: VecDeque<Rule>,
    dice: Dice,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rules: VecDeque::new(),
            dice: Dice::new(seed),
        }
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    pub(crate) fn add(&mut self, rule: Rule) {
        self.rules.push_back(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Rolls every rule that `wanted` accepts; those that fire are counted down.
    fn fire(
        &mut self,
        account: AccountId,
        first_only: bool,
        wanted: fn(Kind) -> bool,
    ) -> Vec<Rule> {
        let mut fired = Vec::new();
        for rule in &mut self.rules {
            let applies = wanted(rule.kind)
                && rule.remaining != Some(0)
                && rule.account_id.is_none_or(|only| only == account);
            if !applies || !self.dice.hits(rule.probability) {
                continue;
            }
            rule.fired += 1;
            rule.remaining = rule.remaining.map(|left| left - 1);
            fired.push(rule.clone());
            if first_only {
                break;
            }
        }
        fired
    }

    /// Decides about a send of `sender`.
    pub(crate) fn send(&mut self, sender: AccountId) -> SendPlan {
        let mut plan = SendPlan::default();
        if let Some(rule) = self
            .fire(sender, true, |kind| answer_fault(kind).is_some())
            .first()
        {
            plan.answer = answer_fault(rule.kind);
            let default = if rule.kind == Kind::Send429 {
                2_000
            } else {
                60_000
            };
            plan.answer_ms = rule.ms.unwrap_or(default);
        }
        let is_echo = |kind| matches!(kind, Kind::EchoWithhold | Kind::EchoDelay | Kind::EchoFirst);
        for rule in self.fire(sender, false, is_echo) {
            plan.echo_withheld |= rule.kind == Kind::EchoWithhold;
            plan.echo_first |= rule.kind == Kind::EchoFirst;
            if rule.kind == Kind::EchoDelay {
                plan.echo_delay_ms += rule.ms.unwrap_or(5_000);
            }
        }
        plan
    }

    /// Decides about a delivery for `receiver`.
    pub(crate) fn delivery(&mut self, receiver: AccountId) -> DeliveryPlan {
        let is_delivery = |kind| {
            matches!(
                kind,
                Kind::DeliverDuplicate
                    | Kind::DeliverReorder
                    | Kind::DeliverDelay
                    | Kind::DeliverDrop
            )
        };
        let fired = self.fire(receiver, false, is_delivery);
        let of = |kind| fired.iter().filter(move |rule| rule.kind == kind);
        if of(Kind::DeliverDrop).next().is_some() {
            return DeliveryPlan {
                delays_ms: Vec::new(),
            };
        }
        let copies = of(Kind::DeliverDuplicate)
            .next_back()
            .map(|rule| rule.copies);
        let delay_ms: u64 = of(Kind::DeliverDelay)
            .map(|rule| rule.ms.unwrap_or(2_000))
            .sum();
        let window_ms = of(Kind::DeliverReorder)
            .next_back()
            .map_or(0, |rule| rule.ms.unwrap_or(2_000));
        let copies = copies.map_or(1, |copies| copies.unwrap_or_else(|| 2 + self.dice.up_to(3)));
        let copies = copies.clamp(1, 5);
        let delays_ms = (0..copies)
            .map(|_| delay_ms + self.dice.up_to(window_ms))
            .collect();
        DeliveryPlan { delays_ms }
    }

    /// The refusal of a look-up, if one is due.
    pub(crate) fn lookup(&mut self, account: AccountId) -> Option<ApiError> {
        let is_lookup = |kind| matches!(kind, Kind::Lookup429 | Kind::Lookup500);
        let fired = self.fire(account, true, is_lookup);
        fired.first().map(|rule| {
            if rule.kind == Kind::Lookup429 {
                ApiError::rate_limited()
            } else {
                ApiError::over_capacity()
            }
        })
    }
}

fn answer_fault(kind: Kind) -> Option<AnswerFault> {
    match kind {
        Kind::Send429 => Some(AnswerFault::RateLimited),
        Kind::Send500Before => Some(AnswerFault::ErrorBefore),
        Kind::Send500After => Some(AnswerFault::ErrorAfter),
        Kind::SendHangAfter => Some(AnswerFault::HangAfter),
        Kind::SendResetAfter => Some(AnswerFault::ResetAfter),
        Kind::SendResetBefore => Some(AnswerFault::ResetBefore),
        Kind::SendEmpty => Some(AnswerFault::Empty),
        Kind::SendGarbage => Some(AnswerFault::Garbage),
        Kind::EchoWithhold
        | Kind::EchoDelay
        | Kind::EchoFirst
        | Kind::DeliverDuplicate
        | Kind::DeliverReorder
        | Kind::DeliverDelay
        | Kind::DeliverDrop
        | Kind::Lookup429
        | Kind::Lookup500 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).expect("a rule")
    }

    #[test]
    fn a_rule_fires_as_often_as_it_says_and_for_whom_it_says() {
        let mut faults = Faults::new(1);
        faults.add(rule(
            r#"{"kind":"send_500_after","remaining":2,"account_id":"7"}"#,
        ));
        assert_eq!(faults.send(AccountId(8)), SendPlan::default());
        for _ in 0..2 {
            assert_eq!(
                faults.send(AccountId(7)).answer,
                Some(AnswerFault::ErrorAfter)
            );
        }
        assert_eq!(faults.send(AccountId(7)).answer, None);
    }

    #[test]
    fn delivery_rules_add_up_and_a_loss_wins() {
        let mut faults = Faults::new(1);
        faults.add(rule(r#"{"kind":"deliver_duplicate","copies":3}"#));
        faults.add(rule(r#"{"kind":"deliver_delay","ms":100}"#));
        let plan = faults.delivery(AccountId(1));
        assert_eq!(plan.delays_ms, [100, 100, 100]);
        faults.add(rule(r#"{"kind":"deliver_drop"}"#));
        assert!(faults.delivery(AccountId(1)).delays_ms.is_empty());
    }

    #[test]
    fn unknown_kinds_and_fields_are_refused() {
        assert!(serde_json::from_str::<Rule>(r#"{"kind":"send_nothing"}"#).is_err());
        assert!(serde_json::from_str::<Rule>(r#"{"kind":"send_429","percent":3}"#).is_err());
    }
}
