//! Keeps one WatchSlots stream alive and feeds the state machine from it.

use std::sync::Arc;
use std::time::Duration;

use secretslots_stubs::v1::{WatchSlotsRequest, WatchSlotsResponse, secret_service_client::SecretServiceClient};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::{self, Backoff};
use crate::cache::Snapshot;
use crate::cache_writer::CacheWriter;
use crate::connection::Connection;
use crate::error::{Code, Error, Result, reason};
use crate::machine::{Machine, Step};
use crate::options::View;
use crate::shared::Shared;

const FIRST_MESSAGE_WITHIN: Duration = Duration::from_secs(20);
/// The server sends `progress` every 10 s.
const SILENT_AFTER: Duration = Duration::from_secs(40);
const HEALTHY_AFTER: Duration = Duration::from_secs(5);
/// A server that was just there is approached at least this often …
const NEAR_CAP: Duration = Duration::from_secs(2);
/// … while it was last heard less than this ago.
const NEAR: Duration = Duration::from_secs(60);

/// What `open` waits for.
#[derive(Clone, Default)]
pub(crate) struct Contact {
    /// A `synced` or `progress` has arrived.
    pub made: bool,
    /// The newest failure.
    pub last_error: Option<Error>,
    /// An attempt failed as UNAVAILABLE.
    pub unavailable: bool,
    /// The server's no, which ends an `open`.
    pub refused: Option<Error>,
}

pub(crate) struct Follower {
    pub connection: Arc<Connection>,
    pub shared: Arc<Shared>,
    pub machine: Machine,
    pub view: View,
    pub cache: Option<CacheWriter>,
    pub contact: watch::Sender<Contact>,
}

impl Follower {
    /// Reconnects for ever; the token and the TLS files are read again before each attempt.
    pub async fn run(mut self) {
        let stop = self.shared.stop.clone();
        stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        let mut backoff = Backoff::default();
        let mut unauthenticated = 0_u32;
        let mut token_refused = false;
        loop {
            let begun = Instant::now();
            let mut delivered = false;
            let Err(error) = self.stream(&mut delivered).await;
            let bad_token = error.reason() == reason::BAD_RESUME_TOKEN;
            if bad_token {
                self.machine.forget_token();
            }
            if bad_token && !std::mem::replace(&mut token_refused, true) {
                continue;
            }
            token_refused = bad_token;
            unauthenticated = if error.code() == Code::Unauthenticated { unauthenticated + 1 } else { 0 };
            self.report(&error, unauthenticated, delivered);
            if delivered && begun.elapsed() >= HEALTHY_AFTER {
                backoff.reset();
            }
            let near = is_unavailable(error.code()) && self.shared.age().is_some_and(|age| age < NEAR);
            sleep(backoff.next(if near { NEAR_CAP } else { backoff::CAP })).await;
        }
    }

    fn report(&self, error: &Error, unauthenticated: u32, delivered: bool) {
        self.shared.warnings.warn("the stream ended; connecting again", error);
        let refused = match error.code() {
            Code::PermissionDenied | Code::Unimplemented => true,
            Code::InvalidArgument => error.reason() != reason::BAD_RESUME_TOKEN,
            Code::Unauthenticated => unauthenticated >= 2,
            _ => false,
        };
        self.contact.send_modify(|contact| {
            contact.unavailable |= is_unavailable(error.code());
            contact.last_error = Some(error.clone());
            if refused && !delivered {
                contact.refused = Some(error.clone());
            }
        });
    }

    async fn stream(&mut self, delivered: &mut bool) -> Result<std::convert::Infallible> {
        let authorized = self.connection.for_stream().await?;
        self.machine.begin_stream();
        let request = authorized.request(WatchSlotsRequest {
            names: self.shared.names.iter().map(ToString::to_string).collect(),
            resume_token: self.machine.resume_token().to_owned(),
            allow_missing: true,
            view: self.view.on_the_wire().into(),
        });
        let mut client = SecretServiceClient::new(authorized.channel);
        let open = async {
            let mut stream = client.watch_slots(request).await?.into_inner();
            let first = stream.message().await?;
            Ok((stream, first))
        };
        let (mut stream, mut message) = self.heard_within(FIRST_MESSAGE_WITHIN, open).await?;
        loop {
            let message_now =
                message.ok_or_else(|| Error::new(Code::Unavailable, "", "the server ended the stream"))?;
            *delivered |= self.take(message_now)?;
            message = self.heard_within(SILENT_AFTER, stream.message()).await?;
        }
    }

    async fn heard_within<T>(
        &self,
        bound: Duration,
        wait: impl Future<Output = Result<T, tonic::Status>>,
    ) -> Result<T> {
        if let Ok(outcome) = timeout(bound, wait).await {
            return outcome.map_err(|status| Error::from_status(&status));
        }
        self.connection.abandon().await;
        Err(Error::new(Code::Unavailable, "", format!("no message for {} s", bound.as_secs())))
    }

    /// True for a `synced` or `progress`.
    fn take(&mut self, message: WatchSlotsResponse) -> Result<bool> {
        self.shared.heard_now();
        let changed = match self.machine.feed(message)? {
            Step::Nothing => return Ok(false),
            Step::Synced(states) => {
                self.shared.publish(&states);
                !states.is_empty()
            }
            Step::Progress => false,
        };
        self.save(changed);
        self.shared.set_stale(false);
        self.contact.send_if_modified(|contact| !std::mem::replace(&mut contact.made, true) || changed);
        Ok(true)
    }

    fn save(&self, changed: bool) {
        let (Some(cache), Some(position)) = (&self.cache, self.machine.position()) else { return };
        let states = self.shared.states().into_iter().filter(|state| state.epoch == position.epoch).collect();
        let resume_token = self.machine.resume_token().to_owned();
        let first = !self.contact.borrow().made;
        cache.save(
            Snapshot { view: self.view, position: position.clone(), resume_token, states },
            changed || first,
        );
    }
}

/// What is not the server's no, nor about us, is the server being away.
fn is_unavailable(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Cancelled | Code::Internal | Code::Unknown | Code::DeadlineExceeded)
}
