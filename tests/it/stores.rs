//! What every store of characters does, run against each; and what only MongoDB must.

use std::path::Path;

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use octavo::{
    character::{
        Store,
        filter::{CharacterFilter, Condition, Field},
        model::{Changes, Character},
        store::{EmbeddedStore, Found, MongoStore, SMALL, StoreError, Wanted},
    },
    config::{Config, Storage},
    embedded::Embedded,
};

use crate::support::{caller, database_of, servers};

macro_rules! on_every_store {
    ($($test:ident;)*) => {
        mod on_mongodb {
            $(#[tokio::test] async fn $test() { super::$test(&crate::stores::mongo(&crate::support::servers(&[])).await).await; })*
        }
        mod on_file {
            $(#[tokio::test] async fn $test() {
                let dir = tempfile::tempdir().unwrap();
                let store = crate::stores::embedded(dir.path());
                super::$test(&store).await;
            })*
        }
    };
}

pub(crate) use on_every_store;

on_every_store! {
    a_character_created_twice_is_there_once;
    a_read_gives_the_newest_of_the_caller_newest_first;
    a_filter_narrows_and_never_widens;
    an_update_changes_what_it_names;
    nobody_changes_or_deletes_anothers_character;
    a_deleted_character_is_gone;
    a_large_character_is_its_size_until_it_is_wanted;
    a_character_that_would_be_too_large_is_refused_and_what_is_there_stays;
    a_store_answers;
}

/// For a first run, within the time in which there is no other.
pub const ALONE: DateTime = DateTime::MAX;

/// Three small characters.
pub const ALL: Wanted = Wanted { limit: 3, bytes: SMALL };

pub async fn mongo(config: &Config) -> MongoStore {
    let Storage::Servers { mongodb, .. } = &config.storage else { panic!("no MongoDB") };
    MongoStore::connect(mongodb, 16).await.unwrap()
}

pub fn embedded(dir: &Path) -> EmbeddedStore {
    EmbeddedStore::new(Embedded::open(dir).unwrap())
}

pub fn character(user: &str, name: &str, at: i64) -> Character {
    let at = DateTime::from_millis(1_700_000_000_000 + at);
    Character {
        id: ObjectId::new(),
        name: name.to_owned(),
        description: "d".to_owned(),
        image: "i".to_owned(),
        image_real: "r".to_owned(),
        user: user.to_owned(),
        created_at: at,
        updated_at: at,
    }
}

pub async fn newest(store: &dyn Store, user: &str, conditions: Vec<Condition>) -> Vec<Character> {
    let found = store.newest(&caller(user), &CharacterFilter(conditions), ALL).await.unwrap();
    found.into_iter().map(|found| found.whole().unwrap()).collect()
}

pub fn names(characters: &[Character]) -> Vec<&str> {
    characters.iter().map(|character| character.name.as_str()).collect()
}

async fn a_character_created_twice_is_there_once(store: &dyn Store) {
    let aria = character("u1", "Aria", 0);
    store.create(aria.clone(), ALONE).await.unwrap();
    store.create(aria.clone(), ALONE).await.unwrap();
    assert_eq!(newest(store, "u1", vec![]).await, [aria]);
}

async fn a_read_gives_the_newest_of_the_caller_newest_first(store: &dyn Store) {
    for (name, at) in [("second", 2), ("fourth", 4), ("first", 1), ("third", 3)] {
        store.create(character("u1", name, at), ALONE).await.unwrap();
    }
    store.create(character("u2", "another's", 5), ALONE).await.unwrap();
    assert_eq!(names(&newest(store, "u1", vec![]).await), ["fourth", "third", "second"]);
    assert!(newest(store, "u3", vec![]).await.is_empty());
}

