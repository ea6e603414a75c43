//! What one job costs between the queue and the store; run with `cargo bench`.

#![expect(clippy::unwrap_used, reason = "a bench ends at its first mistake")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mongodb::bson::{DateTime, oid::ObjectId};
use octavo::{
    auth::Auth,
    character::{Characters, filter::CharacterFilter, model::Character, store::EmbeddedStore},
    embedded::Embedded,
    outcome::{Outcome, Reply},
    pipeline::Domain,
};
use serde_json::{json, value::to_raw_value};

fn auth() -> Auth {
    Auth::new(&"a secret of thirty-two bytes, here".into())
}

fn create(token: &str, image: usize) -> Vec<u8> {
    let (image, description) = ("i".repeat(image), "A brave ranger of the north");
    let data = json!({
        "Id": "ada", "Token": token, "Name": "Aria", "Description": description, "Image": image, "Image_Real": image,
    });
    data.to_string().into_bytes()
}

fn parse(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let domain = Characters::new(Arc::new(EmbeddedStore::new(Embedded::open(dir.path()).unwrap())), 1 << 20);
    let token = auth().sign("ada", Duration::from_hours(1)).unwrap();
    let mut group = c.benchmark_group("parse");
    for (name, image) in [("create", 200), ("create, 2 images of 200 KB", 200_000)] {
        let data = create(&token, image);
        group.throughput(Throughput::Bytes(data.len() as u64));
        group
            .bench_function(name, |b| b.iter(|| domain.parse("Create_Character", black_box(&data)).unwrap()));
    }
    group.finish();
}

fn token(c: &mut Criterion) {
    let (auth, mut n) = (auth(), 0_u64);
    let mut group = c.benchmark_group("token");
    let mut fresh = || {
        n += 1;
        auth.sign(&format!("user {n}"), Duration::from_hours(1)).unwrap()
    };
    let known = fresh();
    group.bench_function("new", |b| {
        b.iter_batched(&mut fresh, |token| auth.verify(&token).unwrap(), BatchSize::SmallInput);
    });
    group.bench_function("known", |b| b.iter(|| auth.verify(black_box(&known)).unwrap()));
    group.finish();
}

fn filter(c: &mut Criterion) {
    let filter = to_raw_value(&json!({ "User_Id": "ada", "Name": { "$in": ["Aria", "Bo"] } })).unwrap();
    c.bench_function("filter", |b| b.iter(|| CharacterFilter::parse(Some(black_box(&filter))).unwrap()));
}

fn character(image: usize) -> Character {
    Character {
        id: ObjectId::from_bytes([7; 12]),
        name: "Aria".into(),
        description: "A brave ranger of the north".into(),
        image: "i".repeat(image),
        image_real: "i".repeat(image),
        user: "ada".into(),
        created_at: DateTime::from_millis(1_700_000_000_000),
        updated_at: DateTime::from_millis(1_700_000_000_000),
    }
}

fn serialise(c: &mut Criterion) {
    let mut group = c.benchmark_group("serialise");
    let outcome = |reply| Outcome::success("ada".to_owned(), reply);
    group.bench_function("create", |b| {
        b.iter(|| outcome(Reply::new(black_box("Character created correctly")).unwrap()));
    });
    for (name, image) in [("read of 3", 200), ("read of 3, 2 images of 200 KB each", 200_000)] {
        let found: Vec<_> = (0..3).map(|_| character(image)).collect();
        group.throughput(Throughput::Bytes(6 * image as u64));
        group.bench_function(name, |b| b.iter(|| outcome(Reply::new(black_box(&found)).unwrap())));
    }
    group.finish();
}

criterion_group! {
    name = job;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = parse, token, filter, serialise
}
criterion_main!(job);
