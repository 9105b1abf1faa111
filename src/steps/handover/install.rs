//! The [Install] section of a systemd unit (systemd.unit(5)): text in, what enables the unit out.

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

/// What the unit `name`, whose file says `text`, says of how to enable it.
pub fn install(name: &str, text: &str) -> Install {
    let mut install = Install::default();
    for (key, value) in section(text) {
        // Lists of names; what is none, or has a specifier that is not known here, is left out, as systemctl does.
        let names =
            || value.split_whitespace().filter(|name| !name.contains('/')).filter_map(|by| expand(by, name));
        let linked =
            |kind: &str| names().map(|by| format!("{FOLDER}/{by}.{kind}/{name}")).collect::<Vec<_>>();
        match key.as_str() {
            "WantedBy" => install.links.extend(linked("wants")),
            "RequiredBy" => install.links.extend(linked("requires")),
            "UpheldBy" => install.links.extend(linked("upholds")),
            "Alias" => {
                install
                    .links
                    .extend(names().filter(|alias| alias != name).map(|alias| format!("{FOLDER}/{alias}")));
            }
            "Also" => install.also.extend(names()),
            "DefaultInstance" => install.default_instance = names().next(),
            _ => (),
        }
    }
    install
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
                    WantedBy = sysinit.target \\\n; between\nmulti-user.target\nRequiredBy=z.target\n\
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
        assert_eq!(install("a.service", text), expected);
        assert_eq!(install("a.service", "[Install]\nWantedBy=../../x\nAlias=/etc/x\n"), Install::default());
        assert_eq!(install("a.service", ""), Install::default());
    }

    #[test]
    fn specifiers_name_the_unit() {
        for (text, expanded) in [
            ("a", Some("a")),
            ("%n", Some("getty@tty1.service")),
            ("x-%i.%%%p.%N", Some("x-tty1.%getty.getty@tty1")),
            ("%%", Some("%")),
            ("%H.target", None),
            ("a%", None),
        ] {
            assert_eq!(expand(text, "getty@tty1.service").as_deref(), expanded, "{text}");
        }
        let text = "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\nAlso=serial@%i.service";
        let install = install("getty@ttyS0.service", text);
        assert_eq!(install.links, ["/etc/systemd/system/getty.target.wants/getty@ttyS0.service"]);
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
        assert_eq!(install.also, ["serial@ttyS0.service"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_links_in_one_folder(text: String, value: String) {
            for text in [text, format!("[Install]\nWantedBy={value}\nAlias={value}\n")] {
                for link in install("a.service", &text).links {
                    proptest::prop_assert!(link.starts_with(FOLDER) && link.split('/').count() <= 6, "{}", link);
                }
            }
        }
    }
}
