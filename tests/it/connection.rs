//! The connection to Redis, when it is cut.

use std::sync::Arc;

use octavo::{
    config::{self, HostPort},
    queue::{Connection, connect},
};
use redis::RedisResult;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

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

/// What a Sentinel of the test answers, and when: once it may, and then the other one may.
struct Says {
    master: HostPort,
    epoch: u64,
    may: Arc<Semaphore>,
    next: Arc<Semaphore>,
}

impl Says {
    async fn serve(self) -> HostPort {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who asks may go away in the middle.
                self.answer(BufReader::new(stream)).await.ok();
            }
        });
        HostPort { host: "127.0.0.1".to_owned(), port }
    }

    async fn answer(&self, mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
        loop {
            let mut line = async || -> std::io::Result<String> {
                let mut line = String::new();
                stream.read_line(&mut line).await?;
                Ok(line.trim_end().to_owned())
            };
            let Ok(parts) = line().await?.trim_start_matches('*').parse::<usize>() else { return Ok(()) };
            let mut command = Vec::new();
            for _ in 0..parts {
                line().await?;
                command.push(line().await?);
            }
            let HostPort { host, port } = &self.master;
            let fields = match command.get(1).map(String::as_str) {
                Some("GET-MASTER-ADDR-BY-NAME") => {
                    self.may.acquire().await.unwrap().forget();
                    [host.clone(), port.to_string()]
                }
                Some("MASTER") => ["config-epoch".to_owned(), self.epoch.to_string()],
                _ => {
                    stream.write_all(b"+OK\r\n").await?;
                    continue;
                }
            };
            let fields = fields.map(|field| format!("${}\r\n{field}\r\n", field.len())).concat();
            stream.write_all(format!("*2\r\n{fields}").as_bytes()).await?;
            if command[1] == "MASTER" {
                self.next.add_permits(1);
            }
        }
    }
}

/// Connects with two Sentinels, of which the first answers first.
async fn connect_by(said: [(&HostPort, u64); 2]) -> RedisResult<()> {
    let [first, second, done] = [1, 0, 0].map(|permits| Arc::new(Semaphore::new(permits)));
    let turns = [(first, Arc::clone(&second)), (second, done)];
    let mut sentinels = Vec::new();
    for ((master, epoch), (may, next)) in said.into_iter().zip(turns) {
        sentinels.push(Says { master: master.clone(), epoch, may, next }.serve().await);
    }
    let config = servers(&[]);
    let redis = config::Redis { sentinels, ..redis_of(&config).clone() };
    connect(&redis).await.map(|_| ())
}

#[tokio::test]
async fn of_two_masters_that_sentinels_name_the_one_of_the_older_configuration_is_not_believed() {
    let config = servers(&[]);
    let config::Redis { host, port, .. } = redis_of(&config).clone();
    let there = HostPort { host, port };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = HostPort { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
    drop(listener);
    for [first, second] in [[4, 5], [5, 4]] {
        let there_is_newer = second > first;
        let found = connect_by([(&away, first), (&there, second)]).await;
        assert_eq!(found.is_ok(), there_is_newer, "{found:?}");
        let found = connect_by([(&there, first), (&away, second)]).await;
        assert_eq!(found.is_ok(), !there_is_newer, "{found:?}");
    }
    connect_by([(&away, 4), (&there, 4)]).await.unwrap();
}
