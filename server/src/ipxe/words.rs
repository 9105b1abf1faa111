//! The kernel command line that a script gives.

use diskless::input::cmdline::Cmdline;
use diskless::input::parameters;

use crate::site::cmdline::Words;

/// The longest command line that a kernel on x86 takes: `COMMAND_LINE_SIZE` without its last byte.
const LONGEST: usize = 2047;
/// What iPXE may put in place of all its `${…}` in a command line beyond their own length.
const GROWTH: usize = 64;

/// What makes words of a site unfit for a script.
///
/// # Errors
/// A reason, which does not show the word: it may be a secret.
pub(super) fn fit(text: &str) -> Result<(), String> {
    let mut words = Words::default();
    words.add(text);
    for (place, (name, word)) in (1..).zip(words.by_name()) {
        // <https://ipxe.org/scripting>: there is no way to quote any of these.
        let wrong = if ["||", "&&", ";"].contains(&word) || word.starts_with('#') {
            "iPXE would take it for a separator or a comment"
        } else if word.contains("${") {
            "iPXE would take it for a setting"
        } else if word.ends_with('\\') {
            "iPXE would go on reading in the next line"
        } else if !word.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            "there is more than ASCII in it"
        } else {
            continue;
        };
        return Err(format!("word {place} of the kernel command line ({name}) cannot be given: {wrong}"));
    }
    match parameters::warning(&Cmdline::parse(text)) {
        Some(_) => Err("its kernel command line would have a secret in it, which everybody could read: it \
                        belongs into the boot plan"
            .to_owned()),
        None => Ok(()),
    }
}

/// Whether the kernel would get all of `text`.
///
/// # Errors
/// By how much it would not.
pub(super) fn short_enough(text: &str) -> Result<(), String> {
    match text.len().saturating_add(GROWTH).checked_sub(LONGEST) {
        None | Some(0) => Ok(()),
        Some(over) => Err(format!("its kernel command line is {over} bytes longer than a kernel takes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_cannot_say_is_refused_and_not_shown() {
        assert_eq!(fit("console=ttyS0,115200n8 a=$b x=\"y z\" dyndbg=\"file a.c +p\" a;b"), Ok(()));
        for (text, wrong) in [
            ("a && b", "separator"),
            ("a ; b", "separator"),
            ("|| b", "separator"),
            ("a #b=hush", "comment"),
            ("a=${hush}", "setting"),
            ("a=hush\\", "next line"),
            ("a=hüsh", "ASCII"),
            ("a=\"hush\nboot\"", "ASCII"),
            ("rd.iscsi.password=hush", "secret"),
            ("netroot=iscsi:user:hush@10.0.0.1::3260:1:iqn.2026-01.org.example:a", "secret"),
            ("rd.luks.key=http://user:hush@a/key", "secret"),
        ] {
            let reason = fit(text).unwrap_err();
            assert!(reason.contains(wrong) && !reason.contains("hush"), "{text}: {reason}");
        }
    }

    #[test]
    fn a_kernel_gets_all_of_its_command_line() {
        assert_eq!(short_enough(&"a".repeat(LONGEST - GROWTH)), Ok(()));
        assert!(short_enough(&"a".repeat(LONGEST - GROWTH + 1)).unwrap_err().contains(" 1 bytes "));
    }

    proptest::proptest! {
        #[test]
        fn what_is_fit_is_one_line_of_words(text: String) {
            let mut words = Words::default();
            words.add(&text);
            let line = words.text();
            if fit(&text).is_ok() {
                let plain = line.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') && !line.contains("${");
                proptest::prop_assert!(plain);
            }
        }
    }
}
