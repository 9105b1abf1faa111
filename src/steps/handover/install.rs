//! The [Install] section of a systemd unit and its drop-ins (systemd.unit(5)): text in, what enables the unit out.

use std::collections::BTreeSet;

/// Where links that enable units are.
const FOLDER: &str = "/etc/systemd/system";

/// What a unit says of how to enable it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Install {
    /// The paths of the links that enable it.
    pub links: Vec<String>,
    /// The units that are to be enabled with it.
    pub also: Vec<String>,
    /// The instance that stands for a template without one.
    pub default_instance: Option<String>,
}

/// What the unit `name` says of how to enable it, in its file and then its drop-ins, which are `texts`.
pub fn install<T: AsRef<str>>(name: &str, texts: &[T]) -> Install {
    let mut install = Install::default();
    let [mut wants, mut requires, mut upholds, mut aliases] = [const { Vec::new() }; 4];
    for (key, value) in texts.iter().flat_map(|text| section(text.as_ref())) {
        // Lists of names; what is none, or has a specifier that is not known here, is left out, as systemctl does.
        let names: Vec<String> = value
            .split_whitespace()
            .filter_map(|by| expand(by, name))
            .filter(|by| is_unit_name(by) || key == "DefaultInstance" && !by.contains('/'))
            .collect();
        let list = match key.as_str() {
            "WantedBy" => &mut wants,
            "RequiredBy" => &mut requires,
            "UpheldBy" => &mut upholds,
            "Alias" => &mut aliases,
            "Also" => {
                install.also.extend(names);
                continue;
            }
            "DefaultInstance" => {
                install.default_instance = names.into_iter().next();
                continue;
            }
            _ => continue,
        };
        // An empty one begins the list anew: so a drop-in takes away what the unit says.
        if value.is_empty() {
            list.clear();
        }
        list.extend(names);
    }
    for (kind, list) in [("wants", wants), ("requires", requires), ("upholds", upholds)] {
        install.links.extend(list.iter().map(|by| format!("{FOLDER}/{by}.{kind}/{name}")));
    }
    let aliases = aliases.iter().filter(|alias| *alias != name && is_alike(alias, name));
    install.links.extend(aliases.map(|alias| format!("{FOLDER}/{alias}")));
    // Two specifiers may say the same.
    let mut known = BTreeSet::new();
    install.links.retain(|link| known.insert(link.clone()));
    install
}

/// Whether it is a unit's name, as systemd.unit(5) has it.
fn is_unit_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'\\' | b'@');
    let parts = name.rsplit_once('.');
    name.len() <= 255
        && name.bytes().all(plain)
        && !name.starts_with('@')
        && parts.is_some_and(|(prefix, kind)| !prefix.is_empty() && !kind.is_empty())
}

/// Whether a unit can have such another name: of the same type, and both instances or neither.
fn is_alike(alias: &str, name: &str) -> bool {
    let kind = |name: &str| name.rsplit_once('.').map(|(_, kind)| kind.to_owned());
    kind(alias) == kind(name) && alias.contains('@') == name.contains('@')
}

/// The lines `key=value` of the section, those that go on in the next line put together (systemd.syntax(7)).
fn section(text: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut in_install = false;
    let mut unfinished = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            unfinished += part;
            unfinished.push(' ');
            continue;
        }
        let line = std::mem::take(&mut unfinished) + line;
        if line.starts_with('[') {
            in_install = line == "[Install]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| in_install) {
            lines.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    lines
}

/// `text` with the specifiers in it that name `unit`; none if there is another one.
fn expand(text: &str, unit: &str) -> Option<String> {
    let prefix = unit.rsplit_once('.').map_or(unit, |(prefix, _)| prefix);
    let (before, instance) = prefix.split_once('@').unwrap_or((prefix, ""));
    let mut parts = text.split('%');
    let mut expanded = parts.next()?.to_owned();
    while let Some(part) = parts.next() {
        let mut rest = part.chars();
        match rest.next() {
            Some('n') => expanded += unit,
            Some('N') => expanded += prefix,
            Some('p') => expanded += before,
            Some('i') => expanded += instance,
            // What is behind the last hyphen.
            Some('j') => expanded += before.rsplit('-').next().unwrap_or(before),
            // `%%`: an empty part, and what comes after it.
            None => {
                expanded.push('%');
                expanded += parts.next()?;
            }
            Some(_) => return None,
        }
        expanded += rest.as_str();
    }
    Some(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_and_required() {
        let text = "[Unit]\nWantedBy=x.target\n[Service]\nExecStart=/a\n\n[Install]\n# WantedBy=y.target\n\
                    WantedBy = sysinit.target multi-user.target \\\n; between\nmulti-user.target\nRequiredBy=z.target\n\
                    Alias=b.service a.service\nAlso=a.socket b.socket\nAlso=c.timer\n[X-Vendor]\nAlso=no.service\n";
        let expected = Install {
            links: [
                "/etc/systemd/system/sysinit.target.wants/a.service",
                "/etc/systemd/system/multi-user.target.wants/a.service",
                "/etc/systemd/system/z.target.requires/a.service",
                "/etc/systemd/system/b.service",
            ]
            .map(str::to_owned)
            .into(),
            also: ["a.socket", "b.socket", "c.timer"].map(str::to_owned).into(),
            default_instance: None,
        };
        assert_eq!(install("a.service", &[text]), expected);
        assert_eq!(
            install("a.service", &["[Install]\nWantedBy=../../x\nAlias=/etc/x b.socket a@x.service\n"]),
            Install::default()
        );
        assert_eq!(install("a.service", &[""]), Install::default());
    }

    #[test]
    fn drop_ins_add_and_take_away() {
        let unit = "[Install]\nWantedBy=a.target\nAlias=b.service\nAlso=c.service\n";
        let dropin = "[Install]\nWantedBy=\nWantedBy=d.target\nAlias=\nUpheldBy=e.service\nAlso=\n";
        let install = install("x.service", &[unit, dropin]);
        assert_eq!(
            install.links,
            ["d.target.wants/x.service", "e.service.upholds/x.service"]
                .map(|link| format!("{FOLDER}/{link}"))
        );
        assert_eq!(install.also, ["c.service"]);
    }

    #[test]
    fn specifiers_name_the_unit() {
        for (text, expanded) in [
            ("a", Some("a")),
            ("%n", Some("getty@tty1.service")),
            ("x-%i.%%%p.%N", Some("x-tty1.%getty.getty@tty1")),
            ("%%", Some("%")),
            ("%j", Some("getty")),
            ("%H.target", None),
            ("a%", None),
        ] {
            assert_eq!(expand(text, "getty@tty1.service").as_deref(), expanded, "{text}");
        }
        let text = "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\nAlso=serial@%i.service";
        let install = install("getty@ttyS0.service", &[text]);
        assert_eq!(install.links, ["/etc/systemd/system/getty.target.wants/getty@ttyS0.service"]);
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
        assert_eq!(install.also, ["serial@ttyS0.service"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_links_in_one_folder(text: String, value: String) {
            for text in [text, format!("[Install]\nWantedBy={value}\nAlias={value}\n")] {
                for link in install("a.service", &[text]).links {
                    proptest::prop_assert!(link.starts_with(FOLDER) && link.split('/').count() <= 6, "{}", link);
                }
            }
        }
    }
}
