//! What waits, what has left, and by which connection.

use super::*;
use crate::budget::Budget;

#[tokio::test]
async fn by_polling_bytes_have_left_when_an_answer_takes_them() {
    let budget = Budget::new(1000);
    let transport = Transport::new(None, 100, 10);
    assert!(transport.has_room(500), "nothing waits: a single packet may have any size");
    let first = transport.send(80, Some(budget.take(80).await));
    assert!(transport.has_room(20) && !transport.has_room(21));
    let second = transport.send(20, Some(budget.take(20).await));
    let wire = Wire::default();
    transport.polled(85, &wire);
    assert!(transport.left() >= first && transport.left() < second);
    assert_eq!(budget.used(), 100, "the answer is not written yet");
    wire.close();
    assert_eq!(budget.used(), 20);
    transport.send(30, Some(budget.take(30).await));
    transport.unsend(30, None);
    assert_eq!(budget.used(), 20);
    transport.polled(15, &Wire::default());
    assert_eq!(transport.left(), second);
}

#[tokio::test]
async fn a_websocket_takes_over_what_waits() {
    let budget = Budget::new(1000);
    let transport = Transport::new(None, 100, 10);
    let mark = transport.send(60, Some(budget.take(60).await));
    let wire = Arc::new(Wire::default());
    assert!(transport.upgrade(&wire));
    assert!(!transport.upgrade(&Arc::default()), "it has one");
    assert!(transport.left() < mark && !transport.has_room(50));
    transport.polled(60, &wire);
    assert_eq!(transport.left(), mark, "the last answer to long polling had it");
    let mark = transport.send(10, Some(budget.take(10).await));
    assert!(transport.left() < mark);
    wire.close();
    assert_eq!(budget.used(), 0);
    assert!(!transport.room().await);
}

#[test]
fn what_comes_in_without_a_message_that_is_handled_is_bounded() {
    let transport = Transport::new(None, 100, 10);
    assert!(transport.posted(10));
    transport.handled();
    assert!(transport.posted(10) && !transport.posted(1));
}
