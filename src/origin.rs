//! Which web pages may connect. Browsers do not apply CORS to WebSockets, so the server checks for itself.

use axum::http::{HeaderMap, HeaderName, header};

use crate::config::Origins;

/// Whether the page that sent these headers may connect. Clients other than browsers send no `Origin`.
pub(crate) fn allowed(origins: &Origins, headers: &HeaderMap) -> bool {
    match (origins, text(headers, header::ORIGIN)) {
        (Origins::Any, _) | (_, None) => true,
        (Origins::Only(allowed), Some(origin)) => allowed.iter().any(|a| a == origin) || is_own(headers),
    }
}

/// Whether these headers come from our own page, or from a client that is not a browser.
fn is_own(headers: &HeaderMap) -> bool {
    let Some(origin) = text(headers, header::ORIGIN) else { return true };
    origin.split_once("://").is_some_and(|(_, host)| Some(host) == text(headers, header::HOST))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_origins_the_own_page_and_clients_without_one_are_allowed() {
        let only = Origins::from("https://a.example, https://b.example".to_owned());
        let check = |origin: Option<&str>| {
            let mut headers = HeaderMap::from_iter([(header::HOST, "octavo.example:4016".parse().unwrap())]);
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            allowed(&only, &headers)
        };
        assert!(check(Some("https://b.example")));
        assert!(check(Some("http://octavo.example:4016")));
        assert!(check(None));
        assert!(!check(Some("https://c.example")));
        assert!(!check(Some("null")));
    }
}
