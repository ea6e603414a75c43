//! The whole service, in this process: jobs go in by every way, and come out as they should.

use std::time::Duration;

use apalis_core::backend::TaskSink;
use apalis_redis::{Config as Layout, RedisStorage};
use mongodb::bson::{Document, doc, oid::ObjectId};
use octavo::{
    auth::Auth,
    character::{self, store::MongoStore},
    config::{Config, Storage},
    embedded::Embedded,
    queue::{Inbox, embedded::EmbeddedQueue, new_lease},
};
use redis::{AsyncCommands, aio::ConnectionManager};
use serde_json::{Value, json};

use crate::support::{
    SECRET, Service, add, caller, create, database_of, embedded, patient_redis, queue_of, room, servers,
    token, until,
};

#[tokio::test]
async fn a_posted_job_is_done_with_every_storage() {
    for service in [Service::start_embedded().await, Service::start(servers(&[])).await] {
        let outcome = service.done("ada", "Create_Character", create("ada", "Aria")).await;
        assert_eq!(outcome, json!({ "Message": "Character created correctly", "Status": true }));
        let read = service.done("ada", "Read_Character", json!({})).await;
        assert_eq!(read["Message"][0]["Name"], "Aria");
        service.stop().await;
    }
}

/// The stock storage of apalis-redis, as a Rust producer of the platform has it.
async fn stock(config: &Config, queue: &str) -> RedisStorage<Value, ConnectionManager> {
    RedisStorage::new(patient_redis(config).await).with_config(Layout::default().queue(queue))
}

#[tokio::test]
async fn a_job_pushed_by_the_stock_storage_is_done() {
    let config = servers(&[("OCTAVO__QUEUE__PREFIX", "")]);
    let service = Service::start(config.clone()).await;
    stock(&config, "Create_Character").await.push(create("ada", "Aria")).await.unwrap();
    let read = async || {
        let read = service.done("ada", "Read_Character", json!({})).await;
        read["Message"].as_array().is_some_and(|found| found.len() == 1).then_some(())
    };
    until("the character is there", read).await;
    service.stop().await;
}

#[tokio::test]
async fn an_idle_service_is_woken_by_a_stock_push() {
    let config = servers(&[]);
    let service = Service::start(config.clone()).await;
    let name = format!("{}Create_Character", config.queue.prefix);
    let mut storage = stock(&config, &name).await;
    let characters = database_of(&config).await.collection::<Document>("Characters");
    let started = std::time::Instant::now();
    for n in 1..=10 {
        storage.push(create("ada", "Aria")).await.unwrap();
        let count = async || (characters.count_documents(doc! {}).await.unwrap() == n).then_some(());
        until("the character is there", count).await;
    }
    // A service that polls every 5 s, as this one does should a wake be lost, would need 40 s or so.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    service.stop().await;
}

#[tokio::test]
async fn twenty_thousand_waiting_jobs_are_drained_and_an_undecodable_one_among_them_is_buried() {
    const JOBS: u64 = 20_000;
    let config = servers(&[]);
    let name = format!("{}Create_Character", config.queue.prefix);
    let mut storage = stock(&config, &name).await;
    for _ in 0..JOBS / 1000 {
        storage.push_bulk(vec![create("ada", "Aria"); 1000]).await.unwrap();
    }
    let mut redis = storage.get_connection().clone();
    let spoiled: Vec<String> = redis.zrange(format!("{name}:scheduled"), 7_777, 7_777).await.unwrap();
    let _: () = redis.hset(format!("{name}:data"), &spoiled[0], b"\x00\xff not json").await.unwrap();

    let service = Service::start(config.clone()).await;
    let queue = queue_of(&config, "Create_Character").await;
    let drained = async || {
        let counts = queue.counts().await.unwrap();
        (counts.waiting + counts.active + counts.delayed == 0).then_some(counts.dead)
    };
    assert_eq!(until("the queue is drained", drained).await, 1);
    let characters = database_of(&config).await.collection::<Document>("Characters");
    assert_eq!(characters.count_documents(doc! {}).await.unwrap(), JOBS - 1);
    let reason: String = redis
        .hget(
            format!("{}octavo:letter:apalis:Create_Character:{}", config.queue.prefix, spoiled[0]),
            "reason",
        )
        .await
        .unwrap();
    assert!(reason.contains("data must be a JSON object"), "{reason}");
    service.stop().await;
}

#[tokio::test]
async fn a_create_whose_process_died_between_insert_and_ack_leaves_one_character() {
    let config = servers(&[("OCTAVO__QUEUE__LEASE_SECONDS", "3"), ("OCTAVO__REDIS__TIMEOUT_SECONDS", "2")]);
    let queue = queue_of(&config, "Create_Character").await;
    let id = add(&*queue, create("ada", "Aria").to_string().into_bytes()).await;

    // A process claims the job, inserts, and dies.
    run_and_die(&config, &*queue).await;

    let service = Service::start(config.clone()).await;
    let outcome = service.outcome("ada", &id).await;
    assert_eq!(outcome, json!({ "Message": "Character created correctly", "Status": true }));
    let written = database_of(&config).await.collection::<Document>("Characters");
    assert_eq!(written.count_documents(doc! {}).await.unwrap(), 1);
    service.stop().await;
}

