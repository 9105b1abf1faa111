//! The kernel command line that a script gives.

use diskless::input::cmdline::{Cmdline, normal};
use diskless::input::parameters;

/// The longest command line that a kernel on x86 takes: `COMMAND_LINE_SIZE` without its last byte.
const LONGEST: usize = 2047;
/// What iPXE may put in place of all its `${…}` in a command line beyond their own length.
const GROWTH: usize = 64;

/// Puts `layers` together: a word replaces those of the same name from earlier layers; a layer may have several of one
/// name (`console=`).
pub(super) fn merge<'a>(layers: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for layer in layers {
        let layer = split(layer);
        words.retain(|word| !layer.iter().any(|newer| name(newer) == name(word)));
        words.extend(layer);
    }
    words
}

/// `words` without those of these names.
pub(super) fn without(words: Vec<String>, names: &[&str]) -> Vec<String> {
    words.into_iter().filter(|word| !names.contains(&name(word).as_str())).collect()
}

/// What makes words of a site unfit for a script.
///
/// # Errors
/// A reason, which does not show the word: it may be a secret.
pub(super) fn fit(words: &[String]) -> Result<(), String> {
    for (place, word) in (1..).zip(words) {
        // <https://ipxe.org/scripting>: there is no way to quote any of these.
        let wrong = if ["||", "&&", ";"].contains(&word.as_str()) || word.starts_with('#') {
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
        return Err(format!(
            "word {place} of the kernel command line ({}) cannot be given: {wrong}",
            name(word)
        ));
    }
    let text = words.join(" ");
    match parameters::warning(&Cmdline::parse(&text)) {
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

/// The words of `text`, which stand between white space outside of double quotes, with their quotes.
fn split(text: &str) -> Vec<String> {
    let mut quoted = false;
    let between = |c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    };
    text.split(between).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What stands before the first `=`, as the kernel compares it.
fn name(word: &str) -> String {
    normal(word.trim_start_matches('"').split('=').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_layer_wins_by_name() {
        for (layers, expected) in [
            (&["a=1 b=2", "a=3"][..], "b=2 a=3"),
            (&["ip=dhcp quiet", "ip=eno1:dhcp ip=eno2:dhcp"], "quiet ip=eno1:dhcp ip=eno2:dhcp"),
            (&["console=tty0 console=ttyS0", ""], "console=tty0 console=ttyS0"),
            (&["rd.some-thing=1", "rd.some_thing=2"], "rd.some_thing=2"),
            (&["a=\"b c\" d", "\"a=e f\""], "d \"a=e f\""),
            (&["  a\t b\n"], "a b"),
        ] {
            assert_eq!(merge(layers.iter().copied()).join(" "), expected, "{layers:?}");
        }
        assert_eq!(without(split("a-b=1 c=2"), &["a_b"]), ["c=2"]);
    }

    #[test]
    fn what_a_script_cannot_say_is_refused_and_not_shown() {
        assert_eq!(fit(&split("console=ttyS0,115200n8 a=$b x=\"y z\" dyndbg=\"file a.c +p\" a;b")), Ok(()));
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
            let reason = fit(&split(text)).unwrap_err();
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
        fn any_text_is_words(text: String) {
            let words = merge([text.as_str()]);
            if fit(&words).is_ok() {
                let plain = words.iter().all(|word| !word.contains('\n') && !word.contains("${"));
                proptest::prop_assert!(plain);
            }
        }
    }
}
