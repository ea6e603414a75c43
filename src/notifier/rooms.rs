//! Rooms: a client asks for `<Id>_<queue>`; inside, a room is a user and a queue apart.
//!
//! So the user `a` who asks for `a_b_Create_Character` is in a room of `a`, and never in one of the user `a_b`. Sibling
//! services, and sockets without a token, know rooms by the name that was asked for only.

use crate::auth::Caller;

/// The inner name of the room of `user` for `queue`; no two pairs share one.
pub(super) fn proven(user: &str, queue: &str) -> String {
    format!("{}:{user}:{queue}", user.len())
}

/// The inner name of the room that was asked for as `name`, whoever asked.
pub(super) fn asked(name: &str) -> String {
    format!("asked:{name}")
}

/// What `user` is to ask for, to hear of jobs of `queue`.
pub(super) fn name(user: &str, queue: &str) -> String {
    format!("{user}_{queue}")
}

/// The inner name of the room that `caller` asks for, if it is the caller's own.
pub(super) fn own(name: &str, caller: &Caller) -> Option<String> {
    let queue = name.strip_prefix(caller.user())?.strip_prefix('_')?;
    (!queue.is_empty()).then(|| proven(caller.user(), queue))
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
        assert_eq!(own(&name("u1", "Create_Character"), &u1), Some(proven("u1", "Create_Character")));
        for asked in ["u2_Create_Character", "u1", "u1_", "u11_Create_Character", "", "_Create_Character"] {
            assert_eq!(own(asked, &u1), None, "{asked}");
        }
    }

    #[test]
    fn users_with_underscores_are_not_confused() {
        let room = own("a_b_Create_Character", &caller("a"));
        assert_ne!(room, Some(proven("a_b", "Create_Character")));
        assert_eq!(own("a_b_Create_Character", &caller("a_b")), Some(proven("a_b", "Create_Character")));
    }
}
