//! Rooms: a client asks for `<Id>_<queue>`; inside, a room is a user and a queue apart.
//!
//! So the user `a` who asks for `a_b_Create_Character` is in a room of `a`, and never in one of the user `a_b`.

use crate::auth::Caller;

/// The inner name of the room of `user` for `queue`; no two pairs share one.
pub(super) fn name(user: &str, queue: &str) -> String {
    format!("{}:{user}:{queue}", user.len())
}

/// The inner name of the room that `caller` asks for, if it is the caller's own.
pub(super) fn own(asked: &str, caller: &Caller) -> Option<String> {
    let queue = asked.strip_prefix(caller.user())?.strip_prefix('_')?;
    (!queue.is_empty()).then(|| name(caller.user(), queue))
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
        assert_eq!(own("u1_Create_Character", &u1), Some(name("u1", "Create_Character")));
        for asked in ["u2_Create_Character", "u1", "u1_", "u11_Create_Character", "", "_Create_Character"] {
            assert_eq!(own(asked, &u1), None, "{asked}");
        }
    }

    #[test]
    fn users_with_underscores_are_not_confused() {
        let asked = own("a_b_Create_Character", &caller("a"));
        assert_ne!(asked, Some(name("a_b", "Create_Character")));
        assert_eq!(own("a_b_Create_Character", &caller("a_b")), Some(name("a_b", "Create_Character")));
    }
}
