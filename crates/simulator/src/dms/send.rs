//! The one way to send through an API, with everything that may go wrong around it.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::Value;

use super::{Dm, Draft};
use crate::call::{Answer, Call};
use crate::delivery::{self, EchoPlan};
use crate::error::ApiError;
use crate::faults::{AnswerFault, SendPlan};
use crate::ids::{AccountId, now_ms};
use crate::limits::{Family, Quota};
use crate::reset;
use crate::state::SendRecord;

/// Longest wait for an echo that has to arrive before the answer.
const ECHO_FIRST_WAIT: Duration = Duration::from_secs(10);

/// Sends for the caller. `read` makes the draft from the caller and the body, `show` the answer's
/// status and body from the message.
pub(crate) async fn run(
    call: Call,
    read: impl FnOnce(&Call, AccountId) -> Result<Draft, ApiError>,
    show: impl FnOnce(&Call, &Dm) -> (StatusCode, Value),
) -> Answer {
    let sender = call.user()?;
    let plan = call.sim.change(|world| world.faults.send(sender));
    let taken = take(&call, sender, &plan, read);
    let record = SendRecord {
        at_ms: now_ms(),
        sender,
        dm_event_id: taken.as_ref().ok().map(|dm| dm.id),
        refusal: taken.as_ref().err().map(ToString::to_string),
        fault: plan.name(),
    };
    call.sim.change(|world| world.sends.push(record));
    let dm = match taken {
        Ok(dm) => dm,
        Err(_) if plan.answer == Some(AnswerFault::ResetBefore) => {
            return Ok(reset::answer(&call.req));
        }
        Err(error) => return Err(error),
    };

    announce(&call, &dm, &plan).await;
    let (status, body) = show(&call, &dm);
    match plan.answer {
        Some(AnswerFault::ErrorAfter) => Err(ApiError::internal()),
        Some(AnswerFault::ResetAfter) => Ok(reset::answer(&call.req)),
        Some(AnswerFault::Empty) => Ok(HttpResponse::Ok().finish()),
        Some(AnswerFault::Garbage) => Ok(HttpResponse::Ok()
            .content_type("application/json")
            .body("{\"data\":{\"dm_ev")),
        Some(AnswerFault::HangAfter) => {
            tokio::time::sleep(Duration::from_millis(plan.answer_ms)).await;
            Ok(HttpResponse::build(status).json(body))
        }
        Some(AnswerFault::RateLimited | AnswerFault::ErrorBefore | AnswerFault::ResetBefore)
        | None => Ok(HttpResponse::build(status).json(body)),
    }
}

/// Everything up to the point where the message exists.
fn take(
    call: &Call,
    sender: AccountId,
    plan: &SendPlan,
    read: impl FnOnce(&Call, AccountId) -> Result<Draft, ApiError>,
) -> Result<Dm, ApiError> {
    call.spend(Family::Send, sender)?;
    match plan.answer {
        Some(AnswerFault::RateLimited) => {
            let reset_s = now_ms().saturating_add(plan.answer_ms).div_ceil(1000);
            actix_web::HttpMessage::extensions_mut(&call.req).insert(Quota::spent(reset_s));
            return Err(ApiError::rate_limited());
        }
        Some(AnswerFault::ErrorBefore) => return Err(ApiError::over_capacity()),
        Some(AnswerFault::ResetBefore) => return Err(ApiError::internal()),
        Some(
            AnswerFault::ErrorAfter
            | AnswerFault::HangAfter
            | AnswerFault::ResetAfter
            | AnswerFault::Empty
            | AnswerFault::Garbage,
        )
        | None => {}
    }
    let draft = read(call, sender)?;
    call.sim
        .change(|world| super::accept(world, draft, now_ms()))
}

/// Tells both sides; the sender's own copy is the echo, which the plan may hold back or hurry.
async fn announce(call: &Call, dm: &Dm, plan: &SendPlan) {
    let echo = if plan.echo_withheld {
        EchoPlan::Withheld
    } else {
        EchoPlan::After(Duration::from_millis(plan.echo_delay_ms))
    };
    let arrivals = delivery::announce(&call.sim, dm, None, echo);
    if plan.echo_first {
        let all = futures_util::future::join_all(arrivals);
        if tokio::time::timeout(ECHO_FIRST_WAIT, all).await.is_err() {
            tracing::warn!("echo did not arrive before the answer");
        }
    }
}
