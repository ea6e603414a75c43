//! What the tests share: servers, settings, a running service, waiting.

use std::{path::Path, sync::Arc, time::Duration};

use octavo::{
    app::{App, RunError},
    auth::{Auth, Caller},
    config::{self, Config, Environment, Storage},
    queue::{Inbox, Room, apalis::ApalisQueue, log::RedisLog},
};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use reqwest::{Client, Method, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

pub const SECRET: &str = "a secret for tests only, 32 bytes long";

/// Nothing in these tests takes this long, unless it never comes.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A connection as producers have one, but one that waits for a slow machine.
pub async fn patient_redis(config: &Config) -> ConnectionManager {
    let redis = redis_of(config);
    let client = redis::Client::open((redis.host.as_str(), redis.port)).unwrap();
    let patience = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    client.get_connection_manager_with_config(patience).await.unwrap()
}

/// A value that `tests/run.sh` passes on; without it the servers are missing, which is an error.
#[expect(clippy::disallowed_methods, reason = "the tests are told where their servers are")]
pub fn server(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run tests/run.sh, it starts the servers"))
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    format!("{what}_{}", Ulid::generate()).to_lowercase()
}

/// The connection string of `database` on the server that `uri` names.
fn database_uri(uri: &str, database: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or_else(|| panic!("OCTAVO_TEST_MONGODB_URI is no URI"));
    let (server, options) = rest.split_once('?').map_or((rest, String::new()), |(s, o)| (s, format!("?{o}")));
    let hosts = server.split('/').next().unwrap_or_default();
    format!("{scheme}://{hosts}/{database}{options}")
}

/// Settings for real servers: prefixes and a database of this test's own.
pub fn servers(settings: &[(&str, &str)]) -> Config {
    let database = database_uri(&server("OCTAVO_TEST_MONGODB_URI"), &unique("octavo_test"));
    let mut env = Environment::from(
        [
            ("REDIS_HOST", server("OCTAVO_TEST_REDIS_HOST")),
            ("REDIS_PORT", server("OCTAVO_TEST_REDIS_PORT")),
            ("MONGODB_URI", database),
            ("JWT_SECRET", SECRET.to_owned()),
            ("PORT", "0".to_owned()),
            ("OCTAVO__SERVER__HOST", "127.0.0.1".to_owned()),
            ("OCTAVO__QUEUE__PREFIX", unique("it") + ":"),
            ("OCTAVO__BULL__PREFIX", unique("it")),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Config::load(None, &env).unwrap()
}

/// Settings for the embedded store in `dir`.
pub fn embedded(dir: &Path) -> Config {
    let env = [("PORT", "0"), ("JWT_SECRET", SECRET), ("OCTAVO__EMBEDDED__DIR", dir.to_str().unwrap())];
    Config::load(None, &env.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).unwrap()
}

/// Limits of a queue, with a lease of `lease`.
pub fn limits(prefix: &str, lease: Duration) -> config::Queue {
    config::Queue {
        prefix: prefix.to_owned(),
        concurrency: 8,
        claim_bytes: 1_500_000,
        lease,
        attempts: 3,
        max_crashes: 3,
        outcome_ttl: PATIENCE,
        outcome_bytes: 100_000,
        letter_ttl: PATIENCE,
    }
}

/// The servers that `config` names.
pub fn redis_of(config: &Config) -> &config::Redis {
    match &config.storage {
        Storage::Servers { redis, .. } => redis,
        Storage::Embedded { .. } => panic!("the embedded store has no Redis"),
    }
}

/// The queue `name` of a service on real servers, as another process has it.
pub async fn queue_of(config: &Config, name: &'static str) -> Arc<dyn Inbox> {
    let (_, redis) = octavo::queue::connect(redis_of(config)).await.unwrap();
    let log = RedisLog::new(redis.clone(), &config.queue);
    Arc::new(ApalisQueue::new(name, redis, &config.queue, &log))
}

/// The database of a service on real servers.
pub async fn database_of(config: &Config) -> mongodb::Database {
    let Storage::Servers { mongodb, .. } = &config.storage else {
        panic!("the embedded store has no MongoDB")
    };
    let client = mongodb::Client::with_uri_str(mongodb.uri.expose_secret()).await.unwrap();
    client.default_database().unwrap()
}

pub fn token(user: &str) -> String {
    Auth::new(&SECRET.into()).sign(user, Duration::from_mins(10)).unwrap()
}

pub fn caller(user: &str) -> Caller {
    Auth::new(&SECRET.into()).verify(&token(user)).unwrap()
}

/// The data of a create as a producer sends it.
pub fn create(user: &str, name: &str) -> Value {
    json!({
        "Id": user, "Token": token(user),
        "Name": name, "Description": "A ranger of the north", "Image": "data:,i", "Image_Real": "data:,r"
    })
}

/// Tries until there is something, for [`PATIENCE`].
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// A service that runs in this process.
pub struct Service {
    url: String,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
    client: Client,
    _dir: Option<TempDir>,
}

impl Service {
    pub async fn start(config: Config) -> Self {
        let app = App::build(config).await.unwrap();
        let url = format!("http://{}", app.addresses().main);
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(app.run(shutdown.clone()));
        Self { url, shutdown, running, client: Client::new(), _dir: None }
    }

    /// A service on the embedded store, in a folder of its own.
    pub async fn start_embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let service = Self::start(embedded(dir.path())).await;
        Self { _dir: Some(dir), ..service }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it; running jobs finish.
    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap().unwrap();
    }

    pub async fn post(&self, user: &str, queue: &str, data: Value) -> Response {
        let post = self.client.post(format!("{}/v1/jobs", self.url)).bearer_auth(token(user));
        post.json(&json!({ "queue": queue, "data": data })).send().await.unwrap()
    }

    /// Where a job of `user` stands.
    pub async fn job(&self, user: &str, id: &str) -> Option<Value> {
        let get = self.client.get(format!("{}/v1/jobs/{id}", self.url)).bearer_auth(token(user));
        let response = get.send().await.unwrap();
        (response.status() == StatusCode::OK).then_some(())?;
        Some(response.json().await.unwrap())
    }

    /// The outcome of a job, once there is one.
    pub async fn outcome(&self, user: &str, id: &str) -> Value {
        let outcome =
            async || self.job(user, id).await.map(|job| job["outcome"].clone()).filter(|o| !o.is_null());
        until("the job has an outcome", outcome).await
    }

    /// Posts a job and waits for its outcome.
    pub async fn done(&self, user: &str, queue: &str, data: Value) -> Value {
        let response = self.post(user, queue, data).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let accepted: Value = response.json().await.unwrap();
        self.outcome(user, accepted["id"].as_str().unwrap()).await
    }

    /// What an admin is told.
    pub async fn admin(&self, method: Method, path: &str) -> (StatusCode, Value) {
        let token = Auth::new(&SECRET.into()).sign_admin("root", PATIENCE).unwrap();
        let request = self.client.request(method, format!("{}/admin{path}", self.url)).bearer_auth(token);
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub async fn health(&self) -> Value {
        self.client.get(format!("{}/health", self.url)).send().await.unwrap().json().await.unwrap()
    }
}

/// What a claim may take, with no share for the newest.
pub fn room(jobs: usize, alone: bool) -> Room {
    Room { jobs, newest: 0, alone }
}
