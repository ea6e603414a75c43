//! Each job's effect happens once in every store, whoever runs it twice, however late, and beside what.

use futures_util::future::{join, join_all};
use mongodb::bson::{DateTime, oid::ObjectId};
use octavo::character::{
    Store,
    model::{Changes, Character},
    store::StoreError,
};

use crate::{
    stores::{ALONE, character, newest, on_every_store},
    support::caller,
};

/// For a run that is perhaps not the first.
pub const AGAIN: DateTime = DateTime::from_millis(0);

/// Rounds of a race, each with another character.
const ROUNDS: usize = 25;

on_every_store! {
    an_update_that_is_run_again_does_not_undo_a_later_one;
    a_create_that_is_run_again_does_not_bring_back_what_was_deleted;
    a_delete_that_is_run_again_answers_as_before_and_another_does_not;
    a_delete_of_what_never_was_there_finds_nothing_however_often_it_is_run;
    an_update_that_is_run_again_after_a_delete_answers_as_before;
    a_repeated_update_answers_for_its_user_only;
    a_create_whose_id_is_anothers_is_refused_and_not_tried_again;
    of_deletes_at_once_one_deletes_and_each_answers_the_same_again;
    a_create_that_is_run_again_beside_a_delete_leaves_nothing;
    updates_that_run_twice_at_once_happen_once;
    an_update_beside_a_delete_answers_the_same_again;
}

pub async fn created(store: &dyn Store) -> Character {
    let aria = character("u1", "Aria", 0);
    store.create(aria.clone(), ALONE).await.unwrap();
    aria
}

pub async fn rename(store: &dyn Store, user: &str, id: ObjectId, name: &str, job: ObjectId) -> bool {
    let changes = Changes { name: Some(name.to_owned()), ..Changes::default() };
    store.update(&caller(user), id, changes, DateTime::now(), job).await.unwrap()
}

pub async fn delete(store: &dyn Store, id: ObjectId, job: ObjectId) -> bool {
    store.delete(&caller("u1"), id, job).await.unwrap()
}

pub async fn there(store: &dyn Store) -> Vec<Character> {
    newest(store, "u1", vec![]).await
}

async fn an_update_that_is_run_again_does_not_undo_a_later_one(store: &dyn Store) {
    let (id, first, second) = (created(store).await.id, ObjectId::new(), ObjectId::new());
    assert!(rename(store, "u1", id, "first", first).await);
    assert!(rename(store, "u1", id, "second", second).await);
    let expected = there(store).await;
    assert!(rename(store, "u1", id, "first", first).await);
    assert_eq!(expected[0].name, "second");
    assert_eq!(there(store).await, expected, "the time of the last update stays too");
}

async fn a_create_that_is_run_again_does_not_bring_back_what_was_deleted(store: &dyn Store) {
    let aria = created(store).await;
    assert!(delete(store, aria.id, ObjectId::new()).await);
    store.create(aria, AGAIN).await.unwrap();
    assert_eq!(there(store).await, []);
    let other = character("u1", "Bo", 1);
    store.create(other.clone(), AGAIN).await.unwrap();
    assert_eq!(there(store).await, [other]);
}

async fn a_delete_that_is_run_again_answers_as_before_and_another_does_not(store: &dyn Store) {
    let (id, job) = (created(store).await.id, ObjectId::new());
    assert!(delete(store, id, job).await);
    assert!(!delete(store, id, ObjectId::new()).await);
    assert!(delete(store, id, job).await);
}

async fn a_delete_of_what_never_was_there_finds_nothing_however_often_it_is_run(store: &dyn Store) {
    let (id, job) = (ObjectId::new(), ObjectId::new());
    assert!(!delete(store, id, job).await);
    assert!(!delete(store, id, job).await);
    assert!(!rename(store, "u1", id, "new", job).await);
    assert!(!rename(store, "u1", id, "new", job).await);
}

