//! A collection that was made with a collation of its own mixes no users up.

use futures_util::future::join_all;
use mongodb::{
    Database, IndexModel,
    bson::{DateTime, Document, doc, oid::ObjectId},
    options::Collation,
};
use octavo::character::{
    filter::{Condition, Field},
    model::Character,
    store::MongoStore,
};

use crate::{
    effects::{AGAIN, rename},
    gathering::{MANY, create},
    stores::{ALONE, character, mongo, names, newest},
    support::{caller, database_of, servers},
};
use octavo::character::Store;

/// Users that are the same to a collation which ignores case and accents.
const USERS: [&str; 4] = ["jose", "José", "JOSE", "josé"];

/// A store on collections that ignore case and accents, and have an index that does, as an earlier version made it.
async fn collated() -> (MongoStore, Database) {
    let config = servers(&[]);
    let database = database_of(&config).await;
    let es = Collation::builder().locale("es").strength(Some(mongodb::options::CollationStrength::Primary));
    for name in ["Characters", "Octavo_Deleted"] {
        database.create_collection(name).collation(es.clone().build()).await.unwrap();
    }
    let index = IndexModel::builder().keys(MongoStore::newest_first()).build();
    database.collection::<Document>("Characters").create_index(index).await.unwrap();
    (mongo(&config).await, database)
}

/// One character of each user.
async fn of_each(store: &MongoStore) -> Vec<Character> {
    let all: Vec<_> = USERS.iter().map(|user| character(user, &format!("of {user}"), 0)).collect();
    for created in create(store, &all).await {
        created.unwrap();
    }
    all
}

#[tokio::test]
async fn each_user_reads_its_own() {
    let (store, _) = collated().await;
    let all = of_each(&store).await;
    // Together, each alone, and each as a read that may take long.
    let together = join_all(USERS.iter().map(|user| newest(&store, user, vec![]))).await;
    for ((user, own), found) in USERS.iter().zip(&all).zip(together) {
        assert_eq!(names(&found), [&own.name], "together");
        assert_eq!(names(&newest(&store, user, vec![]).await), [&own.name], "alone");
        let by = |field, text: &str| vec![Condition::Text(field, vec![text.to_owned()])];
        assert_eq!(names(&newest(&store, user, by(Field::Description, "d")).await), [&own.name]);
        assert_eq!(newest(&store, user, by(Field::Description, "D")).await, []);
        for (other, of_other) in USERS.iter().zip(&all).filter(|(other, _)| *other != user) {
            assert_eq!(newest(&store, user, by(Field::User, other)).await, []);
            assert_eq!(newest(&store, user, vec![Condition::Id(vec![of_other.id])]).await, []);
        }
    }
}

#[tokio::test]
async fn nobody_changes_or_deletes_anothers_alone_or_together() {
    let (store, database) = collated().await;
    let all = of_each(&store).await;
    let others: Vec<_> = USERS
        .iter()
        .flat_map(|user| all.iter().filter(move |one| one.user != *user).map(move |one| (*user, one.id)))
        .collect();
    for (user, id) in &others {
        assert!(!rename(&store, user, *id, "stolen", ObjectId::new()).await, "{user}");
        assert!(!store.delete(&caller(user), *id, ObjectId::new()).await.unwrap(), "{user}");
    }
    let many: Vec<_> = others.iter().cycle().take(MANY).collect();
    let renamed =
        join_all(many.iter().map(|(user, id)| rename(&store, user, *id, "stolen", ObjectId::new())));
    assert_eq!(renamed.await, [false; MANY]);
    let delete = async |(user, id): &(&str, ObjectId)| {
        store.delete(&caller(user), *id, ObjectId::new()).await.unwrap()
    };
    assert_eq!(join_all(many.iter().map(|one| delete(one))).await, [false; MANY]);
    let characters = database.collection::<Document>("Characters");
    assert_eq!(characters.count_documents(doc! { "octavo_jobs": { "$exists": true } }).await.unwrap(), 0);
    for (user, own) in USERS.iter().zip(&all) {
        assert_eq!(newest(&store, user, vec![]).await, std::slice::from_ref(own));
    }
}

#[tokio::test]
async fn each_user_changes_and_deletes_its_own_and_second_runs_answer_the_same() {
    let (store, _) = collated().await;
    let all = of_each(&store).await;
    let jobs: Vec<_> = all.iter().map(|own| (own, ObjectId::new(), ObjectId::new())).collect();
    for _ in 0..2 {
        let updates = jobs.iter().map(|(own, job, _)| rename(&store, &own.user, own.id, "new", *job));
        assert_eq!(join_all(updates).await, [true; 4]);
    }
    for _ in 0..2 {
        let delete = async |(own, _, job): &(&Character, ObjectId, ObjectId)| {
            store.delete(&caller(&own.user), own.id, *job).await.unwrap()
        };
        assert_eq!(join_all(jobs.iter().map(delete)).await, [true; 4]);
        for (own, job, _) in &jobs {
            assert!(rename(&store, &own.user, own.id, "new", *job).await, "it had happened");
            assert!(!store.delete(&caller(&own.user), own.id, ObjectId::new()).await.unwrap());
            // A second run of the create does not bring it back.
            store.create((*own).clone(), AGAIN).await.unwrap();
            assert_eq!(newest(&store, &own.user, vec![]).await, []);
        }
    }
}

#[tokio::test]
async fn a_create_whose_id_is_anothers_is_refused() {
    let (store, _) = collated().await;
    let own = of_each(&store).await.remove(0);
    let same = Character { user: "José".to_owned(), ..own };
    store.create(same, ALONE).await.unwrap_err();
}

#[tokio::test]
async fn reads_find_an_index_that_compares_exactly() {
    let (store, database) = collated().await;
    of_each(&store).await;
    let find = doc! {
        "find": "Characters", "filter": { "User_Id": "jose", "createdAt": { "$gt": DateTime::from_millis(0) } },
        "sort": { "createdAt": -1, "_id": -1 }, "collation": { "locale": "simple" },
    };
    let plan = database.run_command(doc! { "explain": find }).await.unwrap().to_string();
    assert!(plan.contains("octavo_newest_first") && !plan.contains("COLLSCAN"), "{plan}");
    // A second start finds what the first made.
    drop(store);
    let index = IndexModel::builder().keys(MongoStore::newest_first()).build();
    database.collection::<Document>("Characters").create_index(index).await.unwrap();
}
