//! The connection to Redis, when it is cut.

use octavo::queue::{Connection, connect};
use redis::RedisResult;

use crate::support::{redis_of, servers};

async fn ping(redis: &mut Connection) -> RedisResult<String> {
    redis::cmd("PING").query_async(redis).await
}

async fn id_of(redis: &mut Connection) -> RedisResult<u64> {
    redis::cmd("CLIENT").arg("ID").query_async(redis).await
}

#[tokio::test]
async fn an_idle_connection_that_was_killed_is_made_anew_before_anybody_needs_it() {
    let config = servers(&[]);
    let (_, mut redis) = connect(redis_of(&config)).await.unwrap();
    let (_, mut other) = connect(redis_of(&config)).await.unwrap();
    for _ in 0..20 {
        let id = id_of(&mut redis).await.unwrap();
        let killed: u64 =
            redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query_async(&mut other).await.unwrap();
        assert_eq!(killed, 1);
        // The command that goes out before the loss is known fails, and no other.
        if ping(&mut redis).await.is_err() {
            assert_eq!(ping(&mut redis).await.unwrap(), "PONG");
        }
        assert_ne!(id_of(&mut redis).await.unwrap(), id);
    }
}

#[tokio::test]
async fn all_who_share_a_connection_get_the_same_new_one() {
    let config = servers(&[]);
    let (_, mut redis) = connect(redis_of(&config)).await.unwrap();
    let (_, mut other) = connect(redis_of(&config)).await.unwrap();
    let id = id_of(&mut redis).await.unwrap();
    let _: u64 = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query_async(&mut other).await.unwrap();
    // It meets the loss, or comes after it.
    ping(&mut redis).await.ok();
    let mut clones: Vec<_> = (0..50).map(|_| redis.clone()).collect();
    let ids = futures_util::future::join_all(clones.iter_mut().map(id_of)).await;
    let first = *ids[0].as_ref().unwrap();
    assert!(ids.iter().all(|id| *id.as_ref().unwrap() == first), "{ids:?}");
    assert_ne!(first, id);
}
