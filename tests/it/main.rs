//! Everything against real servers and against the embedded store. `tests/run.sh` starts the servers.

mod app;
mod queues;
mod stack_facts;
mod stores;
mod support;
