//! What the bench measures.

use reqwest::Url;

use super::{CliError, options::Options, stage::PREFIX};

/// A service that the bench measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Candidate {
    /// This binary, with this many nodes.
    Octavo(usize),
    /// A service started by a command.
    Command(String),
    /// A service already running at `host:port`, as this process if known.
    At(String, Option<u32>),
}

impl Candidate {
    /// The peer that the options name.
    pub(super) fn peer(options: &Options) -> Result<Option<Self>, CliError> {
        if let Some(command) = &options.peer_command {
            return Ok(Some(Self::Command(command.clone())));
        }
        let Some(url) = &options.peer else { return Ok(None) };
        let address = Url::parse(url).ok().and_then(|url| Some((url.host_str()?.to_owned(), url.port()?)));
        let (host, port) = address.ok_or_else(|| format!("--peer {url}: write http://HOST:PORT"))?;
        Ok(Some(Self::At(format!("{host}:{port}"), options.peer_pid)))
    }

    /// The name on its rows.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Octavo(1) => "octavo",
            Self::Octavo(_) => "octavo, two nodes",
            Self::Command(_) | Self::At(..) => "peer",
        }
    }

    /// The prefix of the keys of its Bull queues.
    pub(super) fn bull_prefix(&self) -> String {
        if self.is_octavo() { format!("{PREFIX}_bull") } else { "bull".to_owned() }
    }

    pub(super) fn is_octavo(&self) -> bool {
        matches!(self, Self::Octavo(_))
    }
}
