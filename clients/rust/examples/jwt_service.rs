//! A web service whose signing key rotates while it runs.
//!
//! A token names in `kid` the slot whose key signed it, and is verified with the key effective at that slot: after a
//! roll-over old tokens hold, new ones are signed with the new key, and nobody is logged out. Disabling a slot ends the
//! tokens that it signed.

mod hs256;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use secretslots::{Handle, Token};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

/// The signing key, read anew for each request: that costs nanoseconds.
type Key = State<Arc<Handle>>;

async fn login(State(key): Key, Path(user): Path<String>) -> Result<String, StatusCode> {
    let version = key.current().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let header = Header { kid: Some(version.slot().to_string()), ..Header::new(Algorithm::HS256) };
    let soon = SystemTime::now() + Duration::from_secs(3600);
    let exp = soon.duration_since(UNIX_EPOCH).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.as_secs();
    let signed = encode(&header, &Claims { sub: user, exp }, &EncodingKey::from_secret(version.bytes()));
    signed.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn me(State(key): Key, headers: HeaderMap) -> Result<Json<Claims>, StatusCode> {
    verify(&key, &headers).map(Json).ok_or(StatusCode::UNAUTHORIZED)
}

fn verify(key: &Handle, headers: &HeaderMap) -> Option<Claims> {
    let token = headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
    let slot = decode_header(token).ok()?.kid?.parse().ok()?;
    let version = key.effective_at(slot).ok()?;
    let secret = DecodingKey::from_secret(version.bytes());
    Some(decode::<Claims>(token, &secret, &Validation::new(Algorithm::HS256)).ok()?.claims)
}

fn service(key: Handle) -> Router {
    Router::new().route("/login/{user}", post(login)).route("/me", get(me)).with_state(Arc::new(key))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    hs256::PROVIDER.install_default().map_err(|_| "another provider is installed")?;
    let setting = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let token = Token::file(setting("SLOTS_TOKEN_FILE", "data/admin.token"));
    let set = secretslots::open(setting("SLOTS_ADDRESS", "127.0.0.1:50051"), token, ["app/jwt-key"]).await?;
    let listener = tokio::net::TcpListener::bind(setting("LISTEN", "127.0.0.1:8080")).await?;
    println!("serving on http://{}", listener.local_addr()?);
    axum::serve(listener, service(set.handle("app/jwt-key")?)).await?;
    Ok(())
}
