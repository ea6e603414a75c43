//! Keys of a wrong type: a script that meets one says so before it writes anything. The key is moved out of the way, and the
//! script runs again.

use std::{sync::LazyLock, time::Duration};

use redis::{FromRedisValue, Pipeline, RedisError, RedisResult, Script, ScriptInvocation};

use super::Connection;

static MOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("spoilt.lua")));

/// The code of the error with which a script names a key of a wrong type: `SPOILT <type> <key>`, see types.lua.
const SPOILT: &str = "SPOILT";

/// How long what was in the way is kept, for somebody to look at.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// More keys than any script has.
const MOST: usize = 32;

/// Calls a script that begins with types.lua. Whoever spoils a key all the time keeps the queue busy, but never loses it a job.
///
/// # Errors
/// Those of Redis.
pub(super) async fn invoke<T: FromRedisValue>(
    call: &ScriptInvocation<'_>,
    redis: &mut Connection,
) -> RedisResult<T> {
    for _ in 0..MOST {
        match call.invoke_async(redis).await {
            Err(error) if error.code() == Some(SPOILT) => move_away(&error, redis).await?,
            answer => return answer,
        }
    }
    call.invoke_async(redis).await
}

/// Moves the key that `error` names to `<key>:spoilt`.
async fn move_away(error: &RedisError, redis: &mut Connection) -> RedisResult<()> {
    let Some((kind, key)) = error.detail().and_then(|detail| detail.split_once(' ')) else { return Ok(()) };
    let aside = format!("{key}:spoilt");
    let mut call = MOVE.prepare_invoke();
    call.key(key).key(&aside).arg(kind).arg(KEPT.as_millis());
    if call.invoke_async(redis).await? {
        tracing::warn!(
            key,
            kind,
            aside,
            "a key of the wrong type was in the way of its queue, and was moved"
        );
    }
    Ok(())
}

/// The numbers that these commands return; 0 for one that meets a key of a wrong type.
///
/// # Errors
/// Those of Redis, but this one.
pub(super) async fn numbers<const N: usize>(
    pipe: &mut Pipeline,
    redis: &mut Connection,
) -> RedisResult<[u64; N]> {
    let answers: Vec<RedisResult<u64>> = pipe.ignore_errors().query_async(redis).await?;
    let mut numbers = [0; N];
    for (number, answer) in numbers.iter_mut().zip(answers) {
        *number = match answer {
            Err(error) if error.code() == Some("WRONGTYPE") => 0,
            answer => answer?,
        };
    }
    Ok(numbers)
}
