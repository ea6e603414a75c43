//! Rooms: a client asks for `<Id>_<queue>`; from then on, user and queue are kept apart.
//!
//! A user's id may have underscores, and so may a queue. Each name is the room of one user only, whoever asks and whoever is
//! there: of the longest known queue that it ends with or, if there is none, of the user before its first underscore.

use crate::auth::Caller;

/// The internal name of the room that was asked for as `name`, whoever asked.
pub(super) fn asked(name: &str) -> String {
    format!("asked:{name}")
}

/// The queue of the room that `caller` asks for, if the room is the caller's own.
pub(super) fn own<'n>(name: &'n str, caller: &Caller, queues: &[String]) -> Option<&'n str> {
    split(name, queues).filter(|(user, _)| *user == caller.user()).map(|(_, queue)| queue)
}

/// The user and the queue that `name` is the room of, when these are the queues that are known.
pub(super) fn split<'n>(name: &'n str, queues: &[String]) -> Option<(&'n str, &'n str)> {
    let user = |queue: &String| name.strip_suffix(queue.as_str())?.strip_suffix('_');
    let known = queues.iter().filter_map(user).min_by_key(|user| user.len());
    let (user, queue) = match known {
        Some(user) => (user, &name[user.len() + 1..]),
        None => name.split_once('_')?,
    };
    (!user.is_empty() && !queue.is_empty()).then_some((user, queue))
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

    fn queues() -> Vec<String> {
        ["Read_Character", "Create_Character", "Story", "Create_Story"].map(str::to_owned).to_vec()
    }

    #[test]
    fn only_own_rooms_can_be_asked_for() {
        let u1 = caller("u1");
        let queues = queues();
        assert_eq!(own("u1_Create_Character", &u1, &queues), Some("Create_Character"));
        assert_eq!(own("u1_Paint_Picture", &u1, &queues), Some("Paint_Picture"), "a queue that is not known");
        for asked in
            ["u2_Create_Character", "u1", "u1_", "u11_Create_Character", "", "_Create_Character", "Story"]
        {
            assert_eq!(own(asked, &u1, &queues), None, "{asked}");
        }
    }

    #[test]
    fn each_name_is_the_room_of_one_user_only() {
        let queues = queues();
        for (name, user) in [
            ("a_b_Create_Character", "a_b"),
            ("a_b_Story", "a_b"),
            ("a_Create_Story", "a"),
            ("a_b_Paint_Picture", "a"),
            ("a__Story", "a_"),
        ] {
            for other in ["a", "a_b", "a_b_Paint", "a_Create", "a_"] {
                let is_own = own(name, &caller(other), &queues).is_some();
                assert_eq!(is_own, other == user, "{name} for {other}");
            }
        }
        for name in ["_Create_Character", "Create_Character", "Story", "_", "a_", ""] {
            assert_eq!(split(name, &queues).filter(|(user, _)| *user != "Create"), None, "{name}");
        }
    }
}
