//! What the libraries do that shaped our code. A test that fails here says that a library has changed, and that the
//! code which works around it may go.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use apalis_core::{
    backend::TaskSink,
    worker::{builder::WorkerBuilder, context::WorkerContext},
};
use apalis_redis::{Config as Layout, RedisStorage, queries::fetch_next};
use redis::AsyncCommands;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::support::{add, patient_redis, queue_of, redis_of, servers, unique};

async fn storage(name: &str) -> RedisStorage<u32, redis::aio::ConnectionManager> {
    RedisStorage::new(patient_redis(&servers(&[])).await).with_config(Layout::default().queue(name))
}

/// Why `claim.lua` is ours.
#[tokio::test]
async fn the_stock_storage_cannot_fetch_from_a_long_backlog() {
    let name = unique("facts");
    let mut storage = storage(&name).await;
    for _ in 0..9 {
        storage.push_bulk((0..1000).collect()).await.unwrap();
    }
    let layout = storage.get_config().clone();
    let mut redis = storage.get_connection().clone();
    let worker = WorkerContext::from("facts");
    let _: () = redis.zadd(layout.workers_set(), "facts", 1).await.unwrap();
    let error = fetch_next(&mut redis, &worker, &layout).await.unwrap_err().to_string();
    assert!(error.contains("too many results to unpack"), "{error}");
}

/// Why we listen for changed keys: a stock push gives no signal that could be waited for.
#[tokio::test]
async fn a_stock_push_goes_to_the_sorted_set_without_a_signal() {
    let name = unique("facts");
    let mut storage = storage(&name).await;
    storage.push(7).await.unwrap();
    let mut redis = storage.get_connection().clone();
    let mut keys: Vec<String> = redis.keys(format!("{name}:*")).await.unwrap();
    keys.sort();
    assert_eq!(keys[0], format!("{name}:data"));
    assert!(keys[1].starts_with(&format!("{name}:meta:")));
    assert_eq!(keys[2..], [format!("{name}:scheduled")]);
}

/// Why our backend stops its worker when it ends.
#[tokio::test]
async fn a_worker_does_not_end_with_its_backend() {
    let backend = apalis_core::backend::dequeue::VecDequeBackend::<u32>::new();
    let mut sink = backend.clone();
    sink.push(7).await.unwrap();
    let worker = WorkerBuilder::new("facts").backend(backend).build(async |_: u32| {});
    let running = tokio::time::timeout(std::time::Duration::from_secs(1), worker.run());
    assert!(running.await.is_err(), "it ended");
}

/// Why `push.lua` writes what it does: to other readers of the layout, our jobs look as those of a stock push.
#[tokio::test]
async fn a_job_of_ours_looks_as_one_of_a_stock_push() {
    let config = servers(&[]);
    let queue = queue_of(&config, "Create_Character").await;
    let name = format!("{}Create_Character", config.queue.prefix);
    let mut storage = storage(&name).await;
    let ours = add(&*queue, *b"7").await;
    storage.push(7).await.unwrap();
    let mut redis = storage.get_connection().clone();
    let data: HashMap<String, String> = redis.hgetall(format!("{name}:data")).await.unwrap();
    let due: HashMap<String, f64> =
        redis.zrange_withscores(format!("{name}:scheduled"), 0, -1).await.unwrap();
    let stock = data.keys().find(|id| **id != ours).unwrap();
    let mut meta = async |id: &str| -> BTreeMap<String, String> {
        redis.hgetall(format!("{name}:meta:{id}")).await.unwrap()
    };
    assert_eq!(meta(&ours).await, meta(stock).await);
    assert_eq!(data[&ours], data[stock]);
    assert!((due[&ours] - due[stock]).abs() <= 10.0, "{due:?}");
}

/// Why the connection is ours: a `ConnectionManager` stays with a connection on which nothing is answered any more.
#[tokio::test]
async fn a_connection_manager_keeps_a_silent_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, silent) = (listener.local_addr().unwrap(), CancellationToken::new());
    let (connections, muted) = (Arc::new(AtomicUsize::new(0)), silent.clone());
    let (opened, config) = (Arc::clone(&connections), servers(&[]));
    let proxy = tokio::spawn(async move {
        let mut passed = JoinSet::new();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            opened.fetch_add(1, Ordering::Relaxed);
            let (redis, muted) = (redis_of(&config).clone(), muted.clone());
            passed.spawn(async move {
                let mut redis = TcpStream::connect((redis.host, redis.port)).await.unwrap();
                muted.run_until_cancelled(tokio::io::copy_bidirectional(&mut client, &mut redis)).await;
                std::future::pending::<()>().await;
            });
        }
    });
    let client = redis::Client::open(format!("redis://{address}")).unwrap();
    let mut manager = client.get_connection_manager().await.unwrap();
    let _: String = redis::cmd("PING").query_async(&mut manager).await.unwrap();
    silent.cancel();
    for _ in 0..3 {
        assert!(redis::cmd("PING").query_async::<String>(&mut manager).await.unwrap_err().is_timeout());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1, "it made a new one");
    proxy.abort();
}
