//! Which web pages may talk to us, as configured.

use serde::Deserialize;

/// Origins that browsers may connect from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Origins {
    /// All of them.
    Any,
    /// These only, each as a browser sends it: `https://example.org`.
    Only(Vec<String>),
}

impl Origins {
    /// Those that no browser can send: an origin is a scheme, a host and perhaps a port, and nothing more.
    pub(super) fn unlike_any(&self) -> impl Iterator<Item = &String> {
        let only = if let Self::Only(only) = self { only.as_slice() } else { &[] };
        only.iter().filter(|origin| {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_none_or(|host| host.is_empty() || host.contains(['/', '*', ' ']))
        })
    }
}

impl From<String> for Origins {
    fn from(text: String) -> Self {
        match text.trim() {
            "*" => Self::Any,
            list => {
                Self::Only(list.split(',').map(|o| o.trim().to_owned()).filter(|o| !o.is_empty()).collect())
            }
        }
    }
}
