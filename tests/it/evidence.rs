//! What the stores keep to know which job did what, and what a process that died on the way leaves of it.

use std::time::Duration;

use mongodb::{
    Collection, Database,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
};
use octavo::{
    character::{Store, model::Character, store::MongoStore},
    config::Config,
    queue::{Job, Options, new_lease},
};
use rusqlite::Connection;

use crate::{
    effects::{AGAIN, created, delete, rename, there},
    stores::{ALONE, character, embedded, mongo},
    support::{database_of, servers},
};

/// A store, its characters and its tombstones.
struct Kept {
    config: Config,
    store: MongoStore,
    characters: Collection<Document>,
    tombstones: Collection<Document>,
}

impl Kept {
    async fn new() -> Self {
        let config = servers(&[]);
        let (store, database) = (mongo(&config).await, database_of(&config).await);
        let (characters, tombstones) =
            (database.collection("Characters"), database.collection("Octavo_Deleted"));
        Self { config, store, characters, tombstones }
    }

    async fn character(&self) -> Document {
        self.characters.find_one(doc! {}).await.unwrap().unwrap()
    }

    async fn tombstone(&self) -> Document {
        self.tombstones.find_one(doc! {}).await.unwrap().unwrap()
    }

    /// What a process leaves that deletes `id` for `job` and dies before it removes the document.
    async fn lay(&self, id: ObjectId, job: ObjectId) {
        let expires = DateTime::now().saturating_add_duration(Duration::from_mins(10));
        let key = doc! { "character": id, "user": "u1" };
        let tombstone = doc! { "_id": key, "job": job, "expires": expires, "updates": [] };
        self.tombstones.insert_one(tombstone).await.unwrap();
    }
}

#[tokio::test]
async fn a_delete_that_died_on_its_way_is_finished_by_its_second_run() {
    let kept = Kept::new().await;
    let (id, job) = (created(&kept.store).await.id, ObjectId::new());
    kept.lay(id, job).await;
    assert!(delete(&kept.store, id, job).await);
    assert!(delete(&kept.store, id, job).await);
    assert_eq!(there(&kept.store).await, []);
}

#[tokio::test]
async fn a_delete_that_died_on_its_way_may_be_finished_by_another_which_then_did_it() {
    let kept = Kept::new().await;
    let (id, dead, other) = (created(&kept.store).await.id, ObjectId::new(), ObjectId::new());
    kept.lay(id, dead).await;
    assert!(delete(&kept.store, id, other).await);
    assert_eq!(there(&kept.store).await, []);
    for (job, deleted) in [(dead, false), (other, true)] {
        assert_eq!(delete(&kept.store, id, job).await, deleted);
    }
}

#[tokio::test]
async fn a_delete_that_has_answered_stays_the_one_that_did_it() {
    let kept = Kept::new().await;
    let (aria, job) = (created(&kept.store).await, ObjectId::new());
    assert!(delete(&kept.store, aria.id, job).await);
    assert!(delete(&kept.store, aria.id, job).await);
    // Another delete had looked before, and removes what it saw now.
    kept.store.create(aria.clone(), ALONE).await.unwrap();
    assert!(!delete(&kept.store, aria.id, ObjectId::new()).await);
    assert_eq!(there(&kept.store).await, []);
}

#[tokio::test]
async fn what_a_late_insert_brings_back_is_removed_by_the_next_run() {
    let kept = Kept::new().await;
    let aria = created(&kept.store).await;
    assert!(delete(&kept.store, aria.id, ObjectId::new()).await);
    // A process was stopped before its insert, and died after it.
    kept.store.create(aria.clone(), ALONE).await.unwrap();
    assert_eq!(there(&kept.store).await.len(), 1);
    kept.store.create(aria, AGAIN).await.unwrap();
    assert_eq!(there(&kept.store).await, []);
}

#[tokio::test]
async fn an_update_marks_the_document_and_a_delete_keeps_the_marks() {
    let kept = Kept::new().await;
    let (aria, job, delete_job) = (created(&kept.store).await, ObjectId::new(), ObjectId::new());
    assert_eq!(
        kept.character().await.get("octavo_jobs"),
        None,
        "what nobody updates has the platform's fields"
    );
    assert!(rename(&kept.store, "u1", aria.id, "new", job).await);
    let written = kept.character().await;
    let expected = doc! {
        "_id": aria.id, "Name": "new", "Description": "d", "Image": "i", "Image_Real": "r", "User_Id": "u1",
        "createdAt": aria.created_at, "updatedAt": written.get_datetime("updatedAt").unwrap(), "octavo_jobs": [job],
    };
    assert_eq!(written, expected);
    assert!(delete(&kept.store, aria.id, delete_job).await);
    let tombstone = kept.tombstone().await;
    let days = (tombstone.get_datetime("expires").unwrap().timestamp_millis()
        - DateTime::now().timestamp_millis())
        / 86_400_000;
    assert_eq!(days, 30, "and some hours: dead letters are kept for 30 days at the most");
    let expected = doc! {
        "_id": { "character": aria.id, "user": "u1" }, "job": delete_job, "updates": [job],
        "expires": tombstone.get_datetime("expires").unwrap(),
    };
    assert_eq!(sorted(tombstone), sorted(expected));
}