#[tokio::test]
async fn a_delete_whose_process_died_before_the_ack_answers_as_the_first_run_did() {
    let config = servers(&[("OCTAVO__QUEUE__LEASE_SECONDS", "3"), ("OCTAVO__REDIS__TIMEOUT_SECONDS", "2")]);
    let creates = queue_of(&config, "Create_Character").await;
    let made = add(&*creates, create("ada", "Aria").to_string().into_bytes()).await;
    run_and_die(&config, &*creates).await;
    let written = database_of(&config).await.collection::<Document>("Characters");
    let there = written.find_one(doc! {}).await.unwrap().unwrap().get_object_id("_id").unwrap();
    let never_there = ObjectId::new();

    let deletes = queue_of(&config, "Delete_Character").await;
    let mut jobs = Vec::new();
    for (id, status) in [(there, true), (never_there, false)] {
        let data = json!({ "Id": "ada", "Token": token("ada"), "Id_Character": id.to_hex() });
        jobs.push((add(&*deletes, data.to_string().into_bytes()).await, status));
        run_and_die(&config, &*deletes).await;
    }

    let service = Service::start(config).await;
    for (job, status) in jobs {
        assert_eq!(service.outcome("ada", &job).await["Status"], status);
    }
    // The create is run again too, after the delete.
    assert_eq!(service.outcome("ada", &made).await["Status"], true);
    assert_eq!(written.count_documents(doc! {}).await.unwrap(), 0);
    service.stop().await;
}

/// What is left of a process that claims the next job of `queue`, runs it, and dies.
async fn run_and_die(config: &Config, queue: &dyn Inbox) {
    let job = queue.claim(&new_lease(), room(1, false)).await.unwrap().jobs.remove(0);
    let Storage::Servers { mongodb, .. } = &config.storage else { panic!("no MongoDB") };
    let store = MongoStore::connect(mongodb, 1).await.unwrap();
    let characters = character::Characters::new(std::sync::Arc::new(store), 1 << 20);
    let command = octavo::pipeline::Domain::parse(&characters, job.queue, &job.data).unwrap().command;
    let ran = octavo::pipeline::Domain::run(&characters, &caller("ada"), &job.origin(), command).await;
    assert!(matches!(ran, Ok(_) | Err(octavo::outcome::Failure::Refused(_))), "{ran:?}");
}

/// Data that no command can be made of; `TOKEN` stands for a good one.
const UNDECODABLE: [&str; 9] = [
    // Nobody's: these leave a letter for an operator.
    "null",
    "7",
    "[]",
    r#""text""#,
    "{",
    "\u{0}",
    r#"{"Id": 7, "Token": "TOKEN"}"#,
    // Ada's, who is told.
    r#"{"Id": "ada", "Token": "TOKEN"}"#,
    r#"{"Id": "ada", "Token": "TOKEN", "Name": {"$gt": ""}, "Description": "", "Image": "", "Image_Real": ""}"#,
];

#[tokio::test]
async fn undecodable_jobs_of_nobody_are_buried_and_their_neighbours_done_on_servers() {
    let config = servers(&[]);
    let queue = queue_of(&config, "Create_Character").await;
    push_among_undecodable(&*queue).await;
    check_undecodable(Service::start(config).await).await;
}

#[tokio::test]
async fn undecodable_jobs_of_nobody_are_buried_and_their_neighbours_done_on_the_embedded_store() {
    let dir = tempfile::tempdir().unwrap();
    let config = embedded(dir.path());
    let file = Embedded::open(dir.path()).unwrap();
    let queue = EmbeddedQueue::open("Create_Character", file, &config.queue).await.unwrap();
    push_among_undecodable(&queue).await;
    drop(queue);
    check_undecodable(Service::start(config).await).await;
}

async fn push_among_undecodable(queue: &dyn Inbox) {
    for data in UNDECODABLE {
        add(queue, data.replace("TOKEN", &token("ada")).into_bytes()).await;
        add(queue, create("ada", "Aria").to_string().into_bytes()).await;
    }
}

async fn check_undecodable(service: Service) {
    let settled = async || {
        let counts = &service.health().await["queues"]["Create_Character"];
        (counts["waiting"] == 0 && counts["active"] == 0 && counts["delayed"] == 0)
            .then(|| counts["dead"].clone())
    };
    assert_eq!(until("all jobs are settled", settled).await, UNDECODABLE.len() - 2);
    let read = service.done("ada", "Read_Character", json!({})).await;
    assert_eq!(read["Message"].as_array().unwrap().len(), 3);
    service.stop().await;
}