async fn an_update_that_is_run_again_after_a_delete_answers_as_before(store: &dyn Store) {
    let (id, updates) = (created(store).await.id, [ObjectId::new(), ObjectId::new()]);
    for job in updates {
        assert!(rename(store, "u1", id, "new", job).await);
    }
    assert!(delete(store, id, ObjectId::new()).await);
    for job in updates {
        assert!(rename(store, "u1", id, "new", job).await);
    }
    assert!(!rename(store, "u1", id, "new", ObjectId::new()).await);
    assert_eq!(there(store).await, []);
}

async fn a_repeated_update_answers_for_its_user_only(store: &dyn Store) {
    let id = created(store).await.id;
    assert!(!rename(store, "u2", id, "stolen", ObjectId::new()).await);
    assert!(!store.delete(&caller("u2"), id, ObjectId::new()).await.unwrap());
    // Had that left a tombstone, this would remove the character.
    let aria = there(store).await.remove(0);
    store.create(aria.clone(), AGAIN).await.unwrap();
    assert_eq!(there(store).await, [aria]);
}

async fn a_create_whose_id_is_anothers_is_refused_and_not_tried_again(store: &dyn Store) {
    let aria = created(store).await;
    let same = Character { id: aria.id, ..character("u2", "Bo", 0) };
    for sole_until in [ALONE, AGAIN] {
        let refused = store.create(same.clone(), sole_until).await;
        assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    }
    assert_eq!(there(store).await, [aria]);
    assert_eq!(newest(store, "u2", vec![]).await, []);
}

async fn of_deletes_at_once_one_deletes_and_each_answers_the_same_again(store: &dyn Store) {
    for _ in 0..ROUNDS {
        let id = created(store).await.id;
        let jobs: [_; 4] = std::array::from_fn(|_| ObjectId::new());
        let answers = join_all(jobs.map(|job| delete(store, id, job))).await;
        assert_eq!(answers.iter().filter(|deleted| **deleted).count(), 1, "{answers:?}");
        assert_eq!(join_all(jobs.map(|job| delete(store, id, job))).await, answers);
    }
    assert_eq!(there(store).await, []);
}

async fn a_create_that_is_run_again_beside_a_delete_leaves_nothing(store: &dyn Store) {
    for round in 0..ROUNDS {
        let (aria, job) = (created(store).await, ObjectId::new());
        let again = || async { store.create(aria.clone(), AGAIN).await.unwrap() };
        // The creates of both halves come before, while, and after the delete does each of its steps.
        let deleted = async {
            for _ in 0..round % 4 {
                tokio::task::yield_now().await;
            }
            delete(store, aria.id, job).await
        };
        let (deleted, _) = join(deleted, join_all((0..8).map(|_| again()))).await;
        assert!(deleted);
        assert_eq!(there(store).await, []);
        again().await;
        assert_eq!(there(store).await, []);
        assert!(delete(store, aria.id, job).await);
    }
}

async fn updates_that_run_twice_at_once_happen_once(store: &dyn Store) {
    let id = created(store).await.id;
    let jobs: Vec<_> = (0..16).map(|n| (ObjectId::new(), format!("name {n}"))).collect();
    let all = || join_all(jobs.iter().chain(&jobs).map(|(job, name)| rename(store, "u1", id, name, *job)));
    assert!(all().await.into_iter().all(|found| found));
    let last = ObjectId::new();
    assert!(rename(store, "u1", id, "last", last).await);
    assert!(all().await.into_iter().all(|found| found));
    assert_eq!(there(store).await[0].name, "last");
}

async fn an_update_beside_a_delete_answers_the_same_again(store: &dyn Store) {
    for _ in 0..ROUNDS {
        let (id, job) = (created(store).await.id, ObjectId::new());
        let updates: [_; 6] = std::array::from_fn(|_| ObjectId::new());
        let all = || join_all(updates.map(|job| rename(store, "u1", id, "new", job)));
        let (deleted, answers) = join(delete(store, id, job), all()).await;
        assert!(deleted);
        assert_eq!(all().await, answers);
        assert_eq!(there(store).await, []);
    }
}
