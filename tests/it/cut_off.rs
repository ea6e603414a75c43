//! What is asked of the MongoDB store while its connections are lost.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::{join, join_all};
use mongodb::bson::oid::ObjectId;
use octavo::character::{
    Store,
    store::{MongoStore, StoreError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    effects::{AGAIN, created, delete, rename, there},
    gathering::{MANY, create},
    stores::{character, mongo},
    support::{caller, server, servers, unique, until},
};

/// A way to the server that can be cut.
struct Way {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _passing: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// Ends the connections that are there.
    cut: CancellationToken,
    /// The next message with these bytes ends its connection, before or after the server has done what it says, or is held.
    trap: Option<(&'static [u8], When)>,
    /// Lets what is held go on.
    release: CancellationToken,
}

#[derive(Debug, Clone, Copy)]
enum When {
    Before,
    After,
    Held,
}

impl Way {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let uri = server("OCTAVO_TEST_MONGODB_URI");
        let host = uri.split("://").nth(1).unwrap().split(['/', '?']).next().unwrap().to_owned();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let passing = tokio::spawn(async move {
            let mut passed = JoinSet::new();
            loop {
                let client = listener.accept().await.unwrap().0;
                let (closed, cut) = {
                    let state = shared.lock().unwrap();
                    (state.closed, state.cut.clone())
                };
                if !closed {
                    let server = TcpStream::connect(&host).await.unwrap();
                    let passing = pass(client, server, Arc::clone(&shared));
                    passed.spawn(async move { cut.run_until_cancelled(passing).await });
                }
            }
        });
        Self { address, state, _passing: passing }
    }

    /// A store whose way this is, and whose patience is short.
    async fn store(&self) -> MongoStore {
        let uri = format!("mongodb://{}/{}?directConnection=true", self.address, unique("octavo_test"));
        mongo(&servers(&[("MONGODB_URI", &uri), ("OCTAVO__MONGODB__TIMEOUT_SECONDS", "2")])).await
    }

    /// Cuts the connections that are there, and lets no new ones pass.
    fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.closed = true;
        std::mem::take(&mut state.cut).cancel();
    }

    fn open(&self) {
        self.state.lock().unwrap().closed = false;
    }

    fn trap(&self, command: &'static [u8], when: When) {
        self.state.lock().unwrap().trap = Some((command, when));
    }

    fn is_sprung(&self) -> bool {
        self.state.lock().unwrap().trap.is_none()
    }
}

/// Passes on what each side says, until one ends.
async fn pass(mut client: TcpStream, mut server: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let message = &asked[..read?];
                let is_trapped = |(bytes, _): &mut (&[u8], _)| message.windows(bytes.len()).any(|w| w == *bytes);
                let trapped = state.lock().unwrap().trap.take_if(is_trapped);
                if message.is_empty() || matches!(trapped, Some((_, When::Before))) {
                    return Ok(());
                }
                if matches!(trapped, Some((_, When::Held))) {
                    let release = state.lock().unwrap().release.clone();
                    release.cancelled().await;
                }
                server.write_all(message).await?;
                if matches!(trapped, Some((_, When::After))) {
                    return server.read(&mut answered).await.map(|_| ());
                }
            }
            read = server.read(&mut answered) => match read? {
                0 => return Ok(()),
                read => client.write_all(&answered[..read]).await?,
            },
        }
    }
}

#[tokio::test]
async fn an_update_or_a_delete_whose_connection_is_lost_is_tried_once_more() {
    let way = Way::new().await;
    let store = way.store().await;
    for when in [When::Before, When::After] {
        let id = created(&store).await.id;
        way.trap(b"updates\0", when);
        assert!(rename(&store, "u1", id, "new", ObjectId::new()).await);
        assert!(way.is_sprung(), "{when:?} an update");
        way.trap(b"deletes\0", when);
        assert!(delete(&store, id, ObjectId::new()).await);
        assert!(way.is_sprung(), "{when:?} a delete");
    }
    assert_eq!(there(&store).await, []);
}

#[tokio::test]
async fn what_gathers_while_the_server_is_away_may_be_tried_again() {
    let way = Way::new().await;
    let store = way.store().await;
    let (old, job) = (created(&store).await.id, ObjectId::new());
    let all: Vec<_> = (0..MANY).map(|n| character("u1", &format!("c{n}"), 0)).collect();
    way.close();
    let deletes = join_all((0..MANY).map(async |_| store.delete(&caller("u1"), old, job).await));
    let (created, gone) = join(create(&store, &all), deletes).await;
    for away in created.into_iter().chain(gone.into_iter().map(|gone| gone.map(|_| ()))) {
        assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    }
    way.open();
    until("the store answers", async || store.ping().await.ok()).await;
    for created in create(&store, &all).await {
        created.unwrap();
    }
    assert!(delete(&store, old, job).await);
}

#[tokio::test]
async fn a_create_that_comes_late_and_that_nobody_waits_for_brings_no_deleted_character_back() {
    let way = Way::new().await;
    let store = Arc::new(way.store().await);
    let character = character("u1", "c", 0);
    way.trap(b"documents\0", When::Held);
    let first = tokio::spawn({
        let (store, character) = (Arc::clone(&store), character.clone());
        async move { store.create(character, AGAIN).await }
    });
    until("it is on its way", async || way.is_sprung().then_some(())).await;
    first.abort();
    store.create(character.clone(), AGAIN).await.unwrap();
    assert!(delete(&*store, character.id, ObjectId::new()).await);
    way.state.lock().unwrap().release.cancel();
    // Without a look of its own, it would be there within milliseconds, and stay.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(there(&*store).await, []);
}
