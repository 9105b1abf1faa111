//! libmount's table of what the kernel does not know about mounts, /run/mount/utab: text in, text out.
//!
//! A line is made of `SRC=`, `TARGET=`, `ROOT=` and `OPTS=`, with blanks written in octal; a mount is known again by
//! the first three. systemd and umount(8) read `_netdev` there: what needs the network is to be unmounted before
//! the network goes.

/// The table.
pub const FILE: &str = "/run/mount/utab";
const NETDEV: &str = "_netdev";

/// A mount that needs the network. None of its texts can hold a blank, by the checks of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The source as it was given to the kernel.
    pub source: String,
    /// Where it is in the end: in the new root.
    pub target: String,
}

/// `table` with all of `entries` marked and its other lines as they are; none if they are marked.
pub fn marked(table: &str, entries: &[Entry]) -> Option<String> {
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    let mut changed = false;
    for entry in entries {
        match lines.iter_mut().rfind(|line| is_of(line, entry)) {
            Some(line) if options(line).is_some_and(|options| options.split(',').any(|o| o == NETDEV)) => (),
            Some(line) => {
                *line = with_netdev(line);
                changed = true;
            }
            None => {
                lines.push(format!("SRC={} TARGET={} ROOT=/ OPTS={NETDEV}", entry.source, entry.target));
                changed = true;
            }
        }
    }
    changed.then(|| lines.into_iter().map(|line| line + "\n").collect())
}

fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn options(line: &str) -> Option<&str> {
    field(line, "OPTS")
}

fn is_of(line: &str, entry: &Entry) -> bool {
    field(line, "SRC") == Some(&entry.source)
        && field(line, "TARGET") == Some(&entry.target)
        && field(line, "ROOT").is_none_or(|root| root == "/")
}

fn with_netdev(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    match words.iter_mut().find(|word| word.starts_with("OPTS=")) {
        Some(word) if word == "OPTS=" => word.push_str(NETDEV),
        Some(word) => *word = format!("{word},{NETDEV}"),
        None => words.push(format!("OPTS={NETDEV}")),
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(source: &str, target: &str) -> Entry {
        Entry { source: source.into(), target: target.into() }
    }

    #[test]
    fn each_entry_is_marked_once_and_the_rest_is_kept() {
        let entries = [entry("overlay", "/"), entry("overlay", "/var"), entry("/dev/mapper/a", "/run/x")];
        let fresh = "SRC=overlay TARGET=/ ROOT=/ OPTS=_netdev\n\
                     SRC=overlay TARGET=/var ROOT=/ OPTS=_netdev\n\
                     SRC=/dev/mapper/a TARGET=/run/x ROOT=/ OPTS=_netdev\n";
        assert_eq!(marked("", &entries).as_deref(), Some(fresh));
        assert_eq!(marked(fresh, &entries), None);
        let old = "ID=7 SRC=tmpfs TARGET=/a\\040b ROOT=/ OPTS=x-a\n\
                   SRC=overlay TARGET=/ ROOT=/sub OPTS=x-b\n\
                   SRC=overlay TARGET=/ ROOT=/ ATTRS=a OPTS=uhelper=x\n\
                   SRC=overlay TARGET=/var ROOT=/ OPTS=\n";
        let new = "ID=7 SRC=tmpfs TARGET=/a\\040b ROOT=/ OPTS=x-a\n\
                   SRC=overlay TARGET=/ ROOT=/sub OPTS=x-b\n\
                   SRC=overlay TARGET=/ ROOT=/ ATTRS=a OPTS=uhelper=x,_netdev\n\
                   SRC=overlay TARGET=/var ROOT=/ OPTS=_netdev\n\
                   SRC=/dev/mapper/a TARGET=/run/x ROOT=/ OPTS=_netdev\n";
        assert_eq!(marked(old, &entries).as_deref(), Some(new));
        assert_eq!(marked(new, &entries), None);
    }

    proptest::proptest! {
        #[test]
        fn any_table_is_marked_at_once(table in "([A-Z]{3}=[a-z/,_]{0,9} ?|SRC=s |TARGET=/t |OPTS=|\n|.){0,20}") {
            let entries = [entry("s", "/t")];
            if let Some(table) = marked(&table, &entries) {
                assert_eq!(marked(&table, &entries), None, "{table:?}");
            }
        }
    }
}
