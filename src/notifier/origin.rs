//! Which web pages may open a socket. Browsers do not apply CORS to WebSockets, so the server looks itself.

use axum::http::{HeaderMap, header};

use crate::config::Origins;

/// Whether the page that sent these headers may connect. Clients that are no browsers send no `Origin`.
pub(super) fn allowed(origins: &Origins, headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Origins::Only(allowed), Some(origin)) = (origins, header(header::ORIGIN)) else { return true };
    let own = || origin.split_once("://").is_some_and(|(_, host)| Some(host) == header(header::HOST));
    allowed.iter().any(|allowed| allowed == origin) || own()
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