#[tokio::test]
async fn a_job_that_killed_three_processes_is_buried_and_its_user_told() {
    let config = servers(&[("OCTAVO__QUEUE__LEASE_SECONDS", "3"), ("OCTAVO__REDIS__TIMEOUT_SECONDS", "2")]);
    let queue = queue_of(&config, "Create_Character").await;
    let id = add(&*queue, create("ada", "Aria").to_string().into_bytes()).await;
    let mut redis = stock(&config, "unused").await.get_connection().clone();
    let meta = format!("{}Create_Character:meta:{id}", config.queue.prefix);
    let _: () = redis.hset(meta, "octavo:crashes", 3).await.unwrap();

    let service = Service::start(config).await;
    assert_eq!(
        service.outcome("ada", &id).await,
        json!({ "Message": "Error processing job", "Status": false })
    );
    assert_eq!(service.job("ada", &id).await.unwrap()["state"], "failed");
    let (_, listed) = service.admin(reqwest::Method::GET, &format!("/dead-letters?id={id}")).await;
    let letter = &listed["letters"][0];
    assert_eq!(
        (&letter["reason"], &letter["crashes"]),
        (&json!("poison: 3 processes died while it ran"), &json!(3))
    );
    service.stop().await;
}

#[tokio::test]
async fn a_job_with_a_token_that_proves_nothing_is_told_that_the_session_expired() {
    let config = servers(&[]);
    let expired = Auth::new(&SECRET.into()).sign("ada", Duration::ZERO).unwrap();
    let another = token("bob");
    let service = Service::start(config.clone()).await;
    let queue = queue_of(&config, "Create_Character").await;
    let tokens = [json!(expired), json!(another), json!("garbage"), json!(7), json!(null)];
    // Also where the data are wrong: nobody else hears of what, and no dead letter is left.
    for (bad, name) in tokens.iter().flat_map(|bad| [(bad, json!("Aria")), (bad, json!(7))]) {
        let mut data = create("ada", "Aria");
        (data["Token"], data["Name"]) = (bad.clone(), name.clone());
        let id = add(&*queue, data.to_string().into_bytes()).await;
        let outcome = service.outcome("ada", &id).await;
        assert_eq!(
            outcome,
            json!({ "Message": "Session expired. Please log in again.", "Status": false }),
            "{bad}, {name}"
        );
    }
    assert_eq!(service.health().await["queues"]["Create_Character"]["dead"], 0);
    assert_eq!(
        database_of(&config)
            .await
            .collection::<Document>("Characters")
            .count_documents(doc! {})
            .await
            .unwrap(),
        0
    );
    service.stop().await;
}

/// A service with room for less than one large answer at a time.
async fn narrow(dir: &std::path::Path) -> [Service; 2] {
    let narrow = ("OCTAVO__QUEUE__WORK_BYTES", "100000");
    let mut file = embedded(dir);
    file.queue.work_bytes = 100_000;
    [Service::start(file).await, Service::start(servers(&[narrow])).await]
}

#[tokio::test]
async fn what_needs_more_memory_than_there_is_runs_alone_and_small_reads_do_not_wait_for_it() {
    const READS: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    for service in narrow(dir.path()).await {
        let image = "x".repeat(200_000);
        for name in ["a", "b", "c"] {
            let mut data = create("ada", name);
            data["Image"] = json!(image);
            service.done("ada", "Create_Character", data).await;
        }
        service.done("bob", "Create_Character", create("bob", "small")).await;
        let read = |user| service.done(user, "Read_Character", json!({}));
        let all = (0..READS).map(|n| read(if n % 2 == 0 { "ada" } else { "bob" }));
        for (n, answer) in futures_util::future::join_all(all).await.iter().enumerate() {
            let found = answer["Message"].as_array().unwrap();
            assert_eq!(found.len(), if n % 2 == 0 { 3 } else { 1 });
            assert!(n % 2 == 1 || found.iter().all(|one| one["Image"] == image.as_str()));
        }
        let long = json!({ "Filter": { "Name": "a", "User_Id": "ada" } });
        assert_eq!(service.done("ada", "Read_Character", long).await["Message"][0]["Image"], image.as_str());
        service.stop().await;
    }
}

#[tokio::test]
async fn a_service_stops_while_reads_wait_for_memory() {
    let dir = tempfile::tempdir().unwrap();
    for service in narrow(dir.path()).await {
        let mut data = create("ada", "large");
        data["Image"] = json!("x".repeat(1_000_000));
        service.done("ada", "Create_Character", data).await;
        for _ in 0..30 {
            service.post("ada", "Read_Character", json!({})).await;
        }
        service.stop().await;
    }
}
