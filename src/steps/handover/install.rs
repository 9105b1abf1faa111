//! The [Install] section of a systemd unit (systemd.unit(5)): text in, the links that enable the unit out.

/// Where links that enable units are.
const FOLDER: &str = "/etc/systemd/system";

/// The paths of the links that enable `unit`, whose file says `text`. None if it says nothing of how to enable it.
pub fn links(unit: &str, text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_install = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_install = line == "[Install]";
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| in_install) else { continue };
        let kind = match key.trim() {
            "WantedBy" => "wants",
            "RequiredBy" => "requires",
            _ => continue,
        };
        let plain = |by: &&str| !by.contains('/');
        let targets = value.split_whitespace().filter(plain);
        links.extend(targets.map(|by| format!("{FOLDER}/{by}.{kind}/{unit}")));
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_and_required() {
        let text = "[Unit]\nWantedBy=x.target\n[Service]\nExecStart=/a\n\n[Install]\n# WantedBy=y.target\n\
                    WantedBy = sysinit.target multi-user.target\nRequiredBy=z.target\nAlias=b.service\n";
        let expected = [
            "/etc/systemd/system/sysinit.target.wants/a.service",
            "/etc/systemd/system/multi-user.target.wants/a.service",
            "/etc/systemd/system/z.target.requires/a.service",
        ];
        assert_eq!(links("a.service", text), expected);
        assert!(links("a.service", "[Install]\nWantedBy=../../x\n").is_empty());
        assert!(links("a.service", "").is_empty());
    }
}