fn sorted(document: Document) -> Vec<(String, Bson)> {
    let mut fields: Vec<_> = document.into_iter().collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

#[tokio::test]
async fn a_document_keeps_its_last_thousand_marks() {
    let kept = Kept::new().await;
    let (id, job) = (created(&kept.store).await.id, ObjectId::new());
    let marks: Vec<_> = (0..1000).map(|_| ObjectId::new()).collect();
    kept.characters.update_one(doc! {}, doc! { "$set": { "octavo_jobs": &marks } }).await.unwrap();
    assert!(rename(&kept.store, "u1", id, "new", job).await);
    let expected: Vec<_> = marks[1..].iter().copied().chain([job]).map(Bson::from).collect();
    assert_eq!(kept.character().await.get_array("octavo_jobs").unwrap(), &expected);
    assert!(delete(&kept.store, id, ObjectId::new()).await);
    assert!(rename(&kept.store, "u1", id, "new", job).await);
}

#[tokio::test]
async fn tombstones_go_when_their_time_is_over() {
    let kept = Kept::new().await;
    let indexes = database_of(&kept.config).await.run_command(doc! { "listIndexes": "Octavo_Deleted" }).await;
    let indexes = indexes.unwrap().to_string();
    assert!(indexes.contains("\"expires\": 1") && indexes.contains("\"expireAfterSeconds\": 0"), "{indexes}");
}

/// What mongod has done in `database` since its profiler was turned on: the kinds of operation, in order.
pub async fn operations(database: &Database) -> Vec<String> {
    database.run_command(doc! { "profile": 0 }).await.unwrap();
    let ours = ["Characters", "Octavo_Deleted"].map(|name| format!("{}.{name}", database.name()));
    let profile = database.collection::<Document>("system.profile");
    let mut profile = profile.find(doc! { "ns": { "$in": ours.to_vec() } }).await.unwrap();
    let mut operations = Vec::new();
    while profile.advance().await.unwrap() {
        operations.push(profile.deserialize_current().unwrap().get_str("op").unwrap().to_owned());
    }
    operations
}

#[tokio::test]
async fn a_create_that_runs_first_is_one_insert_and_an_update_one_update() {
    let kept = Kept::new().await;
    let database = database_of(&kept.config).await;
    let aria = created(&kept.store).await;
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    let job = job(1, 0, false);
    let sole_until = DateTime::from_millis(job.origin().sole_until_ms);
    kept.store.create(character("u1", "Bo", 1), sole_until).await.unwrap();
    assert!(rename(&kept.store, "u1", aria.id, "new", ObjectId::new()).await);
    assert_eq!(operations(&database).await, ["insert", "update"]);
}

#[tokio::test]
async fn a_create_that_is_run_again_does_not_even_show_what_was_deleted() {
    let kept = Kept::new().await;
    let database = database_of(&kept.config).await;
    let aria = created(&kept.store).await;
    assert!(delete(&kept.store, aria.id, ObjectId::new()).await);
    database.run_command(doc! { "profile": 2 }).await.unwrap();
    kept.store.create(aria, AGAIN).await.unwrap();
    assert_eq!(operations(&database).await, ["query", "remove"]);
}

fn job(attempt: u32, crashes: u32, redelivered: bool) -> Job {
    let now = DateTime::now().timestamp_millis();
    let (id, queue, layout, data) = ("1".to_owned(), "Create_Character", "bull", Vec::new());
    let (created_ms, claimed_ms, options, lease) = (now, now, Options::default(), new_lease());
    Job { id, queue, layout, data, created_ms, claimed_ms, attempt, crashes, redelivered, options, lease }
}

#[test]
fn only_a_first_run_just_after_its_claim_is_alone() {
    assert!(job(1, 0, false).origin().sole_until_ms > DateTime::now().timestamp_millis());
    for job in [job(2, 0, false), job(1, 1, false), job(1, 0, true)] {
        assert_eq!(job.origin().sole_until_ms, 0, "{job:?}");
    }
}

#[tokio::test]
async fn a_file_from_before_opens_and_forgets_what_is_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let aria = created(&embedded(dir.path())).await;
    let database = || Connection::open(dir.path().join("octavo.db")).unwrap();
    database().execute_batch("DROP TABLE effects").unwrap();

    let store = embedded(dir.path());
    let jobs: [_; 4] = std::array::from_fn(|_| ObjectId::new());
    for job in jobs {
        assert!(rename(&store, "u1", aria.id, "new", job).await);
    }
    drop(store);
    database().execute("UPDATE effects SET expires = 1", ()).unwrap();

    let store = embedded(dir.path());
    for name in ["newer", "newest"] {
        assert!(rename(&store, "u1", aria.id, name, ObjectId::new()).await);
    }
    let kept: u32 = database().query_row("SELECT count(*) FROM effects", (), |row| row.get(0)).unwrap();
    assert_eq!(kept, 2);
    assert_eq!(
        there(&store).await,
        [Character { name: "newest".to_owned(), ..there(&store).await.remove(0) }]
    );
}
