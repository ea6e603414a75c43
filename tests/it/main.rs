//! Everything against real servers and against the embedded store. `tests/run.sh` starts the servers.

#![expect(clippy::unwrap_used, reason = "a test ends at its first surprise")]

mod app;
mod batches;
mod chunks;
mod collations;
mod connection;
mod cut_off;
mod effects;
mod evidence;
mod fuzzing;
mod gathering;
mod letters;
mod logs;
mod once;
mod queues;
mod quotas;
mod spoilt;
mod stack_facts;
mod stores;
mod support;
mod waits;
