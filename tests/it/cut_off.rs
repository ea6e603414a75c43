//! What is asked of the MongoDB store while its connections are lost.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::{join, join_all};
use mongodb::bson::oid::ObjectId;
use octavo::character::{
    Store,
    store::{MongoStore, StoreError},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    effects::{created, delete, rename, there},
    gathering::{MANY, create},
    stores::{character, mongo},
    support::{caller, server, servers, unique, until},
};

/// A way to the server that can be cut.
struct Way {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    cut: Arc<Mutex<CancellationToken>>,
    _passing: JoinHandle<()>,
}

impl Way {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let uri = server("OCTAVO_TEST_MONGODB_URI");
        let host = uri.split("://").nth(1).unwrap().split(['/', '?']).next().unwrap().to_owned();
        let cut = Arc::new(Mutex::new(CancellationToken::new()));
        let open = Arc::new(AtomicBool::new(true));
        let (current, passable) = (Arc::clone(&cut), Arc::clone(&open));
        let passing = tokio::spawn(async move {
            let mut passed = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                if !passable.load(Ordering::Relaxed) {
                    continue;
                }
                let mut server = TcpStream::connect(&host).await.unwrap();
                let cut = current.lock().unwrap().clone();
                passed.spawn(async move {
                    cut.run_until_cancelled(tokio::io::copy_bidirectional(&mut client, &mut server)).await;
                });
            }
        });
        Self { address, open, cut, _passing: passing }
    }

    /// A store whose way this is, and whose patience is short.
    async fn store(&self) -> MongoStore {
        let uri = format!("mongodb://{}/{}?directConnection=true", self.address, unique("octavo_test"));
        mongo(&servers(&[("MONGODB_URI", &uri), ("OCTAVO__MONGODB__TIMEOUT_SECONDS", "2")])).await
    }

    /// Cuts the connections that are there; new ones pass if the way is `open`.
    fn cut(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
        std::mem::take(&mut *self.cut.lock().unwrap()).cancel();
    }
}

#[tokio::test]
async fn updates_and_deletes_are_tried_again_on_a_new_connection() {
    let way = Way::new().await;
    let store = way.store().await;
    for _ in 0..5 {
        let id = created(&store).await.id;
        way.cut(true);
        assert!(rename(&store, "u1", id, "new", ObjectId::new()).await);
        way.cut(true);
        assert!(delete(&store, id, ObjectId::new()).await);
    }
    assert_eq!(there(&store).await, []);
}

#[tokio::test]
async fn what_gathers_while_the_server_is_away_may_be_tried_again() {
    let way = Way::new().await;
    let store = way.store().await;
    let (old, job) = (created(&store).await.id, ObjectId::new());
    let all: Vec<_> = (0..MANY).map(|n| character("u1", &format!("c{n}"), 0)).collect();
    way.cut(false);
    let deletes = join_all((0..MANY).map(async |_| store.delete(&caller("u1"), old, job).await));
    let (created, gone) = join(create(&store, &all), deletes).await;
    for away in created.into_iter().chain(gone.into_iter().map(|gone| gone.map(|_| ()))) {
        assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    }
    way.cut(true);
    until("the store answers", async || store.ping().await.ok()).await;
    for created in create(&store, &all).await {
        created.unwrap();
    }
    assert!(delete(&store, old, job).await);
}
