//! Octavo takes jobs from queues, does them on behalf of users, and tells the users' browsers the outcome.
//!
//! ```text
//!  producers                                    one process of octavo
//!  ─────────                                    ───────────────────────────────────────────────────
//!  Bull (Node)      ─┐                          queue ──► pipeline ──► auth ──► character ──► store
//!  apalis (Rust)     ├─► Redis, or one file ──►   ▲                                 │
//!  POST /v1/jobs     │                            │                                 ▼
//!  octavo enqueue   ─┘                            │
//!                                                 └── ack + outcome (one step) ◄─ Outcome
//!                                                                │
//!  browsers ◄── Socket.IO rooms ◄── notifier ◄── outcome log ◄────┘
//!  admins   ◄── /health /livez /readyz /metrics /admin
//! ```
//!
//! The modules in reading order: [`app`] puts everything together from the [`config`]; a [`queue`] gives jobs to the
//! [`pipeline`], which asks [`auth`] who the caller is and lets a domain ([`character`]) do the work; the [`outcome`]
//! goes into its user's log with the acknowledgement, and from there to the [`notifier`]; [`http`] is the other way in.

pub mod app;
pub mod auth;
mod backoff;
mod budget;
pub mod character;
pub mod cli;
pub mod config;
pub mod embedded;
#[doc(hidden)]
pub mod fuzzing;
mod heavy;
pub mod http;
mod iso8601;
mod json;
pub mod metrics;
pub mod notifier;
mod origin;
pub mod outcome;
pub mod pipeline;
mod private;
pub mod queue;
mod secret;
pub mod tasks;
mod telemetry;
mod wire;
