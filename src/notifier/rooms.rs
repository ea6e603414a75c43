//! Rooms: a client asks for `<Id>_<queue>`; from then on, user and queue are kept apart.
//!
//! So a user `a` who asks for `a_b_Create_Character` hears outcomes of `a`, never those of a user `a_b`. Sibling
//! services know rooms only by the name that was asked for: where sockets of both users on one node have asked for it, a
//! `Profile` for that room is held back there. Users whose ids have no underscore, as the platform's, never share a name.

use crate::auth::Caller;

/// The internal name of the room that was asked for as `name`, whoever asked.
pub(super) fn asked(name: &str) -> String {
    format!("asked:{name}")
}

/// The queue of the room that `caller` asks for, if the room is the caller's own.
pub(super) fn own<'n>(name: &'n str, caller: &Caller) -> Option<&'n str> {
    let queue = name.strip_prefix(caller.user())?.strip_prefix('_')?;
    (!queue.is_empty()).then_some(queue)
}

/// The user and the queue that `name` is the room of, if the queue is one of `queues`.
pub(super) fn split<'n>(name: &'n str, queues: &[&str]) -> Option<(&'n str, &'n str)> {
    let user = |queue: &&str| name.strip_suffix(queue)?.strip_suffix('_').filter(|user| !user.is_empty());
    queues.iter().find_map(user).map(|user| (user, &name[user.len() + 1..]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::Auth;

    fn caller(user: &str) -> Caller {
        let auth = Auth::new(&"secret".into());
        auth.verify(&auth.sign(user, Duration::from_mins(1)).unwrap()).unwrap()
    }

    #[test]
    fn only_own_rooms_can_be_asked_for() {
        let u1 = caller("u1");
        assert_eq!(own("u1_Create_Character", &u1), Some("Create_Character"));
        for asked in ["u2_Create_Character", "u1", "u1_", "u11_Create_Character", "", "_Create_Character"] {
            assert_eq!(own(asked, &u1), None, "{asked}");
        }
    }

    #[test]
    fn users_with_underscores_are_not_confused() {
        assert_eq!(own("a_b_Create_Character", &caller("a")), Some("b_Create_Character"));
        assert_eq!(own("a_b_Create_Character", &caller("a_b")), Some("Create_Character"));
        let queues = ["Read_Character", "Create_Character"];
        assert_eq!(split("a_b_Create_Character", &queues), Some(("a_b", "Create_Character")));
        for name in ["_Create_Character", "Create_Character", "a_Story", ""] {
            assert_eq!(split(name, &queues), None, "{name}");
        }
    }
}
