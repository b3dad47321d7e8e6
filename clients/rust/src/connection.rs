//! One channel to the server, its token, and TLS that follows its files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use crate::address::Address;
use crate::error::{Code, Error, Result, reason};
use crate::options::{ConnectOptions, Tls};
use crate::shared::Warnings;
use crate::token::{Bearer, Freshness, TokenReader};

const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TLS_CHECK_EVERY: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("secretslots-rust/", env!("CARGO_PKG_VERSION"));

/// What one call goes out with.
#[derive(Clone)]
pub(crate) struct Authorized {
    pub channel: Channel,
    pub bearer: Option<Bearer>,
}

impl Authorized {
    pub fn request<Q>(&self, message: Q) -> tonic::Request<Q> {
        let mut request = tonic::Request::new(message);
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request
    }
}

pub(crate) struct Connection {
    address: Address,
    tls: Option<Tls>,
    token: TokenReader,
    warnings: Warnings,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    channel: Option<Channel>,
    files: Option<Files>,
    checked: Option<Instant>,
}

type Pem = Zeroizing<Vec<u8>>;

/// What the TLS files held.
#[derive(PartialEq)]
struct Files {
    ca: Option<Pem>,
    /// Certificate and key.
    identity: Option<(Pem, Pem)>,
}

impl Connection {
    /// Checks the options. Does no I/O.
    pub fn new(options: &ConnectOptions) -> Result<Self> {
        let address = Address::parse(&options.address)?;
        if options.tls.is_none() && !options.token.is_none() && !options.allow_plaintext && !address.is_local() {
            let message = format!("a token is not sent in the clear to {}: use TLS", options.address);
            return Err(Error::new(Code::InvalidArgument, reason::PLAINTEXT_REFUSED, message));
        }
        if options.tls.is_some() && matches!(address, Address::Unix(_)) {
            return Err(Error::invalid("tls", "is not spoken over a unix socket"));
        }
        Ok(Self {
            address,
            tls: options.tls.clone(),
            token: TokenReader::new(options.token.clone()),
            warnings: options.warnings.clone(),
            current: Mutex::default(),
        })
    }

    /// For a stream: token and TLS files are read now.
    pub async fn for_stream(&self) -> Result<Authorized> {
        let bearer = self.token.read(Freshness::Now).await?;
        Ok(Authorized { channel: self.channel(Duration::ZERO).await?, bearer })
    }

    /// For a unary call: a file read a moment ago is not read again.
    pub async fn for_unary(&self) -> Result<Authorized> {
        let bearer = self.token.read(Freshness::Second).await?;
        Ok(Authorized { channel: self.channel(TLS_CHECK_EVERY).await?, bearer })
    }

    /// The token read again after the server refused `used`, if it is another one now.
    pub async fn renewed(&self, used: &Authorized) -> Result<Option<Authorized>> {
        let bearer = self.token.read(Freshness::Now).await?;
        if bearer == used.bearer {
            return Ok(None);
        }
        Ok(Some(Authorized { channel: self.channel(TLS_CHECK_EVERY).await?, bearer }))
    }

    /// The next call gets a connection of its own making, for when this one went silent.
    pub async fn abandon(&self) {
        self.current.lock().await.channel = None;
    }

    /// Calls that are running keep the channel that they began on.
    async fn channel(&self, check_every: Duration) -> Result<Channel> {
        let mut current = self.current.lock().await;
        let due = current.checked.is_none_or(|checked| checked.elapsed() >= check_every);
        if let Some(tls) = self.tls.as_ref().filter(|_| due) {
            current.checked = Some(Instant::now());
            match self.reload(tls, &current).await {
                Ok(None) => {}
                Ok(Some((channel, files))) => {
                    current.channel = Some(channel);
                    current.files = Some(files);
                }
                Err(error) if current.files.is_none() => {
                    current.checked = None;
                    return Err(error);
                }
                Err(error) => self.warnings.warn("the last good TLS files are used", &error),
            }
        }
        if let Some(channel) = &current.channel {
            return Ok(channel.clone());
        }
        let channel = match (&self.tls, &current.files) {
            (Some(tls), Some(files)) => self.endpoint()?.tls_config(self.tls_config(tls, files)?),
            _ => Ok(self.endpoint()?),
        };
        let channel = channel.map_err(|error| bad_tls(&error))?.connect_lazy();
        Ok(current.channel.insert(channel).clone())
    }

    async fn reload(&self, tls: &Tls, current: &Current) -> Result<Option<(Channel, Files)>> {
        let files = Files::read(tls).await?;
        if current.files.as_ref() == Some(&files) {
            return Ok(None);
        }
        let config = self.tls_config(tls, &files)?;
        let endpoint = self.endpoint()?.tls_config(config).map_err(|error| bad_tls(&error))?;
        Ok(Some((endpoint.connect_lazy(), files)))
    }

    fn endpoint(&self) -> Result<Endpoint> {
        let endpoint = Endpoint::from_shared(self.address.uri(self.tls.is_some()))
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(|error| Error::invalid("address", error))?;
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT))
    }

    fn tls_config(&self, tls: &Tls, files: &Files) -> Result<ClientTlsConfig> {
        let mut config = match &files.ca {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(pem) if contains(pem, b"-----BEGIN CERTIFICATE-----") => {
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem.as_slice()))
            }
            Some(_) => return Err(Error::invalid("tls", "the CA file holds no certificate")),
        };
        if let Some((cert, key)) = &files.identity {
            config = config.identity(Identity::from_pem(cert.as_slice(), key.as_slice()));
        }
        let host = match &self.address {
            Address::Tcp { host, .. } => host,
            Address::Unix(_) => "localhost",
        };
        Ok(config.domain_name(tls.server_name.as_deref().unwrap_or(host)))
    }
}

impl Files {
    async fn read(tls: &Tls) -> Result<Self> {
        let ca = match &tls.ca {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        let identity = match &tls.identity {
            Some((cert, key)) => Some((read(cert).await?, read(key).await?)),
            None => None,
        };
        Ok(Self { ca, identity })
    }
}

async fn read(path: &PathBuf) -> Result<Pem> {
    let wrong = |error| Error::invalid("tls", format!("{}: {error}", Path::display(path)));
    tokio::fs::read(path).await.map(Zeroizing::new).map_err(wrong)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Says what is wrong with the files, not what they hold.
fn bad_tls(error: &(dyn std::error::Error + 'static)) -> Error {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    Error::invalid("tls", format!("{error}: {cause}"))
}
