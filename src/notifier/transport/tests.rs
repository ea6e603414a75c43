//! What waits, what has left, and by which connection.

use super::*;
use crate::budget::Budget;

#[tokio::test]
async fn by_polling_bytes_have_left_when_an_answer_takes_them() {
    let budget = Budget::new(1000);
    let transport = Transport::new(None, 100, 10);
    assert!(transport.has_room(500), "nothing waits: a single packet may have any size");
    let first = transport.send(80);
    transport.keep(first, budget.take(80).await);
    assert!(transport.has_room(20) && !transport.has_room(21));
    let second = transport.send(20);
    transport.keep(second, budget.take(20).await);
    let wire = Wire::default();
    transport.polled(85, &wire);
    assert!(transport.left() >= first && transport.left() < second);
    assert_eq!(budget.used(), 100, "the answer is not written yet");
    wire.close();
    assert_eq!(budget.used(), 20);
    transport.polled(15, &Wire::default());
    assert_eq!(transport.left(), second);
    transport.keep(second, budget.take(20).await);
    assert_eq!(budget.used(), 0, "they have left already");
}

#[tokio::test]
async fn a_websocket_takes_over_what_waits() {
    let budget = Budget::new(1000);
    let transport = Transport::new(None, 100, 10);
    let mark = transport.send(60);
    transport.keep(mark, budget.take(60).await);
    let wire = Arc::new(Wire::default());
    assert!(transport.upgrade(&wire));
    assert!(!transport.upgrade(&Arc::default()), "it has one");
    assert!(transport.left() < mark && !transport.has_room(50));
    transport.polled(60, &wire);
    assert_eq!(transport.left(), mark, "the last answer to long polling had it");
    let mark = transport.send(10);
    transport.keep(mark, budget.take(10).await);
    assert!(transport.left() < mark);
    wire.close();
    assert_eq!(budget.used(), 0);
    assert!(!transport.room().await);
}

#[tokio::test]
async fn what_could_not_be_sent_takes_nothing() {
    let budget = Budget::new(1000);
    for wire in [None, Some(Arc::default())] {
        let transport = Transport::new(wire, 100, 10);
        let mark = transport.send(10);
        transport.keep(mark, budget.take(10).await);
        transport.send(60);
        let number = transport.refer(Large::new("1", budget.take(60).await));
        transport.unsend(60, Some(number));
        assert_eq!(budget.used(), 10, "another packet waits still");
        assert!(transport.has_room(90) && transport.referred(number).is_none());
    }
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_comes_in_without_a_message_that_is_handled_is_bounded() {
    let transport = Transport::new(None, 100, 10);
    assert!(transport.posted(10));
    transport.handled();
    assert!(transport.posted(10) && !transport.posted(1));
}