async fn a_filter_narrows_and_never_widens(store: &dyn Store) {
    let text =
        |field, values: &[&str]| Condition::Text(field, values.iter().map(|v| (*v).to_owned()).collect());
    let (aria, bo) = (character("u1", "Aria", 1), character("u1", "Bo", 2));
    let other = character("u2", "Aria", 3);
    for character in [&aria, &bo, &other] {
        store.create(character.clone(), ALONE).await.unwrap();
    }
    assert_eq!(names(&newest(store, "u1", vec![text(Field::Name, &["Aria"])]).await), ["Aria"]);
    assert_eq!(names(&newest(store, "u1", vec![text(Field::Name, &["Aria", "Bo"])]).await), ["Bo", "Aria"]);
    assert_eq!(names(&newest(store, "u1", vec![Condition::Id(vec![bo.id])]).await), ["Bo"]);
    assert_eq!(newest(store, "u1", vec![text(Field::User, &["u1"])]).await.len(), 2);
    assert!(
        newest(store, "u1", vec![text(Field::Name, &["Bo"]), text(Field::Description, &["x"])])
            .await
            .is_empty()
    );
    assert!(newest(store, "u1", vec![text(Field::Name, &[])]).await.is_empty());
    assert!(newest(store, "u1", vec![text(Field::User, &["u2"])]).await.is_empty(), "another's characters");
    assert!(newest(store, "u1", vec![Condition::Id(vec![other.id])]).await.is_empty(), "another's character");
}

async fn an_update_changes_what_it_names(store: &dyn Store) {
    let aria = character("u1", "Aria", 0);
    store.create(aria.clone(), ALONE).await.unwrap();
    let later = DateTime::from_millis(1_700_000_009_000);
    let changes = Changes { name: Some("Ari".to_owned()), image: Some("j".to_owned()), ..Changes::default() };
    assert!(store.update(&caller("u1"), aria.id, changes, later, ObjectId::new()).await.unwrap());
    let expected = Character { name: "Ari".to_owned(), image: "j".to_owned(), updated_at: later, ..aria };
    assert_eq!(newest(store, "u1", vec![]).await, [expected]);
}

async fn nobody_changes_or_deletes_anothers_character(store: &dyn Store) {
    let aria = character("u1", "Aria", 0);
    store.create(aria.clone(), ALONE).await.unwrap();
    let changes = Changes { name: Some("stolen".to_owned()), ..Changes::default() };
    assert!(!store.update(&caller("u2"), aria.id, changes, DateTime::now(), ObjectId::new()).await.unwrap());
    assert!(!store.delete(&caller("u2"), aria.id, ObjectId::new()).await.unwrap());
    assert_eq!(newest(store, "u1", vec![]).await, [aria]);
}

async fn a_deleted_character_is_gone(store: &dyn Store) {
    let aria = character("u1", "Aria", 0);
    store.create(aria.clone(), ALONE).await.unwrap();
    assert!(store.delete(&caller("u1"), aria.id, ObjectId::new()).await.unwrap());
    assert!(!store.delete(&caller("u1"), aria.id, ObjectId::new()).await.unwrap());
    assert!(newest(store, "u1", vec![]).await.is_empty());
}

