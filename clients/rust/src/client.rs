//! The client: one channel, credentials, and how a unary call is tried.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use secretslots_stubs::v1::secret_service_client::SecretServiceClient;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::backoff::{Backoff, CAP};
use crate::connection::{Authorized, Connection};
use crate::error::{Code, Error, Result, reason};
use crate::open::open as open_set;
use crate::options::{ConnectOptions, OpenOptions};
use crate::set::Set;
use crate::token::Token;

pub(crate) type Service = SecretServiceClient<Channel>;

/// A connection to one server. Cheap to clone; the channel is shared with the sets opened from it.
#[derive(Clone)]
pub struct Client {
    connection: Arc<Connection>,
    options: Arc<ConnectOptions>,
    timeout: Duration,
}

impl Client {
    /// Checks the options. Does no I/O: the first call connects.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for an ill-formed address, and with reason `PLAINTEXT_REFUSED` when a token would go to another
    /// machine in the clear.
    pub fn connect(options: ConnectOptions) -> Result<Self> {
        let connection = Arc::new(Connection::new(&options)?);
        Ok(Self { connection, timeout: options.timeout, options: Arc::new(options) })
    }

    /// The same client with another deadline for its unary calls.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Follows these secrets on one stream, and returns when each has a value.
    ///
    /// # Errors
    /// DEADLINE_EXCEEDED `SECRETS_MISSING` names the secrets that had no value in time, in metadata `missing`, joined
    /// by `,`. The server's own error when it says no. INVALID_ARGUMENT for ill-formed names or a bad cache key.
    pub async fn open<N: Into<String>>(
        &self,
        names: impl IntoIterator<Item = N>,
        options: OpenOptions,
    ) -> Result<Set> {
        open_set(Arc::clone(&self.connection), self.options.warnings.clone(), names, options).await
    }

    /// One unary call: UNAVAILABLE is tried again with backoff while the deadline leaves room for the wait, a refused
    /// token once if it has changed meanwhile.
    pub(crate) async fn call<Q, A, F, R>(&self, message: Q, rpc: F) -> Result<A>
    where
        Q: Clone,
        F: Fn(Service, Request<Q>) -> R,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut backoff = Backoff::default();
        let mut attempts = 1;
        let mut renewed = false;
        let mut authorized = within(deadline, self.connection.for_unary()).await?;
        loop {
            let mut request = authorized.request(message.clone());
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
            let service = SecretServiceClient::new(authorized.channel.clone());
            let answer = async { rpc(service, request).await.map_err(|status| Error::from_status(&status)) };
            let error = match within(deadline, answer).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(error) => error,
            };
            if attempts >= self.options.max_attempts {
                return Err(error);
            }
            if error.code() == Code::Unauthenticated && !std::mem::replace(&mut renewed, true) {
                authorized = self.renewed(&authorized, deadline, error).await?;
            } else if error.code() == Code::Unavailable {
                let wait = backoff.next(CAP).max(error.retry_after().unwrap_or_default());
                if Instant::now() + wait >= deadline {
                    return Err(error);
                }
                sleep(wait).await;
                authorized = within(deadline, self.connection.for_unary()).await?;
            } else {
                return Err(error);
            }
            attempts += 1;
        }
    }

    async fn renewed(&self, used: &Authorized, deadline: Instant, refusal: Error) -> Result<Authorized> {
        let renewed = within(deadline, self.connection.renewed(used)).await;
        renewed.ok().flatten().ok_or(refusal)
    }
}

async fn within<T>(deadline: Instant, answer: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Error::new(Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, "no answer within the deadline");
    timeout_at(deadline, answer).await.unwrap_or_else(|_| Err(late()))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).field("timeout", &self.timeout).finish()
    }
}

/// Client and set in one: follows these secrets with the default options. For others: [`Client::connect`] and
/// [`Client::open`].
///
/// # Errors
/// Those of both.
pub async fn open<N: Into<String>>(
    address: impl Into<String>,
    token: Token,
    names: impl IntoIterator<Item = N>,
) -> Result<Set> {
    Client::connect(ConnectOptions::new(address).token(token))?.open(names, OpenOptions::new()).await
}
