//! SLA policies.

mod parts;

use std::borrow::Cow;
use std::collections::BTreeMap;

use roost_domain::ids::{MemberId, PolicyId};
use roost_domain::sla::{OnReopen, PolicySpec};
use roost_store::SpecVersion;
use roost_store::ledger::Preview;
use roost_store::sla_policies::{StoredPolicy, StoredReapply};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::At;
use crate::input::patch_schema;
pub(crate) use parts::{
    ActionBody, ActionType, ConditionsBody, EscalationBody, PausesBody, TargetBody, TargetsBody,
};

/// A policy to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSlaPolicy {
    /// Unique in the brand, whatever the case.
    #[schema(min_length = 1, max_length = 100, example = "Gold customers")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) conditions: ConditionsBody,
    #[serde(default)]
    pub(crate) targets: TargetsBody,
    #[serde(default)]
    pub(crate) pauses: PausesBody,
    /// What a reopening does to the resolution clock: `restart` (the default) begins a new one, `continue`
    /// goes on with the time that was used.
    #[serde(default)]
    #[schema(value_type = String, example = "restart")]
    pub(crate) on_reopen: OnReopen,
    /// Shares of the target, in percent, at which a clock warns: rising, each 1 to 99.
    #[serde(default)]
    #[schema(max_items = 10, example = json!([50, 75, 90]))]
    pub(crate) warnings: Vec<i64>,
    /// What a warning does beside its event.
    #[serde(default)]
    #[schema(max_items = 10)]
    pub(crate) on_warning: Vec<ActionBody>,
    /// What a breach does beside its event.
    #[serde(default)]
    #[schema(max_items = 10)]
    pub(crate) on_breach: Vec<ActionBody>,
    /// What happens some time after a breach, while the clock still runs; rising.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub(crate) escalations: Vec<EscalationBody>,
}

/// A change of a policy.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct SlaPolicyPatch(pub(crate) Map<String, Value>);

impl PartialSchema for SlaPolicyPatch {
    fn schema() -> RefOr<Schema> {
        patch_schema::<CreateSlaPolicy>()
    }
}

impl ToSchema for SlaPolicyPatch {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SlaPolicyPatch")
    }
}

/// What a policy says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaPolicyTerms {
    conditions: ConditionsBody,
    targets: TargetsBody,
    pauses: PausesBody,
    /// `restart` or `continue`.
    #[schema(value_type = String)]
    on_reopen: OnReopen,
    warnings: Vec<u8>,
    on_warning: Vec<ActionBody>,
    on_breach: Vec<ActionBody>,
    escalations: Vec<EscalationBody>,
}

impl From<PolicySpec> for SlaPolicyTerms {
    fn from(spec: PolicySpec) -> Self {
        let actions = |all: Vec<_>| all.into_iter().map(ActionBody::from).collect();
        Self {
            conditions: spec.conditions.into(),
            targets: TargetsBody {
                first_response: spec.first_response.map(Into::into),
                next_response: spec.next_response.map(Into::into),
                resolution: spec.resolution.map(Into::into),
                assignment: spec.assignment.map(Into::into),
            },
            pauses: spec.pauses.into(),
            on_reopen: spec.on_reopen,
            warnings: spec.warnings,
            on_warning: actions(spec.on_warning),
            on_breach: actions(spec.on_breach),
            escalations: spec.escalations.into_iter().map(Into::into).collect(),
        }
    }
}

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaPolicyView {
    id: String,
    name: String,
    /// Rises with every change but that of the order.
    version: i64,
    #[serde(flatten)]
    terms: SlaPolicyTerms,
    created_at: At,
    updated_at: At,
}

impl From<StoredPolicy> for SlaPolicyView {
    fn from(policy: StoredPolicy) -> Self {
        Self {
            id: policy.id.to_string(),
            name: policy.name,
            version: policy.version,
            terms: policy.spec.into(),
            created_at: policy.created_at.into(),
            updated_at: policy.updated_at.into(),
        }
    }
}

/// What a policy would do to running clocks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaPreviewView {
    /// Conversations with running clocks that were looked at.
    conversations: i64,
    /// Whether there are more than those.
    more: bool,
    /// By kind of clock, those that run now.
    kinds: BTreeMap<&'static str, SlaEffectsView>,
}

/// What would become of the clocks of a kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaEffectsView {
    clocks: i64,
    /// Due earlier than they are now.
    sooner: i64,
    later: i64,
    /// Among the sooner ones: their new target has passed, so that they would be due at once.
    already_late: i64,
    /// The policy that would hold has no target for them.
    ended: i64,
    /// Another policy holds, nothing differs, or their breach is recorded.
    unchanged: i64,
}

impl From<Preview> for SlaPreviewView {
    fn from(preview: Preview) -> Self {
        let kinds = preview.kinds.into_iter().map(|(kind, effects)| {
            let view = SlaEffectsView {
                clocks: effects.clocks,
                sooner: effects.sooner,
                later: effects.later,
                already_late: effects.already_late,
                ended: effects.ended,
                unchanged: effects.unchanged,
            };
            (kind, view)
        });
        Self {
            conversations: preview.conversations,
            more: preview.more,
            kinds: kinds.collect(),
        }
    }
}

/// A version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaPolicyVersionView {
    version: i64,
    #[serde(flatten)]
    terms: SlaPolicyTerms,
    /// Which member made it; none: it came with the sign-up.
    created_by: Option<String>,
    created_at: At,
}

impl From<SpecVersion<PolicySpec>> for SlaPolicyVersionView {
    fn from(version: SpecVersion<PolicySpec>) -> Self {
        Self {
            version: version.version,
            terms: version.spec.into(),
            created_by: version.created_by.map(|id: MemberId| id.to_string()),
            created_at: version.created_at.into(),
        }
    }
}

/// The order in which policies are tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlaPolicyOrder {
    /// Every policy once; the last one has no conditions.
    #[schema(value_type = Vec<String>)]
    pub(crate) policy_ids: Vec<PolicyId>,
}

/// A wish to move running clocks.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReapplySlaPolicy {
    /// Must be true: the clocks' due instants may move.
    #[serde(default)]
    pub(crate) confirm: bool,
}

/// A move of a policy's running clocks to a version of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReapplyView {
    id: String,
    policy_id: String,
    /// To which version.
    policy_version: i64,
    /// How many clocks were moved so far.
    moved: i64,
    created_at: At,
    /// None: it is under way.
    finished_at: Option<At>,
}

impl ReapplyView {
    pub(crate) fn new(policy: PolicyId, reapply: StoredReapply) -> Self {
        Self {
            id: reapply.id.to_string(),
            policy_id: policy.to_string(),
            policy_version: reapply.version,
            moved: reapply.moved,
            created_at: reapply.created_at.into(),
            finished_at: reapply.finished_at.map(At),
        }
    }
}

/// A move that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReapplyBegun {
    #[serde(flatten)]
    pub(crate) reapply: ReapplyView,
    /// How many clocks it concerns: those that have not ended and run by something else than the policy
    /// and its calendars say now.
    pub(crate) clocks: i64,
}
