use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::{CALLBACK, CLIENT_ID, CLIENT_SECRET, PASSWORD, PublicKey};
use crate::sandbox::salesforce::testing::{Answer, Rig, sample};

const TOKEN: &str = "/services/oauth2/token";
/// A key pair made for this test alone.
const PRIVATE: &str = include_str!("testdata/key.pem");
const CERTIFICATE: &[u8] = include_bytes!("testdata/certificate.pem");

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

async fn token(rig: &Rig, fields: &[(&str, &str)]) -> Answer {
    rig.send(Method::POST, TOKEN, &[], &form(fields)).await
}

fn assertion(claims: &Value) -> String {
    let body: String = PRIVATE.lines().filter(|l| !l.starts_with("-----")).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256"})), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn by_jwt(rig: &Rig, assertion: &str) -> Answer {
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    token(rig, &[("grant_type", grant), ("assertion", assertion)]).await
}

fn description(answer: &Answer) -> String {
    assert_eq!(answer.status, 400, "{}", answer.text);
    let body = answer.json();
    format!("{}: {}", body["error"].as_str().unwrap(), body["error_description"].as_str().unwrap())
}

#[test]
fn keys_are_read_in_every_form() {
    let certificate = PublicKey::read(CERTIFICATE).unwrap();
    assert_eq!(PublicKey::read(include_bytes!("testdata/public.pem")).unwrap(), certificate);
    assert_eq!(PublicKey::read(include_bytes!("testdata/rsa_public.pem")).unwrap(), certificate);
    assert_eq!(PublicKey::read(&certificate.der).unwrap(), certificate);
    assert!(PublicKey::read(b"no key").is_err());
    assert!(PublicKey::read(b"").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_signed_assertion_signs_in() {
    let rig = Rig::new();
    let soon = rig.now().as_second() + 180;
    let claims = |change: Value| {
        let mut claims = json!({
            "iss": CLIENT_ID, "sub": "integration.user@lockstep.example",
            "aud": "https://login.salesforce.com", "exp": soon,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let good = assertion(&claims(json!({})));
    assert_eq!(
        description(&by_jwt(&rig, &good).await),
        "invalid_grant: invalid assertion",
        "no key yet"
    );
    let key = PublicKey::read(CERTIFICATE).unwrap();
    rig.sandbox.world().salesforce.auth.set_public_key(CLIENT_ID, key);
    let answer = by_jwt(&rig, &good).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let org = rig.sandbox.world().salesforce.id.clone();
    let access = body["access_token"].as_str().unwrap();
    assert!(access.starts_with(&format!("{}!", &org[..15])));
    assert_eq!(body["token_type"], json!("Bearer"));
    assert_eq!(body["instance_url"], json!("https://sandbox.my.salesforce.com"));
    assert!(body["id"].as_str().unwrap().contains(&*org));
    assert!(body.get("refresh_token").is_none());
    if let Some(recorded) = sample("auth_success_response.json") {
        for key in recorded.as_object().unwrap().keys() {
            assert!(body.get(key).is_some(), "{key}");
        }
    }
    let table = [
        (json!({"exp": soon.to_string()}), "ok"),
        (json!({"aud": "https://sandbox.my.salesforce.com"}), "ok"),
        (json!({"aud": "https://elsewhere.example"}), "invalid_grant: Audience validation failed"),
        (json!({"exp": soon + 1000}), "invalid_grant: expired authorization code"),
        (json!({"exp": soon - 1000}), "invalid_grant: expired authorization code"),
        (json!({"iss": "nobody"}), "invalid_client_id: client identifier invalid"),
        (json!({"sub": "nobody@example.com"}), "invalid_grant: user hasn't approved this consumer"),
        (json!({"sub": "rui.fonseca@lockstep.example"}), "inactive_user: user is inactive"),
    ];
    for (change, expected) in table {
        let answer = by_jwt(&rig, &assertion(&claims(change.clone()))).await;
        let found = if answer.status == 200 { "ok".to_owned() } else { description(&answer) };
        assert_eq!(found, expected, "{change}");
    }
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0_u8; 256]));
    assert_eq!(description(&by_jwt(&rig, &forged).await), "invalid_grant: invalid assertion");
}

#[tokio::test(start_paused = true)]
async fn the_other_flows() {
    let rig = Rig::new();
    let by_client = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
    ];
    assert_eq!(token(&rig, &by_client).await.status, 200);
    let wrong =
        [("grant_type", "client_credentials"), ("client_id", CLIENT_ID), ("client_secret", "no")];
    assert_eq!(
        description(&token(&rig, &wrong).await),
        "invalid_client: invalid client credentials"
    );
    let by_password = |password: &'static str| {
        [
            ("grant_type", "password"),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("username", "Mei.Tanaka@lockstep.example"),
            ("password", password),
        ]
    };
    assert_eq!(token(&rig, &by_password(PASSWORD)).await.status, 200);
    let refused = token(&rig, &by_password("wrong")).await;
    if let Some(recorded) = sample("auth_error_response.json") {
        assert_eq!(refused.json(), recorded);
    }
    assert_eq!(
        description(&token(&rig, &[("grant_type", "magic")]).await),
        "unsupported_grant_type: grant type not supported"
    );
}