async fn a_large_character_is_its_size_until_it_is_wanted(store: &dyn Store) {
    let image = "x".repeat(10 * SMALL);
    let large = Character { image, ..character("u1", "large", 2) };
    let small = character("u1", "small", 1);
    let other = character("u2", "small", 1);
    for character in [&large, &small, &other] {
        store.create(character.clone(), ALONE).await.unwrap();
    }
    let filter = CharacterFilter::default();
    let u1 = caller("u1");
    let found = store.newest(&u1, &filter, ALL).await.unwrap();
    let [Found::Large { id, bytes }, Found::Whole(second)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((*id, second), (large.id, &small));
    assert!((10 * SMALL..11 * SMALL).contains(bytes), "{bytes}");
    // Together with others, as well as alone.
    let wanted = |bytes| Wanted { limit: 3, bytes };
    let u2 = caller("u2");
    let (all, of_other) =
        tokio::join!(store.newest(&u1, &filter, wanted(*bytes)), store.newest(&u2, &filter, ALL));
    assert_eq!(all.unwrap(), [Found::Whole(large), Found::Whole(small)]);
    assert_eq!(of_other.unwrap(), [Found::Whole(other)]);
    let less = store.newest(&u1, &filter, wanted(bytes - 1)).await.unwrap();
    assert!(matches!(less[..], [Found::Large { .. }, Found::Whole(_)]), "{less:?}");
}

async fn a_character_that_would_be_too_large_is_refused_and_what_is_there_stays(store: &dyn Store) {
    let half = "x".repeat(9 << 20);
    let aria = Character { image: half.clone(), ..character("u1", "Aria", 0) };
    store.create(aria.clone(), ALONE).await.unwrap();
    let large = |image: &str, image_real: &str| Character {
        image: image.to_owned(),
        image_real: image_real.to_owned(),
        ..character("u1", "large", 1)
    };
    for refused in [large(&half, &half), large(&"x".repeat(17 << 20), "")] {
        let created = store.create(refused, ALONE).await;
        assert!(matches!(created, Err(StoreError::TooLarge)), "{created:?}");
    }
    for (name, image_real) in
        [(None, half), (None, "x".repeat(17 << 20)), (Some("n".repeat(16 << 20)), "y".into())]
    {
        let changes = Changes { name, image_real: Some(image_real), ..Changes::default() };
        let updated = store.update(&caller("u1"), aria.id, changes, DateTime::now(), ObjectId::new()).await;
        assert!(matches!(updated, Err(StoreError::TooLarge)), "{updated:?}");
    }
    let all = Wanted { limit: 3, bytes: 16 << 20 };
    let found = store.newest(&caller("u1"), &CharacterFilter::default(), all).await.unwrap();
    assert!(found == [Found::Whole(aria)], "it is as it was");
}

async fn a_store_answers(store: &dyn Store) {
    store.ping().await.unwrap();
}

#[tokio::test]
async fn what_is_written_has_exactly_the_fields_of_the_platform() {
    let config = servers(&[]);
    let aria = character("u1", "Aria", 0);
    mongo(&config).await.create(aria.clone(), ALONE).await.unwrap();
    let written =
        database_of(&config).await.collection::<Document>("Characters").find_one(doc! {}).await.unwrap();
    let expected = doc! {
        "_id": aria.id, "Name": "Aria", "Description": "d", "Image": "i", "Image_Real": "r", "User_Id": "u1",
        "createdAt": aria.created_at, "updatedAt": aria.updated_at,
    };
    assert_eq!(written.unwrap(), expected);
}

#[tokio::test]
async fn what_the_platform_wrote_before_is_read() {
    let config = servers(&[]);
    let store = mongo(&config).await;
    let at = DateTime::from_millis(1_700_000_000_000);
    let id = ObjectId::new();
    let old = doc! {
        "_id": id, "Name": "Old", "Description": "d", "Image": "i", "Image_Real": "r", "User_Id": "u1",
        "createdAt": at, "updatedAt": at, "__v": 0,
    };
    database_of(&config).await.collection("Characters").insert_one(old).await.unwrap();
    let expected = Character { id, ..character("u1", "Old", 0) };
    assert_eq!(newest(&store, "u1", vec![]).await, [expected]);
}

#[tokio::test]
async fn a_read_uses_the_index() {
    let config = servers(&[]);
    mongo(&config).await.create(character("u1", "Aria", 0), ALONE).await.unwrap();
    let find =
        doc! { "find": "Characters", "filter": { "User_Id": "u1" }, "sort": { "createdAt": -1, "_id": -1 } };
    let plan = database_of(&config).await.run_command(doc! { "explain": find }).await.unwrap().to_string();
    assert!(plan.contains("IXSCAN") && !plan.contains("\"SORT\""), "{plan}");
}
