//! root's line of /etc/shadow: sshd without PAM refuses an account that is locked, its keys too. A password that is no
//! password (`*`) lets nobody in by it either, and keys.

use crate::engine::host::Host;
use crate::error::Result;
use crate::sys::whole_file;

const SHADOW: &str = "/etc/shadow";

/// Unlocks root for keys, in the initramfs.
pub fn unlock(host: &Host) -> Result<()> {
    let path = host.path(SHADOW);
    match std::fs::read_to_string(&path).ok().as_deref().and_then(unlocked) {
        Some(text) => whole_file::write(&path, text.as_bytes(), 0o600, None),
        None => Ok(()),
    }
}

/// The text with `*` for a password of root's that begins with `!`; none: it has no such one (shadow(5)).
fn unlocked(text: &str) -> Option<String> {
    let locked = |line: &&str| line.starts_with("root:!");
    let line = text.lines().find(locked)?;
    let mut fields: Vec<&str> = line.split(':').collect();
    *fields.get_mut(1)? = "*";
    Some(text.replacen(line, &fields.join(":"), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_locked_root_is_changed() {
        let text = "daemon:!:1::::::\nroot:!$y$x:20785:0:99999:7:::\nbin:*:1::::::\n";
        let expected = "daemon:!:1::::::\nroot:*:20785:0:99999:7:::\nbin:*:1::::::\n";
        assert_eq!(unlocked(text).as_deref(), Some(expected));
        assert_eq!(unlocked("root:!"), Some("root:*".to_owned()));
        for text in ["", "root:*:1::::::\n", "root:$y$x:1::::::\n", "toor:!:1:\n", "root"] {
            assert_eq!(unlocked(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_root_or_none(text: String, rest in "[ -~]{0,40}") {
            let _ = unlocked(&text);
            let made = unlocked(&format!("root:!{rest}\n")).unwrap();
            proptest::prop_assert!(made.starts_with("root:*") && unlocked(&made).is_none());
        }
    }
}
