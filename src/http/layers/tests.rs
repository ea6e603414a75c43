//! What the layers do to requests that are counted, that panic, or that take too long.

use std::future::pending;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderName, StatusCode},
    routing::{get, post},
};
use tower::ServiceExt;

use super::*;

async fn crash() -> &'static str {
    panic!("a wrong turn");
}

/// A service with these routes, whose requests may take this long, and its metrics.
fn service(request_timeout: Duration) -> (Router, Arc<Metrics>) {
    let router = Router::new()
        .route("/fine", get(async || "fine"))
        .route("/kept", get(async || ([(header::CACHE_CONTROL, "no-cache")], "kept")))
        .route("/items/{id}", post(async || "changed"))
        .route("/crash", get(crash))
        .route("/slow", get(pending::<()>))
        .route(super::super::JOB, get(pending::<()>))
        .route(super::super::SOCKETS, get(pending::<()>));
    let metrics = Arc::new(Metrics::new([]));
    let layers = Layers { metrics: Arc::clone(&metrics), request_timeout, cors: None };
    (around(router, layers), metrics)
}

fn request(method: &str, uri: &str) -> Request {
    Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
}

fn text(response: &Response, name: HeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn assert_problem(response: Response, status: StatusCode) {
    assert_eq!(response.status(), status);
    assert_eq!(text(&response, header::CONTENT_TYPE), "application/problem+json");
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    let problem: serde_json::Map<_, _> = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["status"], status.as_u16());
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_what_a_client_makes_up() {
    let (router, metrics) = service(Duration::ZERO);
    for (method, uri) in [
        ("GET", "/fine?token=x"),
        ("POST", "/items/17"),
        ("POST", "/items/18"),
        ("PUT", "/fine"),
        ("EVIL", "/nothing/a"),
    ] {
        router.clone().oneshot(request(method, uri)).await.unwrap();
    }
    let text = metrics.encode().unwrap();
    for counted in [
        r#"octavo_http_requests_total{route="/fine",method="GET",status="200"} 1"#,
        r#"octavo_http_requests_total{route="/items/{id}",method="POST",status="200"} 2"#,
        r#"octavo_http_requests_total{route="/fine",method="PUT",status="405"} 1"#,
        r#"octavo_http_requests_total{route="other",method="other",status="404"} 1"#,
        r#"octavo_http_request_duration_seconds_count{route="/items/{id}",method="POST"} 2"#,
    ] {
        assert!(text.contains(counted), "{counted} is missing in:\n{text}");
    }
    assert!(!text.contains("17") && !text.contains("token=x"), "{text}");
}

#[tokio::test]
async fn a_panic_is_an_answer_and_is_counted() {
    let (router, metrics) = service(Duration::ZERO);
    assert_problem(
        router.oneshot(request("GET", "/crash")).await.unwrap(),
        StatusCode::INTERNAL_SERVER_ERROR,
    )
    .await;
    assert!(metrics.encode().unwrap().contains("octavo_http_panics_total 1"));
}

#[tokio::test]
async fn what_takes_too_long_is_ended_unless_it_has_its_own_limit() {
    let (router, metrics) = service(Duration::from_millis(10));
    let response = router.clone().oneshot(request("GET", "/slow")).await.unwrap();
    assert_eq!(text(&response, header::RETRY_AFTER), "1");
    assert_problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
    for own in ["/v1/jobs/17?wait=60s", "/socket.io/?EIO=4"] {
        let answered = router.clone().oneshot(request("GET", own));
        assert!(timeout(Duration::from_millis(100), answered).await.is_err(), "{own}");
    }
    // Those two were given up by their client.
    let metrics = metrics.encode().unwrap();
    assert!(metrics.contains(r#"{route="/socket.io/",method="GET",status="499"} 1"#), "{metrics}");
}

#[tokio::test]
async fn every_answer_has_an_id_and_says_that_it_is_not_to_be_sniffed_or_kept() {
    let (router, _) = service(Duration::ZERO);
    for uri in ["/fine", "/crash", "/nothing"] {
        let response = router.clone().oneshot(request("GET", uri)).await.unwrap();
        assert_eq!(text(&response, request_id::HEADER).len(), 26, "{uri}");
        assert_eq!(text(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{uri}");
        assert_eq!(text(&response, header::CACHE_CONTROL), "no-store", "{uri}");
    }
    let response = router.oneshot(request("GET", "/kept")).await.unwrap();
    assert_eq!(text(&response, header::CACHE_CONTROL), "no-cache");
}

#[tokio::test]
async fn the_id_of_a_request_is_taken_if_it_is_short_and_visible() {
    let (router, _) = service(Duration::ZERO);
    let long = "x".repeat(65);
    for (id, is_taken) in
        [("abc-7", true), (&long[1..], true), (&long, false), ("a b", false), ("é", false), ("", false)]
    {
        let mut request = request("GET", "/fine");
        request.headers_mut().insert(request_id::HEADER, HeaderValue::from_bytes(id.as_bytes()).unwrap());
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(text(&response, request_id::HEADER) == id, is_taken, "{id}");
    }
}
