//! The keys of operators.

use super::broken;
use crate::error::{Code, Result};
use crate::input::authorized_key::AuthorizedKey;
use crate::input::document::{Access, MOST_KEYS};

/// Each is a key that sshd can use.
pub fn access(access: &Access) -> Result<()> {
    if access.authorized_keys.len() > MOST_KEYS {
        return broken(Code::PlanAccess, "access.authorized_keys", format!("{MOST_KEYS} at most"));
    }
    for (number, line) in access.authorized_keys.iter().enumerate() {
        if let Err(why) = AuthorizedKey::alone(line) {
            return broken(Code::PlanAccess, format!("access.authorized_keys[{number}]"), why);
        }
    }
    Ok(())
}
