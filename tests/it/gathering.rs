//! Many ask the MongoDB store at once: what they ask for goes to the server together, and each has its own true answer.

use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use mongodb::{
    Database,
    bson::{DateTime, Document, doc, oid::ObjectId},
};
use octavo::character::{
    Store,
    filter::{CharacterFilter, Condition, Field},
    model::{Changes, Character},
    store::{Found, MongoStore, StoreError, Wanted},
};

use crate::{
    effects::{created, delete, rename, there},
    evidence::operations,
    stores::{ALL, ALONE, character, mongo, names, newest},
    support::{caller, database_of, servers},
};

/// How many ask at once.
pub const MANY: usize = 200;

/// Operations at the most for what would be [`MANY`] or more one by one.
const FEW: usize = MANY / 10;

struct Fixture {
    store: MongoStore,
    database: Database,
}

impl Fixture {
    async fn new() -> Self {
        let config = servers(&[]);
        Self { store: mongo(&config).await, database: database_of(&config).await }
    }

    /// Characters of `u1` that are there.
    async fn characters(&self, count: usize) -> Vec<Character> {
        let new: Vec<_> = (0..count).map(|n| character("u1", &format!("c{n}"), 0)).collect();
        for created in create(&self.store, &new).await {
            created.unwrap();
        }
        new
    }

    async fn count(&self, filter: Document) -> u64 {
        self.database.collection::<Document>("Characters").count_documents(filter).await.unwrap()
    }

    /// Has the server refuse characters of this name.
    async fn refuse(&self, name: &str) {
        let validator = doc! { "collMod": "Characters", "validator": { "Name": { "$ne": name } } };
        self.database.run_command(validator).await.unwrap();
    }

    async fn profile(&self) {
        self.database.run_command(doc! { "profile": 2 }).await.unwrap();
    }
}

pub async fn create(store: &MongoStore, all: &[Character]) -> Vec<Result<(), StoreError>> {
    join_all(all.iter().map(|new| store.create(new.clone(), ALONE))).await
}

#[tokio::test]
async fn creates_at_once_go_together() {
    let fixture = Fixture::new().await;
    fixture.profile().await;
    fixture.characters(MANY).await;
    let operations = operations(&fixture.database).await;
    assert!(operations.len() <= FEW && operations.iter().all(|kind| kind == "insert"), "{operations:?}");
    assert_eq!(fixture.count(doc! { "User_Id": "u1" }).await, MANY as u64);
}

#[tokio::test]
async fn a_character_that_is_too_large_or_refused_by_the_server_fails_alone() {
    let fixture = Fixture::new().await;
    fixture.refuse("refused").await;
    let mut all: Vec<_> = (0..MANY).map(|n| character("u1", &format!("c{n}"), 0)).collect();
    all[50].image = "x".repeat(17_000_000);
    all[150].name = "refused".to_owned();
    for (n, created) in create(&fixture.store, &all).await.into_iter().enumerate() {
        match n {
            50 => assert!(matches!(created, Err(StoreError::TooLarge)), "{n}: {created:?}"),
            150 => assert!(matches!(created, Err(StoreError::Rejected(_))), "{n}: {created:?}"),
            _ => created.unwrap(),
        }
    }
    assert_eq!(fixture.count(doc! {}).await, MANY as u64 - 2);
}

#[tokio::test]
async fn of_creates_at_once_one_whose_id_is_there_succeeds_for_its_owner_only() {
    let fixture = Fixture::new().await;
    let mut all = fixture.characters(MANY / 2).await;
    all.extend((0..MANY / 2).map(|n| character("u1", &format!("new {n}"), 0)));
    all[0].user = "u2".to_owned();
    all.extend(all[MANY / 2..].to_vec());
    for (n, created) in create(&fixture.store, &all).await.into_iter().enumerate() {
        assert_eq!(created.is_ok(), n != 0, "{n}: {created:?}");
    }
    assert_eq!(fixture.count(doc! { "User_Id": "u1" }).await, MANY as u64);
    assert_eq!(fixture.count(doc! {}).await, MANY as u64);
}

