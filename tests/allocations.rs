//! What a job allocates on its way: counted, not timed. A binary of its own, for it has an allocator of its own.

#![expect(clippy::unwrap_used, reason = "a test ends at its first mistake")]

use std::{sync::Arc, time::Duration};

use allocation_counter::{AllocationInfo, measure};
use octavo::{
    auth::Auth,
    character::{Characters, store::EmbeddedStore},
    embedded::Embedded,
    outcome::{Outcome, Reply},
    pipeline::Domain,
};

/// What one create allocates from its data to its outcome, beside the store; its token was seen before.
fn create(image: usize) -> (usize, AllocationInfo) {
    let dir = tempfile::tempdir().unwrap();
    let domain = Characters::new(Arc::new(EmbeddedStore::new(Embedded::open(dir.path()).unwrap())), 1 << 20);
    let auth = Auth::new(&"a secret of thirty-two bytes, here".into());
    let token = auth.sign("ada", Duration::from_hours(1)).unwrap();
    auth.verify(&token).unwrap();
    let image = "i".repeat(image);
    let data = format!(
        r#"{{"Id":"ada","Token":"{token}","Name":"Aria","Description":"d","Image":"{image}","Image_Real":"{image}"}}"#
    );
    let allocated = measure(|| {
        let request = domain.parse("Create_Character", data.as_bytes()).unwrap();
        let user = request.id.unwrap();
        let caller = auth.verify_for(&user, request.token.as_deref()).unwrap();
        let outcome = Outcome::success(user, Reply::new("Character created correctly").unwrap());
        assert_eq!(outcome.user, caller.user());
        drop((request.command, outcome));
    });
    println!("{} bytes of data: {allocated:?}", data.len());
    (data.len(), allocated)
}

#[test]
fn a_small_create_allocates_its_fields_and_its_outcome() {
    let (bytes, allocated) = create(200);
    // Six fields, the caller, and the outcome, whose text is made to fit at the end.
    assert!(allocated.count_total <= 9, "{allocated:?}");
    assert!(allocated.bytes_total <= 2 * bytes as u64, "{allocated:?}");
}

#[test]
fn the_images_of_a_create_are_copied_once() {
    let (bytes, allocated) = create(200_000);
    assert!(allocated.count_total <= 9, "{allocated:?}");
    assert!(allocated.bytes_total <= bytes as u64 + 1024, "{allocated:?}");
}
