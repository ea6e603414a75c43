//! Redrives a dead letter.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::BullQueue;
use crate::queue::{letters::Letter, spoilt::invoke};

static DRIVE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("../types.lua"), include_str!("drive.lua"))));

impl BullQueue {
    /// Puts the job of `letter` back, with new `data` unless that is empty; returns what `drive.lua` does.
    pub(in crate::queue) async fn drive(&self, letter: &Letter, data: Vec<u8>) -> RedisResult<i8> {
        let (keys, id) = (&self.keys, &letter.id);
        let mut call = DRIVE.prepare_invoke();
        call.key(&self.letters.set).key(self.letters.letter(id)).key(format!("{}{id}", keys.prefix));
        call.key(&keys.failed).key(&keys.wait).key(&keys.paused).key(&keys.meta_paused);
        call.arg(id).arg(letter.serial).arg(data);
        invoke(&call, &mut self.redis()).await
    }
}
