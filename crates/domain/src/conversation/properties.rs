//! The promises of the conversation rules, each as an example or a property.

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::sla::ClockKind;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn fact(second: i64, stored_seq: i64, kind: FactKind) -> Fact {
    let id = u128::try_from(second * 1000 + stored_seq).unwrap();
    Fact {
        order: Order {
            at: at(second),
            no: second,
            id: Uuid::from_u128(id),
        },
        clock_at: at(second),
        stored_seq,
        kind,
    }
}

fn inbound(second: i64, stored_seq: i64) -> Fact {
    let id = MessageId(Uuid::from_u128(u128::try_from(second).unwrap()));
    fact(second, stored_seq, FactKind::Inbound(id))
}

fn reply(second: i64, stored_seq: i64, then: Option<Then>) -> Fact {
    let message = MessageId(Uuid::from_u128(u128::try_from(second).unwrap()));
    fact(
        second,
        stored_seq,
        FactKind::Reply(Reply {
            message,
            human: true,
            in_roost: true,
            then,
        }),
    )
}

/// A person answers in the platform's own app.
fn elsewhere(second: i64, stored_seq: i64) -> Fact {
    let message = MessageId(Uuid::from_u128(u128::try_from(second).unwrap()));
    fact(
        second,
        stored_seq,
        FactKind::Reply(Reply {
            message,
            human: true,
            in_roost: false,
            then: None,
        }),
    )
}

fn act(second: i64, stored_seq: i64, act: Act) -> Fact {
    fact(second, stored_seq, FactKind::Act(act))
}

fn response_clocks(folded: &Folded) -> impl Iterator<Item = &ClockFold> {
    let is_response = |clock: &&ClockFold| clock.clock.kind != ClockKind::Resolution;
    folded.clocks.iter().filter(is_response)
}

fn kinds(folded: &Folded) -> Vec<(ClockKind, i32, i64, Option<ClockEnd>)> {
    response_clocks(folded)
        .map(|clock| {
            (
                clock.clock.kind,
                clock.clock.cycle,
                clock.clock.started_at.as_second(),
                clock.end,
            )
        })
        .collect()
}

#[test]
fn a_customer_message_opens_and_starts_first_response_and_a_human_reply_settles_it() {
    let folded = fold(&[inbound(10, 1), inbound(20, 2), reply(30, 3, None)]);
    assert_eq!(folded.state.status, Status::Pending);
    assert_eq!(folded.state.waiting_since, None);
    let clocks = kinds(&folded);
    assert_eq!(clocks.len(), 1, "a second message restarts nothing");
    assert!(matches!(clocks[0].3, Some(ClockEnd::Answered(when, _)) if when == at(30)));
}

#[test]
fn after_a_reply_the_customer_starts_next_response_from_the_oldest_unanswered_message() {
    let folded = fold(&[
        inbound(10, 1),
        reply(20, 2, None),
        inbound(30, 3),
        inbound(40, 4),
    ]);
    assert_eq!(folded.state.status, Status::Open);
    assert_eq!(folded.state.waiting_since, Some(at(30)));
    assert_eq!(kinds(&folded)[1], (ClockKind::NextResponse, 1, 30, None));
}

#[test]
fn a_bot_answers_no_clock_and_changes_no_status() {
    let FactKind::Reply(human) = reply(20, 2, None).kind else {
        unreachable!()
    };
    let bot = fact(
        20,
        2,
        FactKind::Reply(Reply {
            human: false,
            ..human
        }),
    );
    let folded = fold(&[inbound(10, 1), bot]);
    assert_eq!(folded.state.status, Status::Open);
    assert!(folded.state.running.is_some());
}