#[tokio::test]
async fn deletes_at_once_go_together() {
    let fixture = Fixture::new().await;
    let all = fixture.characters(MANY).await;
    fixture.profile().await;
    let deleted = join_all(all.iter().map(|old| delete(&fixture.store, old.id, ObjectId::new()))).await;
    assert_eq!(deleted, [true; MANY]);
    let operations = operations(&fixture.database).await;
    assert!(operations.len() <= FEW, "{operations:?}");
    assert_eq!(fixture.count(doc! {}).await, 0);
}

#[tokio::test]
async fn a_delete_that_is_alone_is_a_look_a_tombstone_and_a_removal() {
    let fixture = Fixture::new().await;
    let id = created(&fixture.store).await.id;
    fixture.profile().await;
    assert!(delete(&fixture.store, id, ObjectId::new()).await);
    assert_eq!(operations(&fixture.database).await, ["query", "insert", "remove"]);
}

#[tokio::test]
async fn deletes_of_what_is_there_and_what_is_not_each_have_their_own_answer() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let all = fixture.characters(MANY).await;
    for updated in &all[..20] {
        assert!(rename(store, "u1", updated.id, "new", ObjectId::new()).await);
    }
    // Of four: the owner's delete, one of another user, one of what never was there, and one that comes second.
    let jobs: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(n, old)| match n % 4 {
            0 => ("u1", old.id),
            1 => ("u2", old.id),
            2 => ("u1", ObjectId::new()),
            _ => ("u1", all[n - 3].id),
        })
        .map(|(user, id)| (user, id, ObjectId::new()))
        .collect();
    let run = || {
        join_all(
            jobs.iter().map(async |(user, id, job)| store.delete(&caller(user), *id, *job).await.unwrap()),
        )
    };
    let deleted = run().await;
    for four in deleted.chunks(4) {
        assert!(four[0] != four[3] && !four[1] && !four[2], "{four:?}");
    }
    assert_eq!(run().await, deleted, "each answers the same again");
    assert_eq!(fixture.count(doc! {}).await, MANY as u64 * 3 / 4);
}

#[tokio::test]
async fn updates_each_have_their_own_answer() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let all = fixture.characters(MANY).await;
    fixture.refuse("refused").await;
    // Of four: the owner's, one of another user, one of what is not there, and one that is refused.
    let jobs: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(n, old)| match n % 4 {
            0 => ("u1", old.id, "new"),
            1 => ("u2", old.id, "new"),
            2 => ("u1", ObjectId::new(), "new"),
            _ => ("u1", old.id, "refused"),
        })
        .map(|(user, id, name)| {
            let changes = Changes { name: Some(name.to_owned()), ..Changes::default() };
            (caller(user), id, changes, ObjectId::new())
        })
        .collect();
    let at = DateTime::now();
    let update = async |(caller, id, changes, job): &(_, _, Changes, _)| {
        store.update(caller, *id, changes.clone(), at, *job).await
    };
    // Each twice, as if run by two.
    let answers = join_all(jobs.iter().chain(&jobs).map(update)).await;
    for (n, answer) in answers.into_iter().enumerate() {
        match (n % 4, answer) {
            (0, Ok(true)) | (1 | 2, Ok(false)) | (3, Err(StoreError::Rejected(_))) => {}
            (_, answer) => panic!("{n}: {answer:?}"),
        }
    }
    let once = doc! { "Name": "new", "octavo_jobs": { "$size": 1 } };
    assert_eq!(fixture.count(once).await, MANY as u64 / 4);
    assert_eq!(fixture.count(doc! { "octavo_jobs": { "$exists": true } }).await, MANY as u64 / 4);
}

#[tokio::test]
async fn an_update_that_would_make_a_character_too_large_fails_alone() {
    let fixture = Fixture::new().await;
    let mut all: Vec<_> = (0..MANY).map(|n| character("u1", &format!("c{n}"), 0)).collect();
    all[50].image = "x".repeat((16 << 20) - 2000);
    for created in create(&fixture.store, &all).await {
        created.unwrap();
    }
    fixture.profile().await;
    let changes = Changes { image_real: Some("x".repeat(2000)), ..Changes::default() };
    let u1 = caller("u1");
    let at = DateTime::now();
    let update = |id| fixture.store.update(&u1, id, changes.clone(), at, ObjectId::new());
    for (n, updated) in join_all(all.iter().map(|one| update(one.id))).await.into_iter().enumerate() {
        match (n, updated) {
            (50, Err(StoreError::TooLarge)) | (_, Ok(true)) => {}
            (_, updated) => panic!("{n}: {updated:?}"),
        }
    }
    let mut commands = operations(&fixture.database).await;
    commands.retain(|operation| operation == "command");
    assert!(commands.len() <= FEW, "{commands:?}");
}

