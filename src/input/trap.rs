//! What the kernel command line says of holding the boot for a person, and of what follows a failure.

use super::cmdline::Cmdline;
use super::config::unusable;
use super::words::{ATTEMPT, BREAK, EMERGENCY, MODE, ON_FAILURE, SHELL};
use crate::error::{Error, Result};
use crate::plan::STEPS;

/// No node counts its boots further, and no policy.
const MOST: u32 = 1_000_000;

/// `rd.diskless=`: whether the agent acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Where it is told what to boot.
    #[default]
    Auto,
    /// And it holds before the first change.
    Trap,
    /// Nowhere.
    Off,
}

/// `rd.diskless.on_failure=`: what follows a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The boot holds for a person.
    #[default]
    Trap,
    /// It is tried again: so often, or without end.
    Retry(Option<u32>),
    /// The machine starts anew: so often, or without end.
    Reboot(Option<u32>),
    /// The machine is switched off.
    PowerOff,
}

/// `rd.emergency=`: what becomes of a machine that nobody may have a shell on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Emergency {
    /// It starts anew.
    Reboot,
    /// It is switched off.
    PowerOff,
    /// It stops.
    #[default]
    Halt,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trap {
    /// Whether the agent acts.
    pub mode: Mode,
    /// What follows a failure.
    pub on_failure: OnFailure,
    /// The steps that the boot holds before, by name.
    pub holds: Vec<&'static str>,
    /// The boot holds before its first step (`rd.break=diskless`).
    pub at_first: bool,
    /// `rd.shell=0`: there is no shell, and no trap.
    pub no_shell: bool,
    /// What becomes of the machine then.
    pub emergency: Emergency,
    /// How often the node was booted since it was last up, with this boot; none: nobody counts.
    pub attempt: Option<u32>,
}

impl Mode {
    /// Reads the mode.
    ///
    /// # Errors
    /// [`crate::error::Code::Parameter`]: there is no such mode.
    pub fn read(cmdline: &Cmdline) -> Result<Mode> {
        match cmdline.last(MODE) {
            None | Some("auto") => Ok(Mode::Auto),
            Some("trap") => Ok(Mode::Trap),
            Some("off") => Ok(Mode::Off),
            Some(_) => Err(unusable(MODE, "neither auto, trap nor off")),
        }
    }
}

impl Trap {
    /// Reads all of it. Of what cannot be used the default holds, and the first such error comes with it: whoever cannot
    /// spell `rd.diskless.on_failure` is to have a trap all the same.
    pub fn read(cmdline: &Cmdline) -> (Trap, Option<Error>) {
        let mut trap = Trap::default();
        let mut wrong = None;
        let mut keep = |error: Error| _ = wrong.get_or_insert(error);
        match Mode::read(cmdline) {
            Ok(mode) => trap.mode = mode,
            Err(error) => keep(error),
        }
        match cmdline.last(ON_FAILURE).map_or(Some(OnFailure::Trap), on_failure) {
            Some(on_failure) => trap.on_failure = on_failure,
            None => keep(unusable(ON_FAILURE, "neither trap, retry[:COUNT], reboot[:COUNT] nor poweroff")),
        }
        for text in cmdline.all(BREAK) {
            // All others are dracut's.
            let Some(step) = text.strip_prefix("diskless") else { continue };
            let known = step.strip_prefix('-').and_then(|step| STEPS.iter().find(|known| **known == step));
            match known {
                Some(step) => trap.holds.push(step),
                None if step.is_empty() => trap.at_first = true,
                None => {
                    keep(unusable(BREAK, format!("diskless has no such step; it has {}", STEPS.join(", "))))
                }
            }
        }
        // As dracut's own shell has it: a break is a wish for a shell.
        let no = matches!(cmdline.last(SHELL), Some("0" | "no" | "off"));
        trap.no_shell = no && cmdline.last(BREAK).is_none();
        match cmdline.last(EMERGENCY) {
            None | Some("halt" | "") => (),
            Some("reboot") => trap.emergency = Emergency::Reboot,
            Some("poweroff") => trap.emergency = Emergency::PowerOff,
            Some(_) => keep(unusable(EMERGENCY, "neither reboot, poweroff nor halt")),
        }
        match cmdline.last(ATTEMPT).map(|text| count(text).filter(|number| *number > 0)) {
            None => (),
            Some(Some(number)) => trap.attempt = Some(number),
            Some(None) => keep(unusable(ATTEMPT, "not a number from 1")),
        }
        (trap, wrong)
    }
}

