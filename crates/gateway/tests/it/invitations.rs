//! Invitations: who may send them, and what their links open.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Brand, Gateway, PASSWORD, Person};

const NEW: &str = "a password of ana";

impl Gateway {
    /// A brand whose owner has proven their address.
    async fn proven_brand(&self, name: &str) -> Brand {
        let brand = self.brand(name).await;
        self.verify(&brand.owner).await;
        brand
    }

    async fn invite(&self, who: &Person, email: &str, role: &str) -> Answer {
        let body = json!({ "email": email, "role": role });
        self.post(who, "/v1/invitations", body).await
    }

    async fn accept(&self, body: Value) -> Answer {
        self.stranger(Method::POST, "/v1/invitations/accept", body)
            .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_invited_gets_a_seat_and_can_return() {
    let gateway = Gateway::start().await;
    let brand = gateway.proven_brand("Harbor").await;
    let body = json!({ "email": "Ana.B@X.example", "role": "agent", "team_ids": [brand.team] });
    let headers = [("idempotency-key", "invite-ana")];
    let made = gateway
        .call(
            Some(&brand.owner),
            Method::POST,
            "/v1/invitations",
            Some(body.clone()),
            &headers,
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["email"], "ana.b@x.example");
    assert!(!made.text.contains("token"));
    let repeated = gateway
        .call(
            Some(&brand.owner),
            Method::POST,
            "/v1/invitations",
            Some(body),
            &headers,
        )
        .await;
    assert_eq!(repeated.body, made.body);
    let mail = gateway.mail("invitation", "ana.b@x.example", 1).await;
    assert_eq!(
        gateway
            .mails()
            .await
            .iter()
            .filter(|mail| mail.kind == "invitation")
            .count(),
        1
    );
    assert!(
        mail.text
            .contains("Harbor owner invites you to answer customers of Harbor")
    );
    let listed = gateway.get(&brand.owner, "/v1/invitations").await;
    assert_eq!(listed.ids(), [made.body["id"].as_str().unwrap()]);
    let nameless = gateway
        .accept(json!({ "token": mail.token(), "password": NEW }))
        .await;
    assert_eq!(nameless.pointers(), ["/full_name"], "{}", nameless.text);
    let weak = json!({ "token": mail.token(), "full_name": "Ana", "password": "short" });
    assert_eq!(gateway.accept(weak).await.pointers(), ["/password"]);
    let body = json!({ "token": mail.token(), "full_name": "Ana B", "password": NEW });
    let answer = gateway.accept(body.clone()).await;
    let ana = answer.person();
    assert_eq!(answer.body["member"]["role"], "agent");
    assert_eq!(answer.body["member"]["team_ids"], json!([brand.team]));
    assert_eq!(ana.brand, brand.owner.brand);
    let me = gateway.get(&ana, "/v1/me").await;
    assert_eq!(me.body["email_verified"], true);
    let again = gateway.accept(body).await;
    assert_eq!(
        (again.status.as_u16(), again.code()),
        (422, "token_invalid")
    );
    assert_eq!(
        gateway.delete(&ana, "/v1/sessions/current").await.status,
        204
    );
    gateway.sign_in("ana.b@x.example", NEW).await.person();
    assert!(
        gateway
            .get(&brand.owner, "/v1/invitations")
            .await
            .ids()
            .is_empty()
    );
    let back = gateway
        .invite(&brand.owner, "ANA.B@x.example", "agent")
        .await;
    assert_eq!((back.status.as_u16(), back.code()), (409, "already_member"));
    let actions = gateway.audit_actions(&brand.owner).await;
    for action in ["invitation.created", "invitation.accepted"] {
        assert!(
            actions.iter().any(|done| done == action),
            "{action}: {actions:?}"
        );
    }
    gateway.relay().await;
    let events = gateway
        .get(&brand.owner, "/v1/events?after=oldest&types=member.created")
        .await;
    assert_eq!(events.body["data"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_with_an_account_takes_a_second_seat_by_their_own_password() {
    let gateway = Gateway::start().await;
    let harbor = gateway.proven_brand("Harbor").await;
    let ana = gateway.brand("Elsewhere").await.owner;
    let email = gateway.email_of(&ana).await;
    gateway
        .invite(&harbor.owner, &email.to_uppercase(), "supervisor")
        .await;
    let token = gateway.mail("invitation", &email, 1).await.token();
    // A link that went astray isn't enough.
    let stranger = json!({ "token": token, "full_name": "Mallory", "password": NEW });
    assert_eq!(gateway.accept(stranger).await.code(), "invalid_credentials");
    let answer = gateway
        .accept(json!({ "token": token, "password": PASSWORD }))
        .await;
    let there = answer.person();
    assert_eq!(there.brand, harbor.owner.brand);
    assert_eq!(answer.body["memberships"].as_array().unwrap().len(), 2);
    let mut db = gateway.db.owner().await;
    let users: i64 = sqlx::query_scalar("select count(*) from users where email = $1")
        .bind(&email)
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(users, 1);
    // The session switches between the seats.
    let headers = [("cookie", there.cookie.as_str())];
    let body = json!({ "brand_id": ana.brand });
    let switched = gateway
        .call(
            None,
            Method::POST,
            "/v1/sessions/refresh",
            Some(body),
            &headers,
        )
        .await;
    assert_eq!(switched.body["brand"]["name"], "Elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_ends_by_withdrawal_by_a_newer_one_and_by_time() {
    let gateway = Gateway::start().await;
    let owner = gateway.proven_brand("Harbor").await.owner;
    let made = gateway.invite(&owner, "ana@x.example", "agent").await;
    let path = format!("/v1/invitations/{}", made.body["id"].as_str().unwrap());
    let first = gateway.mail("invitation", "ana@x.example", 1).await.token();
    let at_once = gateway
        .post(&owner, &format!("{path}/resend"), json!({}))
        .await;
    assert_eq!(
        (at_once.status.as_u16(), at_once.code()),
        (429, "rate_limited")
    );
    gateway
        .sql("update invitations set sent_at = now() - interval '2 minutes'")
        .await;
    let resent = gateway
        .post(&owner, &format!("{path}/resend"), json!({}))
        .await;
    assert_eq!(resent.status, 200, "{}", resent.text);
    assert_eq!(resent.body["sent_count"], 2);
    let second = gateway.mail("invitation", "ana@x.example", 2).await.token();
    let accept = async |token: &str| {
        let body = json!({ "token": token, "full_name": "Ana", "password": NEW });
        gateway.accept(body).await
    };
    assert_eq!(accept(&first).await.code(), "token_invalid");
    // Inviting the same address again withdraws the older invitation.
    gateway.invite(&owner, "ana@x.example", "analyst").await;
    assert_eq!(accept(&second).await.code(), "token_invalid");
    assert_eq!(gateway.delete(&owner, &path).await.status, 404);
    let third = gateway.mail("invitation", "ana@x.example", 3).await.token();
    let id = gateway.get(&owner, "/v1/invitations").await.ids().remove(0);
    let other = gateway.brand("Theirs").await.owner;
    let foreign = gateway
        .delete(&other, &format!("/v1/invitations/{id}"))
        .await;
    assert_eq!(foreign.status, 404);
    assert_eq!(
        gateway
            .delete(&owner, &format!("/v1/invitations/{id}"))
            .await
            .status,
        204
    );
    assert_eq!(accept(&third).await.code(), "token_invalid");
    gateway.invite(&owner, "ana@x.example", "agent").await;
    let fourth = gateway.mail("invitation", "ana@x.example", 4).await.token();
    gateway
        .sql("update invitations set expires_at = now()")
        .await;
    assert_eq!(accept(&fourth).await.code(), "token_invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_proven_people_with_the_permission_invite_and_nobody_above_themselves() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let early = gateway.invite(&brand.owner, "ana@x.example", "agent").await;
    assert_eq!(
        (early.status.as_u16(), early.code()),
        (403, "email_unverified")
    );
    gateway.verify(&brand.owner).await;
    let admin = gateway.member(&brand, "admin").await;
    let agent = gateway.member(&brand, "agent").await;
    gateway
        .sql("update users set email_verified_at = now()")
        .await;
    let refused = gateway.invite(&agent, "ana@x.example", "agent").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (403, "forbidden")
    );
    let above = gateway.invite(&admin, "ana@x.example", "owner").await;
    assert_eq!((above.status.as_u16(), above.code()), (403, "forbidden"));
    assert_eq!(
        gateway
            .invite(&admin, "ana@x.example", "admin")
            .await
            .status,
        201
    );
    let theirs = gateway.brand("Theirs").await;
    for (body, status, pointers) in [
        (json!({}), 400, vec![""]),
        (
            json!({ "email": "", "role": "agent" }),
            400,
            vec!["/email", "/email"],
        ),
        (
            json!({ "email": "a b@c", "role": "boss" }),
            400,
            vec!["/email", "/role"],
        ),
        (
            json!({ "email": ["a@b"], "role": "agent" }),
            400,
            vec!["/email"],
        ),
        (
            json!({ "email": "a@b", "role": "agent", "team_ids": ["x"] }),
            400,
            vec!["/team_ids/0"],
        ),
        (
            json!({ "email": "a@b", "role": "agent", "brand_id": theirs.owner.brand }),
            400,
            vec!["/brand_id"],
        ),
        (
            json!({ "email": "a@b", "role": "agent", "team_ids": [theirs.team] }),
            422,
            vec!["/team_ids"],
        ),
    ] {
        let answer = gateway
            .post(&brand.owner, "/v1/invitations", body.clone())
            .await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert_eq!(answer.pointers(), pointers, "{body}: {}", answer.text);
    }
    // Inviting and withdrawing in turn is no way to send without end.
    gateway
        .sql("update invitations set sent_count = 50, revoked_at = now()")
        .await;
    let much = gateway.invite(&admin, "ben@x.example", "agent").await;
    assert_eq!((much.status.as_u16(), much.code()), (429, "rate_limited"));
    assert_eq!(
        gateway
            .invite(&brand.owner, "ben@x.example", "agent")
            .await
            .status,
        201
    );
    gateway.sql("update invitations set sent_count = 200").await;
    assert_eq!(
        gateway
            .invite(&brand.owner, "cara@x.example", "agent")
            .await
            .status,
        429
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deactivated_member_returns_to_their_old_seat() {
    let gateway = Gateway::start().await;
    let brand = gateway.proven_brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let email = gateway.email_of(&agent).await;
    let path = format!("/v1/members/{}", agent.member);
    let gone = gateway
        .patch(&brand.owner, &path, json!({ "active": false }))
        .await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    assert_eq!(gateway.sign_in(&email, PASSWORD).await.status, 401);
    assert_eq!(
        gateway
            .invite(&brand.owner, &email, "supervisor")
            .await
            .status,
        201
    );
    let token = gateway.mail("invitation", &email, 1).await.token();
    let answer = gateway
        .accept(json!({ "token": token, "password": PASSWORD }))
        .await;
    assert_eq!(answer.person().member, agent.member);
    assert_eq!(answer.body["member"]["role"], "supervisor");
}