#[test]
fn a_thank_you_that_needs_no_reply_leaves_things_as_they_were() {
    let talked = [inbound(10, 1), reply(20, 2, None)];
    let thanked = [
        talked.as_slice(),
        &[inbound(30, 3), act(40, 4, Act::NoReply)],
    ]
    .concat();
    let folded = fold(&thanked);
    assert_eq!(folded.state.status, Status::Pending);
    assert_eq!(folded.state.waiting_since, None);
    assert_eq!(
        kinds(&folded)[1],
        (
            ClockKind::NextResponse,
            1,
            30,
            Some(ClockEnd::Cancelled(at(40), Cancellation::NoReplyNeeded))
        )
    );
    // After a resolve it is over again, since it was over.
    let over = [
        talked.as_slice(),
        &[
            act(25, 3, Act::Resolve),
            inbound(30, 4),
            act(40, 5, Act::NoReply),
        ],
    ]
    .concat();
    let folded = fold(&over);
    assert_eq!(folded.state.status, Status::Resolved);
    assert_eq!(folded.state.resolved_at, Some(at(25)));
    assert_eq!(folded.state.running, None);
    // Where nobody waits it says nothing.
    let answered = [talked.as_slice(), &[act(40, 3, Act::NoReply)]].concat();
    assert_eq!(fold(&answered).state.status, Status::Pending);
}

#[test]
fn a_message_that_a_colleague_saw_and_answered_is_not_unseen_by_a_slower_one() {
    // A is queued before the second question comes, B answers it, then the platform takes A.
    let folded = fold(&[
        inbound(10, 1),
        inbound(20, 3),
        reply(30, 4, None),
        reply(40, 2, None),
    ]);
    assert_eq!(folded.state.status, Status::Pending);
    assert_eq!(folded.state.running, None);
    // Without B's answer it stays open.
    let folded = fold(&[inbound(10, 1), inbound(20, 3), reply(40, 2, None)]);
    assert_eq!(folded.state.status, Status::Open);
}

#[test]
fn resolving_cancels_and_a_message_a_day_later_reopens_with_new_clocks() {
    let day = 24 * 3600;
    let resolved = [inbound(10, 1), act(20, 2, Act::Resolve)];
    let folded = fold(&[resolved.as_slice(), &[inbound(day + 20, 3)]].concat());
    assert_eq!((folded.state.status, folded.state.cycle), (Status::Open, 2));
    let cancelled = ClockEnd::Cancelled(at(20), Cancellation::Resolved);
    assert_eq!(
        kinds(&folded),
        [
            (ClockKind::FirstResponse, 1, 10, Some(cancelled)),
            (ClockKind::FirstResponse, 2, day + 20, None),
        ]
    );
}

#[test]
fn resolving_without_an_answer_does_not_dodge_the_clock_of_who_writes_again_within_a_day() {
    let day = 24 * 3600;
    let resolved = [inbound(10, 1), act(20, 2, Act::Resolve)];
    let again = [resolved.as_slice(), &[inbound(day + 19, 3)]].concat();
    let folded = fold(&again);
    assert_eq!((folded.state.status, folded.state.cycle), (Status::Open, 2));
    // The same clock from its own start, and no other beside it.
    assert_eq!(kinds(&folded), [(ClockKind::FirstResponse, 1, 10, None)]);
    // Once it is answered, the next question in the cycle is a next response.
    let answered = [
        again.as_slice(),
        &[reply(day + 30, 4, None), inbound(day + 40, 5)],
    ]
    .concat();
    assert_eq!(
        kinds(&fold(&answered))[1],
        (ClockKind::NextResponse, 2, day + 40, None)
    );
    // A reply after the resolve has answered; a block is no resolve.
    for (between, clocks) in [
        (reply(25, 3, None), 2),
        (act(15, 2, Act::Close(Closing::Blocked)), 2),
    ] {
        let facts = [resolved.as_slice(), &[between, inbound(30, 4)]].concat();
        assert_eq!(kinds(&fold(&facts)).len(), clocks, "{between:?}");
    }
}

#[test]
fn the_resolution_clock_runs_from_opening_to_resolve_and_keeps_when_it_was_not_open() {
    let folded = fold(&[
        inbound(10, 1),
        reply(20, 2, None),
        inbound(30, 3),
        act(40, 4, Act::Snooze(at(50))),
        act(50, 5, Act::Wake),
        act(60, 6, Act::Resolve),
    ]);
    let clock = folded
        .clocks
        .iter()
        .find(|clock| clock.clock.kind == ClockKind::Resolution)
        .unwrap();
    let stretch = |status, from, until| Stretch {
        status,
        from: at(from),
        until: Some(at(until)),
    };
    assert_eq!(clock.clock.started_at, at(10));
    assert_eq!(clock.end, Some(ClockEnd::Resolved(at(60))));
    assert_eq!(
        clock.stretches,
        [
            stretch(Status::Pending, 20, 30),
            stretch(Status::Snoozed, 40, 50)
        ]
    );
}