fn on_failure(text: &str) -> Option<OnFailure> {
    let (word, number) = match text.split_once(':') {
        Some((word, number)) => (word, Some(count(number)?)),
        None => (text, None),
    };
    match (word, number) {
        ("trap", None) => Some(OnFailure::Trap),
        ("poweroff", None) => Some(OnFailure::PowerOff),
        ("retry", number) => Some(OnFailure::Retry(number)),
        ("reboot", number) => Some(OnFailure::Reboot(number)),
        _ => None,
    }
}

fn count(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn read(text: &str) -> (Trap, Option<Error>) {
        Trap::read(&Cmdline::parse(text))
    }

    #[test]
    fn what_can_be_said() {
        let (trap, wrong) = read("quiet");
        assert!(trap == Trap::default() && wrong.is_none());
        let (trap, wrong) = read(
            "rd.diskless=trap rd.diskless.on_failure=reboot:5 rd.break=diskless-luks rd.break=pre-mount rd.break=diskless-iscsi \
             rd.emergency=poweroff rd.diskless.attempt=3",
        );
        assert!(wrong.is_none());
        assert_eq!((trap.mode, trap.on_failure), (Mode::Trap, OnFailure::Reboot(Some(5))));
        assert_eq!((trap.holds.as_slice(), trap.at_first), (["luks", "iscsi"].as_slice(), false));
        assert_eq!((trap.emergency, trap.attempt), (Emergency::PowerOff, Some(3)));
        assert!(read("rd.break=diskless").0.at_first);
        for (text, expected) in [
            ("trap", OnFailure::Trap),
            ("retry", OnFailure::Retry(None)),
            ("retry:0", OnFailure::Retry(Some(0))),
            ("reboot", OnFailure::Reboot(None)),
            ("poweroff", OnFailure::PowerOff),
        ] {
            assert_eq!(read(&format!("rd.diskless.on_failure={text}")).0.on_failure, expected);
        }
    }

    #[test]
    fn no_shell_is_dracuts_rule() {
        let none = ["rd.shell=0", "rd.shell=no", "rd.shell rd.shell=off"];
        assert!(none.iter().all(|text| read(text).0.no_shell));
        let some = ["", "rd.shell", "rd.shell=1", "rd.shell=0 rd.break=diskless-luks", "rd.shell=0 rd.break"];
        assert!(!some.iter().any(|text| read(text).0.no_shell));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_the_rest_holds() {
        for (text, object) in [
            ("rd.diskless=tarp", "rd.diskless="),
            ("rd.diskless.on_failure=retry:x", "rd.diskless.on_failure="),
            ("rd.diskless.on_failure=retry:", "rd.diskless.on_failure="),
            ("rd.diskless.on_failure=retry:-1", "rd.diskless.on_failure="),
            ("rd.diskless.on_failure=retry:99999999999", "rd.diskless.on_failure="),
            ("rd.diskless.on_failure=poweroff:2", "rd.diskless.on_failure="),
            ("rd.break=diskless-lusk", "rd.break="),
            ("rd.break=disklessluks-", "rd.break="),
            ("rd.emergency=dance", "rd.emergency="),
            ("rd.diskless.attempt=0", "rd.diskless.attempt="),
        ] {
            let (trap, wrong) = read(&format!("rd.break=diskless-luks {text}"));
            let wrong = wrong.unwrap();
            assert_eq!(wrong.code(), Code::Parameter);
            assert!(wrong.to_string().starts_with(object), "{wrong}");
            assert_eq!(trap, Trap { holds: vec!["luks"], ..Trap::default() }, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_values_are_read(values in proptest::collection::vec("[ -~]{0,20}", 6)) {
            let names = [MODE, ON_FAILURE, BREAK, SHELL, EMERGENCY, ATTEMPT];
            let words: Vec<String> =
                names.iter().zip(&values).map(|(name, value)| format!("{name}={value}")).collect();
            let _ = read(&words.join(" "));
        }
    }
}
