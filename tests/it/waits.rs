//! Requests that wait for an outcome: how many may.

use reqwest::StatusCode;
use serde_json::json;
use ulid::Ulid;

use crate::support::{Service, create, patient_redis, servers, token, until};

#[tokio::test]
async fn more_waits_than_the_settings_allow_are_refused_and_looking_is_not() {
    let config = servers(&[("OCTAVO__SERVER__MAX_WAITS", "2")]);
    let id = Ulid::generate().to_string();
    let queue = format!("{}Create_Character", config.queue.prefix);
    let mut redis = patient_redis(&config).await;
    let data = create("ada", "Aria").to_string();
    // Due when all who wait for it have long given up.
    let _: () = redis::pipe()
        .hset(format!("{queue}:data"), &id, data)
        .zadd(format!("{queue}:scheduled"), &id, 9_999_999_999_u64)
        .query_async(&mut redis)
        .await
        .unwrap();
    let service = Service::start(config).await;
    let asked = async |query: &str| {
        let url = format!("{}/v1/jobs/{id}{query}", service.url());
        reqwest::Client::new().get(url).bearer_auth(token("ada")).send().await.unwrap()
    };
    let waits = [asked("?wait=60s"), asked("?wait=60s")];
    let refused = until("a third is refused", async || {
        let response = asked("?wait=1s").await;
        (response.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(response)
    });
    let refused = tokio::select! {
        refused = refused => refused,
        _ = futures_util::future::join_all(waits) => panic!("the waits are over"),
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    let looked = asked("").await;
    assert_eq!(looked.status(), StatusCode::OK);
    assert_eq!(looked.json::<serde_json::Value>().await.unwrap()["state"], json!("delayed"));
    until("the two that have gone make room", async || {
        (asked("?wait=1s").await.status() == StatusCode::OK).then_some(())
    })
    .await;
    service.stop().await;
}
