//! Requests that wait for an outcome: how many may.

use reqwest::StatusCode;
use serde_json::json;
use ulid::Ulid;

use crate::support::{Service, create, patient_redis, servers, token, until};

#[tokio::test]
async fn more_waits_than_the_settings_allow_are_refused_and_looking_is_not() {
    let config = servers(&[("OCTAVO__SERVER__MAX_WAITS", "1")]);
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
    // Whichever comes first waits, and the other is refused until then.
    let long = until("it has waited", async || {
        (asked("?wait=60s").await.status() != StatusCode::SERVICE_UNAVAILABLE).then_some(())
    });
    let short = until("another one is refused", async || {
        let response = asked("?wait=1s").await;
        (response.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(response)
    });
    let refused = tokio::select! {
        refused = short => refused,
        () = long => panic!("the long wait is over"),
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    let looked = asked("").await;
    assert_eq!(looked.status(), StatusCode::OK);
    assert_eq!(looked.json::<serde_json::Value>().await.unwrap()["state"], json!("delayed"));
    until("the one that has gone makes room", async || {
        (asked("?wait=1s").await.status() == StatusCode::OK).then_some(())
    })
    .await;
    service.stop().await;
}
