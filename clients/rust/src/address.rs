//! Parsing `host:port`, `[v6]:port` and `unix:PATH`.

use std::net::IpAddr;

use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(String),
}

impl Address {
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("address", "must be host:port, [v6]:port or unix:PATH");
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Self::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let well_formed = match bracketed {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
            }
        };
        if !well_formed {
            return Err(wrong());
        }
        Ok(Self::Tcp { host: bracketed.unwrap_or(host).into(), port })
    }

    /// Whether what is sent stays on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
        }
    }

    pub fn uri(&self, tls: bool) -> String {
        let scheme = if tls { "https" } else { "http" };
        match self {
            Self::Unix(path) => format!("unix:{path}"),
            Self::Tcp { host, port } if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{scheme}://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms_and_nothing_else() {
        for (text, uri, local) in [
            ("localhost:1", "http://localhost:1", true),
            ("127.9.9.9:50051", "http://127.9.9.9:50051", true),
            ("[::1]:50051", "http://[::1]:50051", true),
            ("unix:/run/slots.sock", "unix:/run/slots.sock", true),
            ("[2001:db8::1]:50051", "http://[2001:db8::1]:50051", false),
            ("slots.internal:50051", "http://slots.internal:50051", false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.uri(false).as_str(), address.is_local()), (uri, local), "{text}");
        }
        for text in ["", "host", "host:", ":1", "host:65536", "::1:50051", "[::1]", "[x]:1", "http://a:1", "unix:"]
        {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