#[test]
fn a_disconnect_ends_the_clocks_and_leaves_the_status() {
    let folded = fold(&[
        inbound(10, 1),
        act(20, 2, Act::Disconnect),
        act(30, 3, Act::Resolve),
    ]);
    let cut = Some(ClockEnd::Cancelled(
        at(20),
        Cancellation::Closed(Closing::Disconnected),
    ));
    assert!(folded.clocks.iter().all(|clock| clock.end == cut));
    let standing = fold(&[inbound(10, 1), act(20, 2, Act::Disconnect)]).state;
    assert_eq!((standing.status, standing.running), (Status::Open, None));
}

#[test]
fn a_conversation_that_we_start_is_pending_and_owes_no_first_response() {
    let folded = fold(&[reply(10, 0, None)]);
    assert_eq!(
        (folded.state.status, folded.state.cycle),
        (Status::Pending, 1)
    );
    let answered = fold(&[reply(10, 0, None), inbound(20, 1)]);
    assert_eq!(kinds(&answered), [(ClockKind::NextResponse, 1, 20, None)]);
}

#[test]
fn a_message_that_the_author_of_a_reply_could_not_see_keeps_the_conversation_open() {
    // The reply was queued when only the first message was known (stored_seq 1).
    let folded = fold(&[inbound(10, 1), inbound(20, 5), reply(30, 1, None)]);
    assert_eq!(folded.state.status, Status::Open);
    assert_eq!(folded.state.waiting_since, Some(at(20)));
    assert_eq!(kinds(&folded)[1], (ClockKind::NextResponse, 1, 20, None));
}

#[test]
fn a_message_unseen_by_a_resolve_reopens_it() {
    let folded = fold(&[inbound(10, 1), inbound(20, 5), act(30, 2, Act::Resolve)]);
    assert_eq!((folded.state.status, folded.state.cycle), (Status::Open, 2));
}

#[test]
fn a_message_that_a_later_author_saw_is_not_brought_up_by_an_older_reply() {
    // Queued when only the first message was known, accepted after a colleague dealt with the second.
    let answered = fold(&[
        inbound(10, 1),
        inbound(20, 5),
        reply(25, 6, None),
        reply(30, 1, None),
    ]);
    assert_eq!(answered.state.status, Status::Pending);
    assert_eq!(kinds(&answered).len(), 1);
    let resolved = fold(&[
        inbound(10, 1),
        inbound(20, 5),
        act(25, 6, Act::Resolve),
        reply(30, 1, None),
    ]);
    assert_eq!(
        (resolved.state.status, resolved.state.cycle),
        (Status::Resolved, 1)
    );
    let by_phone = fold(&[
        inbound(10, 1),
        inbound(20, 5),
        elsewhere(25, 3),
        reply(30, 1, None),
    ]);
    assert_eq!(by_phone.state.status, Status::Pending);
}

#[test]
fn a_message_that_the_author_between_did_not_see_either_stays_unseen() {
    let folded = fold(&[
        inbound(10, 1),
        inbound(20, 5),
        reply(25, 2, None),
        reply(30, 1, None),
    ]);
    assert_eq!(folded.state.status, Status::Open);
    assert_eq!(folded.state.waiting_since, Some(at(20)));
}

#[test]
fn a_snooze_ends_only_by_its_own_end() {
    // Woken at 20, then the platform tells of a reply of 15 that put it away until 99.
    let folded = fold(&[
        inbound(1, 1),
        act(10, 2, Act::Snooze(at(20))),
        reply(15, 3, Some(Then::Snoozed(at(99)))),
        act(20, 4, Act::Wake),
    ]);
    assert_eq!(
        (folded.state.status, folded.state.snoozed_until),
        (Status::Snoozed, Some(at(99)))
    );
    let woken = fold(&[
        inbound(1, 1),
        act(10, 2, Act::Snooze(at(20))),
        act(20, 4, Act::Wake),
    ]);
    assert_eq!(woken.state.status, Status::Open);
}

