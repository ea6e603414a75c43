//! Adds a job, as the stock storage does.

use apalis_core::task::{builder::TaskBuilder, task_id::TaskId};
use apalis_redis::queries::push_tasks;

use super::ApalisQueue;
use crate::queue::QueueError;

pub(super) async fn push(queue: &ApalisQueue, data: Vec<u8>) -> Result<String, QueueError> {
    let id = queue.ids.next();
    let task = TaskBuilder::new(data).task_id(TaskId::from_string(&id)).build();
    push_tasks(&mut queue.redis(), &queue.layout, &[task]).await.map_err(|error| QueueError(error.into()))?;
    Ok(id)
}
