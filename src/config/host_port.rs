//! Addresses of servers, as written in a list.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error};

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    /// `host:port`, with brackets around an IPv6 address.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.rsplit_once(':').and_then(|(host, port)| {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let host = bare.unwrap_or(host);
            let is_host =
                !host.is_empty() && !host.contains(['/', '@']) && (bare.is_some() || !host.contains(':'));
            Some(Self { host: host.to_owned(), port: port.parse().ok()? }).filter(|_| is_host)
        });
        // There may be a password before an @.
        let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
        parsed.ok_or_else(|| format!("\"{shown}\" is not an address like sentinel-1.example.org:26379"))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Addresses separated by commas.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HostPort>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    texts.map(str::parse).collect::<Result<_, _>>().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["localhost:26379", "10.0.0.1:1", "[::1]:26379", "a.example.org:65535"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_password_before_an_address_is_not_told() {
        assert!(!"redis://:hunter2@a:1".parse::<HostPort>().unwrap_err().contains("hunter2"));
    }

    #[test]
    fn what_is_no_address_is_told() {
        for text in
            ["localhost", "localhost:", ":26379", "localhost:99999", "::1:26379", "redis://a:1", "[]:1"]
        {
            assert!(text.parse::<HostPort>().unwrap_err().contains(text), "{text}");
        }
    }
}