#[tokio::test(start_paused = true)]
async fn a_code_with_pkce_then_refresh_rotation_and_revocation() {
    let rig = Rig::new();
    let verifier = "a-verifier-of-at-least-forty-three-characters-x";
    let challenge =
        URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()));
    let code = async || {
        let query = form(&[
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", CALLBACK),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "s 1"),
        ]);
        let answer =
            rig.send(Method::GET, &format!("/services/oauth2/authorize?{query}"), &[], "").await;
        assert_eq!(answer.status, 302);
        let target = url::Url::parse(answer.header("location").unwrap()).unwrap();
        let pairs: Vec<(String, String)> = target.query_pairs().into_owned().collect();
        assert_eq!(pairs[1], ("state".to_owned(), "s 1".to_owned()));
        pairs[0].1.clone()
    };
    let redeem = async |code: &str, verifier: &str| {
        token(
            &rig,
            &[
                ("grant_type", "authorization_code"),
                ("client_id", CLIENT_ID),
                ("redirect_uri", CALLBACK),
                ("code", code),
                ("code_verifier", verifier),
            ],
        )
        .await
    };
    assert_eq!(
        description(&redeem(&code().await, "wrong").await),
        "invalid_grant: invalid code verifier"
    );
    let once = code().await;
    let body = redeem(&once, verifier).await.json();
    assert_eq!(
        description(&redeem(&once, verifier).await),
        "invalid_grant: invalid authorization code"
    );
    let refresh = async |token_: &str| {
        token(
            &rig,
            &[("grant_type", "refresh_token"), ("client_id", CLIENT_ID), ("refresh_token", token_)],
        )
        .await
    };
    let first = body["refresh_token"].as_str().unwrap().to_owned();
    let again = refresh(&first).await;
    assert_eq!(again.status, 200);
    assert!(again.json().get("refresh_token").is_none());
    rig.sandbox.world().salesforce.auth.apps.get_mut(CLIENT_ID).unwrap().rotate_refresh_tokens =
        true;
    let rotated = refresh(&first).await.json();
    let second = rotated["refresh_token"].as_str().unwrap().to_owned();
    let dead = refresh(&first).await;
    if let Some(recorded) = sample("refresh_error_response.json") {
        assert_eq!(dead.json(), recorded);
    }
    let access = rotated["access_token"].as_str().unwrap().to_owned();
    let introspect = async || {
        let fields = [
            ("token", access.as_str()),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
        ];
        rig.send(Method::POST, "/services/oauth2/introspect", &[], &form(&fields)).await.json()
    };
    let seen = introspect().await;
    assert_eq!((&seen["active"], &seen["client_id"]), (&json!(true), &json!(CLIENT_ID)));
    // Revoking a grant kills its sessions.
    let revoke = async |token_: &str| {
        rig.send(Method::POST, "/services/oauth2/revoke", &[], &form(&[("token", token_)])).await
    };
    assert_eq!(revoke(&second).await.status, 200);
    assert_eq!(introspect().await["active"], json!(false));
    let unknown = revoke("nothing").await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.text.starts_with("error=unsupported_token_type&"));
}

#[tokio::test(start_paused = true)]
async fn sessions_slide_and_expire() {
    let rig = Rig::new();
    for _ in 0..3 {
        rig.pass(3600);
        assert_eq!(rig.get("limits").await.status, 200);
    }
    rig.pass(7200);
    let refused = rig.get("limits").await;
    assert_eq!(refused.status, 401);
    if let Some(recorded) = sample("expired_session_response.json") {
        assert_eq!(refused.json(), recorded);
    }
    assert_eq!(refused.header("sforce-limit-info"), None);
    let userinfo = rig.send(Method::GET, "/services/oauth2/userinfo", &[], "").await;
    assert_eq!((userinfo.status, userinfo.text.as_str()), (403, "Bad_OAuth_Token"));
}

#[tokio::test(start_paused = true)]
async fn who_is_signed_in() {
    let rig = Rig::new();
    let info = rig.send(Method::GET, "/services/oauth2/userinfo", &[], "").await.json();
    let (org, user) = {
        let world = rig.sandbox.world();
        (world.salesforce.id.clone(), world.salesforce.staff.integration.clone())
    };
    assert_eq!(info["organization_id"], json!(&*org));
    assert_eq!(info["user_id"], json!(&*user));
    assert_eq!(
        info["urls"]["rest"],
        json!("https://sandbox.my.salesforce.com/services/data/v{version}/")
    );
    let identity = rig.get("").await.json()["identity"].as_str().unwrap().to_owned();
    assert_eq!(identity, format!("https://sandbox.my.salesforce.com/id/{org}/{user}"));
    let path = identity.trim_start_matches("https://sandbox.my.salesforce.com");
    let body = rig.send(Method::GET, path, &[], "").await.json();
    assert_eq!(body["username"], json!("integration.user@lockstep.example"));
}
