//! /proc/self/mountinfo (proc_pid_mountinfo(5)): text in, mounts out.

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where.
    pub target: String,
    /// The file system's type.
    pub kind: String,
    /// The source as it was given to the kernel.
    pub source: String,
}

/// The mounts, in their order; a line that is not one is passed over.
pub fn parse(text: &str) -> Vec<Mounted> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mounted> {
    // A variable number of optional fields ends with a lone hyphen.
    let (before, after) = line.split_once(" - ")?;
    let target = unescape(before.split(' ').nth(4)?);
    let mut after = after.split(' ');
    Some(Mounted { target, kind: after.next()?.to_owned(), source: unescape(after.next()?) })
}

/// The kernel writes blanks and backslashes as three octal digits behind a backslash.
pub fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if byte.is_ascii() => {
                text.push(char::from(byte));
                text.push_str(part.get(3..).unwrap_or_default());
            }
            _ => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_real_kernel() {
        let text = "22 1 0:21 / /run rw,nosuid shared:2 master:1 - tmpfs tmpfs rw,size=1k\n\
                    30 1 0:30 / /sys\\040root rw - overlay a\\134b rw,lowerdir=/x\n\
                    nonsense\n";
        let mounts = parse(text);
        let texts: Vec<_> =
            mounts.iter().map(|m| (m.target.as_str(), m.kind.as_str(), m.source.as_str())).collect();
        assert_eq!(texts, [("/run", "tmpfs", "tmpfs"), ("/sys root", "overlay", "a\\b")]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            let _ = parse(&text);
            let _ = unescape(&text);
        }
    }
}
