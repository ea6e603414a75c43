//! Proof that a request comes from our own page, in a browser on this machine, with nothing in between.
//!
//! The page gets a secret with its HTML, and sends it back. A proxy would pass it on both ways, so neither is done for a
//! request with any trace of one. What is left is a proxy on this machine that changes `Host` and `Origin` to ours, speaks
//! HTTP/1.1, adds no header, and passes on even those that concern one connection only: it looks as a browser does.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderName, Version, header, request::Parts};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// The header in which the page sends its proof.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-octavo-page");

/// The headers that browsers send with the page's own requests, besides `sec-…`; a proxy adds others.
const BROWSERS: [&str; 22] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "dnt",
    "host",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "purpose",
    "referer",
    "save-data",
    "upgrade-insecure-requests",
    "user-agent",
    "x-octavo-page",
];

/// The page of one server.
pub(super) struct OwnPage {
    /// What `Host` may be.
    hosts: [String; 3],
    proof: String,
}

impl OwnPage {
    /// The page of the server at `port`, with a proof that nobody knows yet.
    pub(super) fn new(port: u16) -> Self {
        // A browser leaves out the port that http has anyway.
        let port = if port == 80 { String::new() } else { format!(":{port}") };
        let hosts = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}{port}"));
        Self { hosts, proof: BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()) }
    }

    /// The proof, if this request is a browser's navigation to the page.
    pub(super) fn proof(&self, peer: SocketAddr, request: &Parts) -> Option<&str> {
        let headers = &request.headers;
        let navigates = only(headers, &HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
        (self.host(peer, request).is_some() && navigates).then_some(&*self.proof)
    }

    /// Whether this request comes from the page.
    pub(super) fn sent(&self, peer: SocketAddr, request: &Parts) -> bool {
        let headers = &request.headers;
        let Some(host) = self.host(peer, request) else { return false };
        let origin = only(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
        let site = only(headers, &HeaderName::from_static("sec-fetch-site"));
        // Compared by hashes: how long that takes tells nothing.
        let proven = only(headers, &HEADER)
            .is_some_and(|proof| Sha256::digest(proof) == Sha256::digest(self.proof.as_str()));
        origin == Some(host) && site == Some("same-origin") && proven
    }

    /// The host that a request without any trace of a proxy was sent to, by one of our own names.
    fn host<'r>(&self, peer: SocketAddr, request: &'r Parts) -> Option<&'r str> {
        let headers = &request.headers;
        let known =
            |name: &HeaderName| BROWSERS.contains(&name.as_str()) || name.as_str().starts_with("sec-");
        let direct = peer.ip().to_canonical().is_loopback()
            && request.version == Version::HTTP_11
            && request.uri.authority().is_none()
            // It concerns one connection only: browsers send it, and a proxy drops it or says something else.
            && only(headers, &header::CONNECTION).is_some_and(|is| is.eq_ignore_ascii_case("keep-alive"))
            && headers.keys().all(known);
        only(headers, &header::HOST).filter(|host| direct && self.hosts.iter().any(|ours| ours == host))
    }
}

/// The value of a header that stands there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const PEER: &str = "127.0.0.1:50000";

    /// What a browser sends, with other values for some headers; an empty one means: without it.
    fn headers<'a>(page: &'a OwnPage, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut headers = vec![
            ("host", "localhost:4016"),
            ("connection", "keep-alive"),
            ("user-agent", "a browser"),
            ("sec-ch-ua-platform", "\"Linux\""),
            ("origin", "http://localhost:4016"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
            ("x-octavo-page", &page.proof),
        ];
        for &(name, value) in changes {
            headers.retain(|(had, _)| *had != name);
            if !value.is_empty() {
                headers.push((name, value));
            }
        }
        headers
    }

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn our_own_page_is_believed_by_each_of_our_names() {
        let page = OwnPage::new(4016);
        for host in ["localhost:4016", "127.0.0.1:4016", "[::1]:4016"] {
            let origin = format!("http://{host}");
            let sent = headers(&page, &[("host", host), ("origin", &origin)]);
            for peer in [PEER, "[::1]:1", "[::ffff:127.0.0.1]:1"] {
                assert!(page.sent(peer.parse().unwrap(), &parts("/v1/token", &sent)), "{host} {peer}");
            }
        }
    }

    #[test]
    fn a_trace_of_a_proxy_or_of_another_page_is_enough_to_be_refused() {
        let page = OwnPage::new(4016);
        let peer = PEER.parse().unwrap();
        let changes = [
            ("x-octavo-page", ""),
            ("x-octavo-page", "AAAA"),
            ("host", ""),
            ("host", "localhost"),
            ("host", "localhost:80"),
            ("host", "evil@localhost:4016"),
            ("host", "rebound.example:4016"),
            ("host", "LOCALHOST:4016"),
            ("origin", ""),
            ("origin", "null"),
            ("origin", "https://localhost:4016"),
            ("origin", "http://127.0.0.1:4016"),
            ("origin", "https://foreign.example"),
            ("sec-fetch-site", ""),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
            ("connection", ""),
            ("connection", "close"),
            ("connection", "keep-alive, upgrade"),
            ("forwarded", "for=10.0.0.7"),
            ("via", "1.1 proxy"),
            ("x-forwarded-for", "10.0.0.7"),
            ("x-forwarded-host", "public.example"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "10.0.0.7"),
            ("x-request-id", "7"),
            ("cf-connecting-ip", "10.0.0.7"),
            ("traceparent", "00-1-2-00"),
            ("te", "trailers"),
            ("x-whatever-comes", "1"),
        ];
        for change in changes {
            let sent = headers(&page, &[change]);
            assert!(!page.sent(peer, &parts("/v1/token", &sent)), "{change:?}");
        }
        let ours = headers(&page, &[]);
        let twice = |again| [&ours[..], &[again]].concat();
        for again in
            [("host", "localhost:4016"), ("origin", "http://localhost:4016"), ("sec-fetch-site", "none")]
        {
            assert!(!page.sent(peer, &parts("/v1/token", &twice(again))), "{again:?} twice");
        }
        assert!(!page.sent(peer, &parts("http://localhost:4016/v1/token", &ours)), "absolute form");
        assert!(!page.sent("10.0.0.7:1".parse().unwrap(), &parts("/v1/token", &ours)), "another machine");
        let mut old = parts("/v1/token", &ours);
        old.version = Version::HTTP_10;
        assert!(!page.sent(peer, &old), "HTTP/1.0");
        assert!(!OwnPage::new(4016).sent(peer, &parts("/v1/token", &ours)), "the proof of another process");
    }

    #[test]
    fn the_proof_is_given_to_a_browser_that_opens_the_page_and_to_no_proxy() {
        let page = OwnPage::new(4016);
        let peer = PEER.parse().unwrap();
        let open = [
            ("origin", ""),
            ("x-octavo-page", ""),
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "navigate"),
        ];
        let given = |change| {
            let opened = headers(&page, &[&open[..], &[change]].concat());
            page.proof(peer, &parts("/", &opened)).is_some()
        };
        assert!(given(("upgrade-insecure-requests", "1")));
        for change in [
            ("host", "public.example"),
            ("x-forwarded-for", "10.0.0.7"),
            ("connection", "close"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-mode", ""),
        ] {
            assert!(!given(change), "{change:?}");
        }
    }
}