#[test]
fn then_takes_effect_with_the_reply() {
    assert_eq!(
        fold(&[inbound(1, 1), reply(2, 2, Some(Then::Resolved))])
            .state
            .status,
        Status::Resolved
    );
    let snoozed = fold(&[inbound(1, 1), reply(2, 2, Some(Then::Snoozed(at(99))))]).state;
    assert_eq!(
        (snoozed.status, snoozed.snoozed_until),
        (Status::Snoozed, Some(at(99)))
    );
    let open = fold(&[inbound(1, 1), reply(2, 2, Some(Then::Open))]).state;
    assert_eq!((open.status, open.running), (Status::Open, None));
}

#[test]
fn the_reopen_window_is_half_open_and_zero_means_never() {
    let resolved = at(0);
    assert!(reopens(resolved, at(72 * 3600 - 1), 72));
    assert!(!reopens(resolved, at(72 * 3600), 72));
    assert!(!reopens(resolved, at(1), 0));
}

#[test]
fn a_platform_time_far_ahead_is_clamped_for_clocks() {
    assert_eq!(clamp_for_clocks(at(1000), at(700)), at(1000));
    assert_eq!(clamp_for_clocks(at(1001), at(700)), at(700));
    assert_eq!(clamp_for_clocks(at(1), at(700)), at(1));
}

fn any_kind() -> impl Strategy<Value = u8> {
    0_u8..7
}

fn build(index: usize, choice: u8) -> Fact {
    // Stored in the order of their times, so that every author saw all before.
    let (second, seq) = (
        i64::try_from(index + 1).unwrap() * 10,
        i64::try_from(index + 1).unwrap(),
    );
    match choice {
        0..=2 => inbound(second, seq),
        3 => reply(second, seq, None),
        4 => reply(second, seq, Some(Then::Resolved)),
        5 => act(second, seq, Act::Resolve),
        _ => act(second, seq, Act::Snooze(at(second + 5))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn folding_ignores_the_order_of_arrival(choices in prop::collection::vec(any_kind(), 0..12), seed: u64) {
        let facts: Vec<Fact> = choices.iter().enumerate().map(|(i, choice)| build(i, *choice)).collect();
        let mut shuffled = facts.clone();
        let mut random = seed;
        for i in (1..shuffled.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, usize::try_from(random >> 33).unwrap() % (i + 1));
        }
        prop_assert_eq!(fold(&facts), fold(&shuffled));
    }

    #[test]
    fn applying_one_by_one_equals_folding_all(choices in prop::collection::vec(any_kind(), 0..12)) {
        let facts: Vec<Fact> = choices.iter().enumerate().map(|(i, choice)| build(i, *choice)).collect();
        let mut state = State::blank();
        for fact in &facts {
            prop_assert!(state.is_next(fact) || state.lapsed.is_some());
            state.apply(fact);
        }
        prop_assert_eq!(state, fold(&facts).state);
    }

    #[test]
    fn at_most_one_clock_runs_and_never_in_a_resolved_conversation(
        choices in prop::collection::vec((any_kind(), 0_i64..14), 0..14)
    ) {
        let facts: Vec<Fact> = choices
            .iter()
            .enumerate()
            .map(|(i, (choice, seen))| Fact { stored_seq: *seen, ..build(i, *choice) })
            .collect();
        let folded = fold(&facts);
        let running = response_clocks(&folded).filter(|clock| clock.end.is_none()).count();
        prop_assert_eq!(running, usize::from(folded.state.running.is_some()));
        prop_assert!(running <= 1);
        let unresolved = folded.clocks.iter().filter(|clock| clock.end.is_none()).count() - running;
        prop_assert_eq!(unresolved, usize::from(folded.state.status != Status::Resolved));
        if folded.state.status == Status::Resolved {
            prop_assert_eq!(running, 0);
            prop_assert_eq!(folded.state.waiting_since, None);
        }
    }
}