#[tokio::test]
async fn a_character_with_marks_that_cannot_be_read_spoils_nobody_elses_delete_or_update() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let all = fixture.characters(MANY).await;
    let characters = fixture.database.collection::<Document>("Characters");
    let odd = doc! { "$set": { "octavo_jobs": ["odd"] } };
    characters.update_one(doc! { "_id": all[7].id }, odd).await.unwrap();

    // One of what is not there has the server's count fall short, so that all are looked at.
    let ids: Vec<_> = all.iter().map(|old| old.id).chain([ObjectId::new()]).collect();
    let changes = Changes { name: Some("new".to_owned()), ..Changes::default() };
    let at = DateTime::now();
    let (u1, changes) = (&caller("u1"), &changes);
    let update = |id: &ObjectId| (*id, store.update(u1, *id, changes.clone(), at, ObjectId::new()));
    let updated = join_all(ids.iter().map(update).map(async |(id, updated)| (id, updated.await)));
    for (id, updated) in updated.await {
        assert_eq!(updated.unwrap(), id != ids[MANY]);
    }
    let deleted = join_all(ids.iter().map(|id| store.delete(u1, *id, ObjectId::new()))).await;
    for (n, deleted) in deleted.into_iter().enumerate() {
        match (n, deleted) {
            (7, Err(StoreError::Rejected(_))) | (MANY, Ok(false)) | (_, Ok(true)) => {}
            (_, deleted) => panic!("{n}: {deleted:?}"),
        }
    }
    assert_eq!(fixture.count(doc! {}).await, 1);
}

#[tokio::test]
async fn deletes_answer_truly_while_updates_come_between() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let all = fixture.characters(MANY).await;
    let jobs: Vec<_> = all.iter().map(|old| (old.id, ObjectId::new(), ObjectId::new())).collect();
    let deletes = || join_all(jobs.iter().map(|(id, job, _)| delete(store, *id, *job)));
    let updates = || join_all(jobs.iter().map(|(id, _, job)| rename(store, "u1", *id, "new", *job)));
    let first = join(deletes(), updates()).await;
    assert_eq!(first.0, [true; MANY]);
    assert_eq!(join(deletes(), updates()).await, first, "each answers the same again");
    assert_eq!(there(store).await, []);
}

#[tokio::test]
async fn who_goes_away_before_the_server_is_asked_has_asked_for_nothing_and_spoils_nothing() {
    let fixture = Fixture::new().await;
    let all: Vec<_> = (0..MANY).map(|n| character("u1", &format!("c{n}"), 0)).collect();
    let (gone, waiting) = all.split_at(MANY / 2);
    for new in gone {
        assert!(fixture.store.create(new.clone(), ALONE).now_or_never().is_none());
    }
    for created in create(&fixture.store, waiting).await {
        created.unwrap();
    }
    assert_eq!(fixture.count(doc! {}).await, (MANY / 2) as u64);
}

/// Characters of `count` users, four of each.
async fn of_users(fixture: &Fixture, count: usize) -> Vec<String> {
    let users: Vec<_> = (0..count).map(|n| format!("u{n}")).collect();
    let characters =
        users.iter().flat_map(|user| (0..4).map(move |n| character(user, &format!("{user} {n}"), n)));
    for created in create(&fixture.store, &characters.collect::<Vec<_>>()).await {
        created.unwrap();
    }
    users
}

fn names_of(user: &str, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("{user} {n}")).collect()
}

#[tokio::test]
async fn reads_at_once_go_together() {
    let fixture = Fixture::new().await;
    let users = of_users(&fixture, MANY).await;
    fixture.profile().await;
    let found = join_all(users.iter().map(|user| newest(&fixture.store, user, vec![]))).await;
    for (user, found) in users.iter().zip(found) {
        assert_eq!(names(&found), names_of(user, [3, 2, 1]), "its own, newest first");
    }
    let operations = operations(&fixture.database).await;
    assert!(operations.len() <= FEW, "{operations:?}");
}

#[tokio::test]
async fn the_server_stops_a_read_that_nobody_waits_for_any_more() {
    let fixture = Fixture::new().await;
    let users = of_users(&fixture, 50).await;
    fixture.profile().await;
    join_all(users.iter().map(|user| newest(&fixture.store, user, vec![]))).await;
    newest(&fixture.store, "u0", vec![Condition::Text(Field::Name, vec!["u0 2".to_owned()])]).await;
    let kinds = operations(&fixture.database).await;
    let profile = fixture.database.collection::<Document>("system.profile");
    let limited = profile.count_documents(doc! { "command.maxTimeMS": 10_000 }).await.unwrap();
    assert!(kinds.len() > 1 && kinds.iter().all(|kind| kind == "command"), "{kinds:?}");
    assert_eq!(limited, kinds.len() as u64);
}

#[tokio::test]
async fn reads_that_may_take_long_go_alone() {
    let fixture = Fixture::new().await;
    let users = of_users(&fixture, 50).await;
    fixture.profile().await;
    let by_name = |user: &String| vec![Condition::Text(Field::Name, vec![format!("{user} 2")])];
    let found = join_all(users.iter().map(|user| newest(&fixture.store, user, by_name(user)))).await;
    for (user, found) in users.iter().zip(found) {
        assert_eq!(names(&found), names_of(user, [2]));
    }
    assert_eq!(operations(&fixture.database).await.len(), 50);
}

#[tokio::test]
async fn fewer_reads_go_together_while_answers_are_large() {
    let fixture = Fixture::new().await;
    let users: Vec<_> = (0..16).map(|n| format!("u{n}")).collect();
    let large = |user| Character { image: "x".repeat(1 << 20), ..character(user, "large", 0) };
    for created in create(&fixture.store, &users.iter().map(|user| large(user)).collect::<Vec<_>>()).await {
        created.unwrap();
    }
    fixture.profile().await;
    let filter = CharacterFilter::default();
    let wanted = Wanted { limit: 1, bytes: 2 << 20 };
    let read = async |user| fixture.store.newest(&caller(user), &filter, wanted).await.unwrap();
    let found = join_all(users.iter().map(|user| read(user))).await;
    assert!(found.iter().all(|found| matches!(found[..], [Found::Whole(_)])));
    let mut commands = operations(&fixture.database).await;
    commands.retain(|operation| operation != "getmore");
    assert!(commands.len() >= 16 / 4, "{commands:?}");
}

#[tokio::test]
async fn reads_of_the_same_user_at_once_have_each_its_own_answer() {
    let fixture = Fixture::new().await;
    let users = of_users(&fixture, 2).await;
    let all = newest(&fixture.store, "u0", vec![]).await;
    let one = |n: usize| vec![Condition::Id(vec![all[n].id])];
    let asked =
        [("u0", vec![]), ("u0", one(0)), ("u1", vec![]), ("u0", one(2)), ("u1", one(0)), ("u9", vec![])];
    let expected: [&[usize]; 6] = [&[3, 2, 1], &[3], &[3, 2, 1], &[1], &[], &[]];
    assert_eq!(users, ["u0", "u1"]);
    let found =
        join_all(asked.map(async |(user, filter)| (user, newest(&fixture.store, user, filter).await))).await;
    for ((user, found), expected) in found.into_iter().zip(expected) {
        assert_eq!(names(&found), names_of(user, expected.iter().copied()));
    }
}

#[tokio::test]
async fn a_character_that_cannot_be_read_fails_its_users_read_alone() {
    let fixture = Fixture::new().await;
    let users = of_users(&fixture, 20).await;
    let broken = doc! { "User_Id": "u7", "Name": 7, "createdAt": DateTime::now() };
    fixture.database.collection::<Document>("Characters").insert_one(broken).await.unwrap();
    let read =
        async |user| (user, fixture.store.newest(&caller(user), &CharacterFilter::default(), ALL).await);
    for (user, found) in join_all(users.iter().map(|user| read(user.as_str()))).await {
        match found {
            Err(error) => {
                assert!(user == "u7" && matches!(error, StoreError::Rejected(_)), "{user}: {error}");
            }
            Ok(found) => {
                let found: Vec<_> = found.into_iter().map(|found| found.whole().unwrap()).collect();
                assert_eq!(names(&found), names_of(user, [3, 2, 1]));
            }
        }
    }
}
